"""How quickly the page app.py answers, in a browser: results/page.csv.

python benchmarks/page.py RUN ...     replaces the lines of each run's data; needs playwright and a chromium

`first screen`: from asking for the page to movies to rate, once the model is read. `a rating`: from the click on a star
to the last change of the list of ten with its reasons, the median of 30 clicks that changed it."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import tables

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
TIMES, PORT = 30, 8617
CLICK = """async (button) => {
  const list = () => [...document.querySelectorAll('[class*="st-key-item-"]')].map(e => e.innerText).join('|');
  let before = list(), changed = null;
  const start = performance.now();
  (button.querySelector('label') ?? button).click();
  while (performance.now() - (changed ?? start) < (changed === null ? 10000 : 500)) {
    await new Promise(requestAnimationFrame);
    const now = list();
    if (now !== before) { before = now; changed = performance.now(); }
  }
  return changed === null ? Infinity : changed - start;
}"""


@contextmanager
def served(place, port, log):
    """(address, process id) of a server of the page for the runs in `place`/runs, which prints into `log`."""
    shutil.copytree(HERE.parent / ".streamlit", Path(place) / ".streamlit")
    command = [sys.executable, "-m", "streamlit", "run", HERE.parent / "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port)]
    server = subprocess.Popen(command, cwd=place, stdout=log, stderr=log)  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            time.sleep(0.2)
            try:
                urllib.request.urlopen(f"{address}/_stcore/health").read()  # noqa: S310
                break
            except OSError:
                continue
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


def measure(folder):
    """The lines of one run."""
    from playwright.sync_api import sync_playwright

    from utils.runs import run_folder

    config = run_folder.find(folder).config
    about = {"data": config["data"], "model": config["model"]}
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright, ExitStack() as stack:
        shutil.copytree(folder, Path(place) / "runs" / Path(folder).name)
        address, _ = stack.enter_context(served(place, PORT, subprocess.DEVNULL))
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        screens = []
        for _ in range(6):
            page = browser.new_context().new_page()  # which has nothing of the page at hand
            start = time.perf_counter()
            page.goto(address)
            page.get_by_text("Not seen").first.wait_for(timeout=120_000)
            screens.append(time.perf_counter() - start)
            if len(screens) < 6:
                page.context.close()
        clicks, place = [], 0
        while len(clicks) < TIMES + 1:
            if place == 6:
                page.get_by_role("button", name="Other movies").click()
                page.wait_for_timeout(2000)
                place = 0
            star = page.locator(f".st-key-card-{place} [role=radiogroup] > div").nth(len(clicks) * 4 % 9)
            seconds = star.evaluate(CLICK) / 1000
            clicks += [seconds] if seconds < float("inf") else []  # one that changes no list has no time
            place += 1
        browser.close()
    cores, commit = len(os.sched_getaffinity(0)), run_folder.commit()
    for name, seconds in (("first screen", screens[1:]), ("a rating", clicks[1:])):  # without the very first
        figures = {"median": f"{statistics.median(seconds):.3f}", "most": f"{max(seconds):.3f}", "times": len(seconds)}
        yield about | {"what": name} | figures | {"cores": cores, "commit": commit}


def table():
    """The table in docs/page.md."""
    columns = {"data": "data", "model": "model", "what": "what", "median": "median, s", "most": "longest, s"}
    return tables.markdown(tables.read("page.csv"), columns, 2)


if __name__ == "__main__":
    tables.of_runs("page", __doc__, measure, table, path=tables.DOCS / "page.md")
