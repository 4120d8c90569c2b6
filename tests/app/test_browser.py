"""The page in a real browser: a visit from the first movie to the last tab, and several visitors at once."""

import csv
import io
import re
import shutil
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd
import pytest
from conftest import BUNDLED, eagerly
from page import served as serving

import evaluate
import models
import train
from utils.app.text import brief, shown
from utils.app.visitor import CARDS, Visitor
from utils.recommend import recommendations
from utils.runs import run_folder

QUICK = ("--hidden", "8", "--epochs", "2")
POLLING = 100  # ms, where every frame would take a core


@pytest.fixture(scope="module")
def served(run_of, tmp_path_factory):
    """(address, process) of a server of the page for two runs: `judged` of the checkerboard, and a quick one of the
    bundled data's better-known movies, which was trained last."""
    place = tmp_path_factory.mktemp("page")
    judged = shutil.copytree(run_of("autorec", *QUICK), place / "runs" / "judged")
    evaluate.main(["--run", str(judged)])
    (place / "d").mkdir()
    ratings = pd.read_csv(BUNDLED / "ratings.csv")
    movies = pd.read_csv(BUNDLED / "movies.csv", index_col="movieId")
    known, horror = ratings.groupby("movieId").userId.transform("size"), movies.genres.str.contains("Horror")
    kept = (known >= 50) | (known >= 20) & ratings.movieId.map(horror)  # of these ten are of the 1980s
    ratings[kept].to_csv(place / "d" / "ratings.csv", index=False)
    shutil.copy(BUNDLED / "movies.csv", place / "d")
    with eagerly():
        train.main(["autorec", *QUICK, "--data", str(place / "d"), "--run", str(place / "runs" / "quick")])
    with open(place / "log", "w") as log, serving(place, 8700 + int(time.time()) % 200, log) as found:
        yield found
    assert "Traceback" not in (place / "log").read_text()


def visit(browser, address, width, scheme):
    """A page of a visitor of their own, with what the browser complained of, and what it asked others for."""
    screen = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "reduced_motion": "reduce"}
    context = browser.new_context(**screen, accept_downloads=True)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
            else complaints.append(request.url)
        ),
    )
    page.goto(address)
    page.get_by_text("Not seen").first.wait_for(timeout=60_000)
    return page, complaints


def click_stars(page, place, value):
    before = page.locator('[class*="st-key-item-"]').all_inner_texts()
    page.locator(f".st-key-card-{place} [role=radiogroup] > div").nth(2 * value - 1).click()
    page.wait_for_function(
        "old => [...document.querySelectorAll('[class*=st-key-item-]')].map(e => e.innerText).join() !== old.join()",
        arg=before,
        polling=POLLING,
    )
    settle(page)


def items(page):
    return page.locator('[class*="st-key-item-"] .title').all_inner_texts()


def uploader(page):
    """The upload of ratings, not that of a watchlist."""
    return page.get_by_test_id("stFileUploader").filter(has_text="Export of Letterboxd").locator("input[type=file]")


def check_accessible(page):
    """axe-core finds nothing, apart from what Streamlit's own field for files does."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"rules": {"presentation-role-conflict": {"enabled": False}}}).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"][:200]) for one in found]


def go_to(page, name):
    page.get_by_role("tab", name=name, exact=True).click()
    settle(page)


def choose(page, name, text):
    """Type into a field that completes, and take what stands first."""
    settle(page)
    field, option = page.get_by_role("combobox", name=name), page.get_by_role("option").first
    for _ in range(5):  # what is drawn elsewhere may close the list
        field.fill("")
        field.fill(text)
        page.wait_for_timeout(500)
        if option.is_visible():
            break
    field.press("Enter")
    settle(page)


def settle(page):
    """Wait until the server has answered all that was clicked."""
    page.wait_for_timeout(300)
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_a_visit(served, browser, width, scheme, tmp_path):
    """First visit, rate five, see ten, only horror of the 1980s, upload, the map, about, reload."""
    page, complaints = visit(browser, served[0], width, scheme)
    for place, value in enumerate((5, 4, 2, 5, 1)):
        click_stars(page, place, value)
    assert len(items(page)) == 10
    check_accessible(page)

    page.get_by_text("What may be on the list").click()
    page.get_by_role("button", name="Horror").first.click()
    settle(page)
    page.get_by_text("Only Horror").wait_for()
    assert "genre=Horror" in page.url
    page.locator(".st-key-item-0 summary").click()
    page.get_by_text("What each of your ratings adds").first.wait_for()
    low, high = page.get_by_role("slider", name="Years").all()
    low.fill("1979")
    low.press("ArrowRight")
    high.fill("1990")
    high.press("ArrowLeft")
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('[class*=st-key-item-] .title')].map(e => e.innerText);"
        "return all.length == 10 && all.every(one => /\\(198\\d\\)$/.test(one)); }",
        polling=POLLING,
    )
    assert all("Horror" in text for text in page.locator('[class*="st-key-item-"]').all_inner_texts())

    page.get_by_text("Bring your ratings along").click()
    export = "Date,Name,Year,Letterboxd URI,Rating\n2021-01-01,The Matrix,1999,https://boxd.it/2a,4.5\n"
    uploader(page).set_input_files({"name": "ratings.csv", "mimeType": "text/csv", "buffer": export.encode()})
    page.get_by_text("ratings.csv: 1 line, read as Letterboxd's: 1 rated movie is in the data").wait_for()
    check_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the list").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [int(row["rank"]) for row in rows] == list(range(1, 11))
    assert items(page)[0].split(". ", 1)[1].split(" (")[0] in shown(rows[0]["title"])
    page.get_by_text("Your ratings", exact=True).click()
    page.get_by_test_id("stDataFrame").wait_for()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert "Matrix" in download.value.path().read_text(encoding="utf-8")

    choose(page, "Find a movie", "jurasic park 1993")
    page.locator(".st-key-card-0").get_by_text("Jurassic Park (1993)", exact=True).wait_for()

    before = items(page)
    go_to(page, "Map")
    page.locator(".js-plotly-plot").wait_for(timeout=60_000)
    choose(page, "A movie and what is near it", "Alien (1979")
    page.get_by_text("Near it", exact=True).wait_for()
    assert page.locator(".near li").count() == 10
    page.get_by_text("near the movie you chose").wait_for()
    check_accessible(page)
    go_to(page, "About")
    page.get_by_text("Not evaluated yet: python evaluate.py --run runs/quick").wait_for()
    choose(page, "Model", "judged")
    page.get_by_text("NDCG@100").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    check_accessible(page)
    choose(page, "Model", "quick")
    page.get_by_text("Not evaluated yet").wait_for()
    go_to(page, "For you")
    page.locator('[class*="st-key-item-"]').nth(9).wait_for()
    settle(page)
    page.reload()
    page.wait_for_function(
        "old => [...document.querySelectorAll('[class*=st-key-item-] .title')].map(e => e.innerText).join()"
        " === old.join()",
        arg=before,
        polling=POLLING,
    )
    assert not complaints
    page.context.close()


TOUCHING = """() => {
  const names = [...document.querySelectorAll('.js-plotly-plot .annotation')];
  const boxes = names.map(e => ({name: e.textContent, at: e.getBoundingClientRect()}));
  const touch = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const beyond = boxes.filter(({at}) => at.left < 0 || at.right > innerWidth);
  const touching = boxes.filter(({at}, i) => boxes.slice(0, i).some(other => touch(at, other.at)));
  return [...beyond, ...touching].map(({name}) => name);
}"""  # names on the map that touch another one or the edge


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_screen_is_accessible_and_fits(served, browser, width, scheme):
    """First screen, rated, a reason, all options, watchlist, one's own file, exports, map, two together, about."""
    page, complaints = visit(browser, served[0], width, scheme)

    def check():
        settle(page)
        check_accessible(page)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth + 1")

    def upload(field, name, content):
        place = page.get_by_test_id("stFileUploader").filter(has_text=field).locator("input[type=file]")
        place.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content.encode()})
        page.get_by_text(f"{name}: ").wait_for()

    def press(name, nth=0):
        page.get_by_role("radio", name=name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).nth(
            nth
        ).click()
        settle(page)

    check()
    for place, value in enumerate((5, 4, 2)):
        click_stars(page, place, value)
    page.locator(".st-key-item-0 summary").click()
    check()
    page.get_by_text("What may be on the list").click()
    press("Drama")
    press("Horror", 1)
    for name in ("well known", "mixed", "20"):
        press(name)
    page.get_by_text("Only Drama, no Horror, well known").wait_for()
    check()
    page.get_by_text("Only what is on a watchlist").click()
    upload(
        "Watchlist", "watchlist.csv", "Date,Name,Year,Letterboxd URI\n2021-01-01,Forrest Gump,1994,https://boxd.it/x\n"
    )
    page.locator(".st-key-item-1").wait_for(state="detached")
    check()
    press("All movies again")
    page.get_by_text("Bring your ratings along").click()
    upload("Export of Letterboxd", "ratings.csv", "Title,Year,Rating\nThe Matrix,1999,4.5\nNo such movie,1999,2\n")
    page.get_by_text("Your ratings", exact=True).click()
    page.get_by_test_id("stDataFrame").wait_for()
    check()
    with page.expect_download() as download:
        page.get_by_role("button", name="For Letterboxd").click()
    assert len(download.value.path().read_text(encoding="utf-8").splitlines()) == 1 + len(items(page))
    go_to(page, "Map")
    page.locator(".js-plotly-plot .annotation").first.wait_for(timeout=60_000)
    assert not page.evaluate(TOUCHING)
    choose(page, "A movie and what is near it", "no such movie at all")
    check()
    go_to(page, "Two together")
    upload("Export of Letterboxd", "theirs.csv", "title,rating\nAlien (1979),5\nAliens (1986),4.5\nTitanic (1997),1\n")
    page.get_by_role("heading", name="Both").wait_for()
    check()
    go_to(page, "About")
    check()
    assert not complaints
    page.context.close()


def test_one_visitors_ratings_are_never_anothers(served, browser):
    (ours, _), (theirs, _) = visit(browser, served[0], 1280, "light"), visit(browser, served[0], 390, "dark")
    click_stars(ours, 0, 5)
    theirs.get_by_text("You have rated nothing yet").wait_for()
    click_stars(theirs, 1, 1)
    mine = items(ours)
    click_stars(theirs, 2, 1)
    ours.get_by_text("Why these movies?").click()
    ours.get_by_role("button", name="Not seen").nth(3).click()
    ours.wait_for_timeout(1000)
    assert items(ours) == mine != items(theirs)
    assert ours.url.count("%3A") + ours.url.count(":5") >= 1
    assert theirs.url != ours.url
    check_accessible(theirs)
    ours.context.close()
    theirs.context.close()


def memory(process):
    """Megabytes that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@pytest.mark.slow
def test_ten_visitors_at_once(served, browser):
    """Each does 50 things: every list is the one for their own ratings, and the server's memory stays as it is."""
    address, process = served
    rng, held = np.random.default_rng(0), []
    pages = [visit(browser, address, 1280, "light")[0] for _ in range(10)]
    saved = models.open_run(run_folder.find(Path(f"/proc/{process}/cwd").resolve() / "runs" / "quick"))
    for done in range(50):
        for page in pages:
            what = rng.integers(10)
            if what < 7:
                page.locator(f".st-key-card-{rng.integers(CARDS)} [role=radiogroup] > div").nth(
                    rng.integers(10)
                ).click()
            elif what < 8 or not page.locator(".st-key-item-3").count():
                page.get_by_role("button", name="Other movies").click()
            else:
                page.locator(f".st-key-item-{rng.integers(4)}").get_by_role("button").nth(rng.integers(2)).click()
        for page in pages:
            settle(page)
        if done % 10 == 9:
            held.append(memory(process))
            for page in pages:
                said = parse_qs(urlparse(page.url).query)["rated"][0].partition("~")[2]
                them = Visitor.of_address(said, saved.run.movies, saved.split.ratings.scale)
                if them.stars:
                    found = recommendations.recommend(saved, them.profile(saved.split), "best", 10)["items"]
                    expected = [f"{one['rank']}. {brief(one['title'], one['year'])}" for one in found]
                    assert items(page) == expected
    assert len({page.url for page in pages}) == 10
    assert held[-1] < 1.1 * held[0], held
    for page in pages:
        page.context.close()
