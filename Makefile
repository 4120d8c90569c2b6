# make demo: install, train, evaluate, recommend.   make app: install, open the page.   make test: install, check style,
# run the tests. All need nothing but Python 3.11 or later and make; what they install goes into .venv.
PYTHON ?= python3
VENV ?= .venv
PROCESSES ?= 3 # of the tests, so that two cores have something to do while a browser waits
BIN = $(VENV)/bin

.PHONY: demo app test clean

demo: $(VENV)/.requirements
	$(BIN)/python train.py
	$(BIN)/python evaluate.py
	$(BIN)/python recommend.py --user 42

app: $(VENV)/.requirements
	$(BIN)/streamlit run app.py

test: $(VENV)/.requirements-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
		--cov=utils --cov=models --cov-report=term:skip-covered --cov-fail-under=95

$(VENV)/.requirements: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.requirements-dev: requirements-dev.txt $(VENV)/.requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
