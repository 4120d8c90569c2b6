"""The pictures of the page: docs/page.png and docs/map.png, of a run of the bundled data.

python benchmarks/pictures.py RUN      needs playwright and a chromium"""

import argparse
import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import page
import tables
from PIL import Image

PORT, WIDTH = 8619, 1180
HALVES = (10, 9, 7, 4)  # half stars of the first cards
COLOURS = 256


def settle(tab):
    """Wait until the server has answered all that was clicked."""
    tab.wait_for_timeout(600)
    tab.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(timeout=120_000)
    tab.mouse.move(5, 5)
    tab.wait_for_timeout(600)


def draw(folder):
    """Write both pictures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        run = shutil.copytree(folder, Path(place) / "runs" / "ml-latest-small-2016-random-joint-s0")
        (run / "map.json").unlink(missing_ok=True)
        with page.served(place, PORT, subprocess.DEVNULL) as (address, _):
            path = shutil.which("chromium") or shutil.which("google-chrome")
            arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
            browser = playwright.chromium.launch(executable_path=path, args=arguments)
            tab = browser.new_page(viewport={"width": WIDTH, "height": 1060}, color_scheme="light")
            tab.goto(address)
            tab.get_by_text("Not seen").first.wait_for(timeout=120_000)
            for card, half in enumerate(HALVES):
                star = tab.locator(f".st-key-card-{card} [role=radiogroup] > div").nth(half - 1)
                star.click(force=True, position={"x": 5, "y": 15})
                settle(tab)
            tab.locator(".st-key-item-0 summary").click()
            settle(tab)
            keep(tab.screenshot(), "page.png")
            tab.get_by_role("tab", name="Map").click()
            settle(tab)
            tab.locator(".js-plotly-plot").wait_for(timeout=120_000)
            tab.wait_for_timeout(3000)
            keep(tab.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": 960}), "map.png")
            browser.close()


def keep(content, name):
    """Write a screenshot with few colours, which take a third of the bytes."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2)  # which keeps rare colours as they are
    picture.save(tables.DOCS / name, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    draw(parser.parse_args().run)
