# make demo: install, train in haste, evaluate, recommend.   make app: install, open the page.   make test: install, check style,
# run the tests (COVERAGE=1: measure their coverage, too, which takes half as long again). All need nothing but
# Python 3.11, 3.12 or 3.13 (the newest that is there is taken; make PYTHON=... names another) and make; what they
# install goes into .venv.
IN_RANGE = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for one in python3.13 python3.12 python3.11 python3; do \
	if $$one -c 'import ensurepip; $(IN_RANGE)' 2>/dev/null; then echo "$$one"; break; fi; done)
endif
VENV ?= .venv
PROCESSES ?= 3 # of the tests, so that two cores have something to do while a browser waits
BIN = $(VENV)/bin

.PHONY: demo app test clean

# in haste: few epochs in large steps that are not averaged, and few landmarks of movies' rows, so that the three commands
# take under a minute on two slow cores
demo: $(VENV)/.requirements
	$(BIN)/python train.py --epochs 8 --learning-rate 0.01 --average 0 --movie-epochs 6 --movie-landmarks 64 --no-refit --run runs/demo
	$(BIN)/python evaluate.py --run runs/demo
	$(BIN)/python recommend.py --user 42 --run runs/demo

app: $(VENV)/.requirements
	$(BIN)/streamlit run app.py

test: $(VENV)/.requirements-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
		$(if $(COVERAGE),--cov=utils --cov=models --cov-report=term:skip-covered --cov-fail-under=95)

$(VENV)/.requirements: requirements.txt
	@$(if $(PYTHON),,echo "no Python from 3.11 to 3.13 is on the PATH, which TensorFlow takes: install python3.13, or name one: make PYTHON=/path/to/python3.13" >&2; exit 2)
	@$(PYTHON) -c '$(IN_RANGE)' 2>/dev/null || { echo "$(PYTHON) is no Python from 3.11 to 3.13, which TensorFlow takes: leave PYTHON out, or name one: make PYTHON=/path/to/python3.13" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.requirements-dev: requirements-dev.txt $(VENV)/.requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
