"""The page app.py: its list is recommend.py's, one visitor's ratings are never another's, titles are text."""

import contextlib
import csv
import gzip
import io
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import openpyxl
import pytest
from conftest import REPOSITORY, answer, eagerly
from reading import zip_of
from streamlit.testing.v1 import AppTest

import evaluate
import models
import train
from utils.app import about, elicitation, listing, map_page, rating, together
from utils.app.listing import FIRST, STRATEGIES
from utils.app.shared import Shared
from utils.app.text import brief, shown
from utils.app.visitor import CARDS, IN_ADDRESS, LINES, Visitor
from utils.data import datasets, splits
from utils.data.movies import Links, Movies
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend import group, recommendations, reranking
from utils.report import latent_maps, map_figures
from utils.runs import evaluation_results, run_folder

EVIL = '<script>alert(1)</script> **x** $y$ :smile: <img src=x onerror="alert(2)">'
QUICK = ("--hidden", "8", "--epochs", "2")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A working folder with an empty runs/, and a function that puts a run there."""
    monkeypatch.chdir(tmp_path)
    return lambda folder, name="r": shutil.copytree(folder, tmp_path / "runs" / name)


def opened(*expanders, **query):
    """The page at an address, with these expanders open."""
    page = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
    page.query_params.update(query)
    for key in expanders:
        page.session_state[key] = True
    return run(page)


def run(page):
    page.run()
    assert not page.exception
    return page


def said(page):
    """All HTML that the page shows, apart from its style."""
    return "\n".join(one.proto.body for one in page.html if "<style>" not in one.proto.body)


def listed(page):
    """The titles of the list, in its order."""
    return [
        text.split("</p>")[0].split(". ", 1)[1] for text in said(page).split('class="title">')[1:] if ". " in text[:5]
    ]


def stars(page, place, value):
    """Click a star of a card."""
    page.radio[place].set_value(value)
    return run(page)


def test_without_a_run_the_page_says_which_command_to_type(house):
    assert "no run trained yet: python train.py" in said(opened())


def test_the_list_is_what_recommend_says_for_the_same_ratings(house, run_of, capsys):
    house(run_of("autorec", *QUICK))
    page = stars(stars(opened("switches"), 0, 4.5), 2, 1)
    given = page.session_state["rated " + run_folder.find().config["sha256"][:8]].stars
    assert sorted(given.values()) == [1, 4.5]
    movies = run_folder.find().movies
    rated = [f"{movies.titles[movie]}={value:g}" for movie, value in given.items()]
    found = answer(capsys, "--rate", *rated, "--explain")
    assert listed(page) == [shown(item["title"]) for item in found["items"]]
    assert recommendations.sentence(found["items"][0]) in said(page).replace("&#39;", "'")
    page.selectbox(key="by").set_value("movies")
    page.pills(key="n").set_value(5)
    page = run(page)
    found = answer(capsys, "--rate", *rated, "--by", "movies", "-n", "5")
    assert listed(page) == [shown(item["title"]) for item in found["items"]]
    page.slider(key="years").set_value((1960, 1965))
    assert all("(196" in title for title in listed(run(page)))


def test_what_was_seen_or_is_not_wanted_leaves_the_list_at_once(house, run_of):
    house(run_of("autorec", *QUICK))
    page = stars(opened(), 0, 5)
    first, second, *others = listed(page)
    page.button(key="seen-0").click()
    page = run(page)
    assert listed(page)[: len(others)] == [second, *others][: len(others)]
    assert first in said(page).split('class="title">')[1]  # it waits to be rated
    page.button(key="no-0").click()
    page = run(page)
    assert listed(page)[0] == others[0]
    next(button for button in page.button if button.label == "Show hidden movies again").click()
    assert listed(run(page))[:2] == [first, second]


def test_the_other_tabs_say_what_evaluate_found_and_how_many_points_there_are(house, run_of):
    run_ = house(run_of("autorec", *QUICK))
    (run_ / evaluation_results.NAME).unlink(missing_ok=True)
    assert "python evaluate.py" in said(opened(page="About"))
    evaluate.main(["--run", str(run_)])
    text, facts = said(opened(page="About")), evaluation_results.read(run_folder.Run(run_))
    for sentence in facts["said"]["headlines"]:
        assert sentence in text.replace("&#39;", "'")
    shown_map = opened(page="Map")
    assert f"Each of the {len(run_folder.Run(run_).movies.titles)} points is a movie, one of the best known" in said(
        shown_map
    )
    assert len(shown_map.get("plotly_chart")) == 1
    titles = run_folder.Run(run_).movies.titles
    shown_map.selectbox(key="picked").set_value(shown(titles[3]))
    near = said(run(shown_map)).split("Near it")[1]
    for item in recommendations.movies_like(models.open_run(run_folder.Run(run_)), [3], 5)["items"]:
        assert brief(item["title"], item["year"]) in near


def test_a_model_is_said_to_be_of_all_who_rated(monkeypatch):
    shown = []
    monkeypatch.setattr(about, "say", shown.append)
    monkeypatch.setattr(about, "st", SimpleNamespace(header=lambda *_, **__: None, plotly_chart=None))
    monkeypatch.setattr(about.figures, "curves", lambda _: [])
    monkeypatch.setattr(about.figures, "learning", lambda _: [])
    monkeypatch.setattr(evaluation_results, "read", lambda _: None)
    config = {"model": "joint", "data": "ml-1m", "protocol": "strong", "seed": 3}
    ratings = SimpleNamespace(movie=np.zeros(5432, int), shape=(1070, 50), user_trained=np.arange(1070) < 900)
    run_ = SimpleNamespace(config=config, folder="runs/x", history=[])
    about.page(SimpleNamespace(saved=SimpleNamespace(run=run_, ratings=ratings)), Visitor())
    first = "joint, trained on ml-1m: 5,432 ratings of 50 movies by 1,070 users, protocol strong, seed 3."
    assert shown[:2] == [first, "Not evaluated yet: python evaluate.py --run runs/x"]


def test_a_movie_that_is_searched_waits_to_be_rated(house, run_of):
    house(run_of("autorec", *QUICK))
    page, titles = opened(), run_folder.find().movies.titles
    assert page.selectbox(key="search").proto.accept_new_options  # a misspelt title, too
    page.selectbox(key="search").set_value(shown(titles[5]))
    cards = said(run(page)).split('class="title">')
    assert shown(titles[5]).split(" (")[0] in cards[1]


def test_not_seen_and_other_movies_bring_others(house, run_of):
    house(run_of("autorec", *QUICK))
    page = opened()
    cards = said(page).split('class="title">')[1 : CARDS + 1]
    page.button(key="skip-0").click()
    after = said(run(page)).split('class="title">')[1 : CARDS + 1]
    assert after[0] not in cards
    assert after[1:] == cards[1:]
    page = stars(page, 1, 4)
    next(button for button in page.button if button.label == "Other movies").click()
    others = said(run(page)).split('class="title">')[1 : CARDS + 1]
    assert not set(others) & {*cards, *after}


def test_the_address_keeps_ratings_over_a_reload(house, run_of):
    house(run_of("autorec", *QUICK))
    page = stars(opened(), 0, 5)
    page.button(key="no-0").click()
    page = run(page)
    again = opened(rated="".join(page.query_params["rated"]))
    assert listed(again) == listed(page)
    data = run_folder.find().config["sha256"][:8]
    odd = opened(rated=f"{data}~nonsense,1:99,:,7:nan,99999:5,%00:1,2:5")
    assert listed(odd) == listed(opened(rated=f"{data}~2:5"))


def test_a_visitor_goes_through_an_address_and_a_file_unchanged(run_of):
    movies, scale = run_folder.find(run_of("bias")).movies, (1.0, 5.0)
    visitor = Visitor({3: 4.5, 1: 1.0}, {7})
    again = Visitor.of_address(visitor.address(movies), movies, scale)
    assert (again.stars, again.hidden) == (visitor.stars, visitor.hidden)
    other = Visitor()
    other.upload("mine.csv", visitor.csv(movies, scale).encode(), Titles(movies), scale)
    assert other.stars == visitor.stars
    many = Visitor(dict.fromkeys(range(IN_ADDRESS + 1), 1.0))
    assert many.address(movies.__class__.untitled(np.arange(IN_ADDRESS + 1))) == ""


def test_uploads_are_bounded_and_their_errors_are_sentences(run_of):
    movies, visitor = run_folder.find(run_of("bias")).movies, Visitor()
    line = f"{movies.titles[0]},5\n"
    for content, text in (
        (b"title,rating\n" + line.encode() * (LINES + 1), "big.csv has more than 20,000 lines"),
        (b"title,rating\n" + b"\r" * (3 * LINES), "big.csv has more than 20,000 lines"),
        (b"title,rating\nPlanted 1,nine\n", "big.csv:2: rating 'nine' is not a number"),
        (b"\x00\x01\x02", "big.csv"),
        (b"", "big.csv"),
        (gzip.compress(b"movieId,rating\n" + b"1,5\n" * 60_000), "big.csv is packed; unpack it first"),
    ):
        with pytest.raises(UserError) as refused:
            visitor.upload("big.csv", content, Titles(movies), (1.0, 5.0))
        assert text in str(refused.value)
        assert "ratings.csv" not in str(refused.value)  # the file it was put into for the reader
        assert not visitor.stars
    notes = visitor.upload("mine.csv", f"title,rating\n{line}".encode(), Titles(movies), (1.0, 5.0))
    assert notes[-1] == "mine.csv: 1 line: 1 rated movie is in the data"
    assert visitor.stars == {0: 5.0}
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in (["Film", "My rating"], [movies.titles[1], 4]):
        book.active.append(row)
    book.save(content)
    notes = visitor.upload("mine.xlsx", content.getvalue(), Titles(movies), (1.0, 5.0))
    assert notes[-1] == "mine.xlsx: 1 line: 1 rated movie is in the data"
    assert visitor.stars == {0: 5.0, 1: 4.0}


def test_what_a_file_says_was_seen_is_hidden_unless_it_is_rated():
    movies = Movies(np.arange(20, 26), [f"Cube {m} (199{m})" for m in range(6)], list(range(1990, 1996)), [[]] * 6)
    visitor = Visitor({1: 2.0, 4: 3.0}, {3, 5})
    rated, watched = ([f"2021-01-01,Cube {m},199{m},x" for m in of] for of in ([3, 1], range(5)))
    heading = "Date,Name,Year,Letterboxd URI"
    files = {
        "ratings.csv": "\n".join([f"{heading},Rating", *(f"{line},5" for line in rated)]),
        "watched.csv": "\n".join([heading, *watched]),
    }
    visitor.upload("boxd.zip", zip_of(files), Titles(movies), (1.0, 5.0))
    assert visitor.stars == {1: 5.0, 3: 5.0, 4: 3.0}
    assert visitor.hidden == {0, 2, 5}
    by_id = b"imdbID,Title,Year,Rating\ntt0000007,Wuerfel,2004,4\n"  # under a title that the data lack
    visitor.upload("imdb.csv", by_id, Titles(movies), (1.0, 5.0), Links({7: 2}, {}))
    assert visitor.stars[2] == 4.0
    visitor.upload_watchlist("list.csv", by_id, Titles(movies), Links({7: 2}, {}))
    assert visitor.watchlist == {2}


def test_an_upload_on_the_page(house, run_of):
    house(run_of("autorec", *QUICK))
    page = opened("Bring your ratings along")
    page.file_uploader[0].upload("mine.csv", b"title,rating\nPlanted 3,5\nnobody knows it,3\n", "text/csv")
    page = run(page)
    assert "left out, not in the data: 1 (nobody knows it)" in said(page)
    assert listed(page)
    page.file_uploader[0].upload("<b>.csv", b"title,rating\nPlanted 3,999\n", "text/csv")
    assert "&lt;b&gt;.csv:2: rating 999 is not from" in said(run(page))


def test_a_watchlist_leaves_only_its_movies_until_it_is_taken_away(house, run_of):
    house(run_of("autorec", *QUICK))
    page, content = opened("watchlist"), b"Name,Year\nPlanted 3,\nPlanted 5,\nnobody knows it,1999\n"
    page.file_uploader[0].upload("watchlist.csv", content, "text/csv")
    page = run(page)
    assert sorted(title.split(" (")[0] for title in listed(page)) == ["Planted 3", "Planted 5"]
    assert "watchlist.csv: 3 lines" in said(page)
    assert "of the watchlist 2 are in the data, 0 seen already, 2 left" in said(page)
    page.file_uploader[0].upload("<i>.csv", b"what,is\nthis,1\n", "text/csv")
    page = run(page)
    assert "&lt;i&gt;.csv" in said(page)
    assert len(listed(page)) == 2  # the one before still counts
    button = next(button for button in page.button if button.label == "All movies again")
    button.click()
    assert len(listed(run(page))) == 10


def test_titles_are_text_on_the_page(house, tmp_path):
    (tmp_path / "d").mkdir()
    lines = [f"{u},{m},{(u * m) % 5 + 1}" for u in range(1, 30) for m in range(1, 20) if (u + m) % 3]
    (tmp_path / "d" / "ratings.csv").write_text("userId,movieId,rating\n" + "\n".join(lines))
    with open(tmp_path / "d" / "movies.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["movieId", "title", "genres"])
        out.writerows([m, f"{EVIL} {m} (1999)", "<i>Drama"] for m in range(1, 20))
    with eagerly():
        train.main(["autorec", *QUICK, "--data", str(tmp_path / "d"), "--run", "runs/r"])
    page = stars(opened(), 0, 5)
    assert "&lt;script&gt;alert" in said(page)
    assert not [tag for tag in ("<script", "<img", "<i>") if tag in said(page)]
    point = {"movie": 0, "title": EVIL, "x": 0, "y": 0, "genre": None, "decade": 1990, "ratings": 9}
    found = str(map_figures.page_map([point], {"you rated": [point]}, {}))
    assert found.count("&lt;script&gt;") > 1
    assert "<script" not in found
    assert "<img" not in found


def test_a_model_without_a_latent_space_recommends_and_says_that_there_is_no_map(house, run_of):
    house(run_of("itemknn"))
    page = stars(opened("switches"), 0, 5)
    assert listed(page)
    assert page.selectbox(key="by").options == ["what did best on validation"]


def test_the_figures_of_a_run_are_those_of_evaluate(run_of, tmp_path, capsys):
    folder = shutil.copytree(run_of("autorec", *QUICK), tmp_path / "r")
    (folder / evaluation_results.NAME).unlink(missing_ok=True)
    assert evaluation_results.read(run_folder.Run(folder)) is None
    evaluate.main(["--run", str(folder), "--json", str(tmp_path / "j")])
    kept = evaluation_results.read(run_folder.Run(folder))
    assert kept == json.loads((tmp_path / "j").read_text())["runs"][0]
    run_folder.Run(folder).verify()
    whole = (folder / evaluation_results.NAME).read_bytes()
    content, stored = bytearray(whole), json.loads(whole)
    content[len(content) // 2] ^= 1
    other = json.dumps(stored | {"facts": stored["facts"].replace("1", "2", 1)})  # which is JSON all the same
    for damaged in (bytes(content), other.encode()):
        (folder / evaluation_results.NAME).write_bytes(damaged)
        with pytest.raises(UserError, match=r"evaluate\.py --run"):
            evaluation_results.read(run_folder.Run(folder))


def test_movies_are_asked_about_in_the_order_of_what_they_explain(varied, monkeypatch):
    """The oracle projects the likes on those of the movies chosen before, by least squares."""
    split = splits.split(datasets.load(str(varied)).ratings, "random", splits.Options())
    order, n = elicitation.order(split), split.ratings.shape[1]
    liked = (split.known.toarray() > split.ratings.like).astype(float)
    liked /= np.sqrt(np.maximum(liked.sum(axis=1, keepdims=True), 1))
    liked -= liked.mean(axis=0)

    def unexplained(movies):
        basis = liked[:, movies]
        return ((liked - basis @ np.linalg.lstsq(basis, liked, rcond=None)[0]) ** 2).sum()

    for k in range(4):
        left = {m: unexplained([*order[:k], m]) for m in range(n) if m not in order[:k]}
        assert left[order[k]] <= min(left.values()) + 1e-9
    assert sorted(order) == sorted(set(order))
    monkeypatch.setattr(elicitation, "CANDIDATES", 7)  # of which four are selected, and the other best known follow
    monkeypatch.setattr(elicitation, "SELECTED", 4)
    known = np.argsort(-split.known_count, kind="stable")[:7].tolist()
    few = elicitation.order(split).tolist()
    assert few[4:] == [m for m in known if m not in few[:4]]
    assert sorted(few) == sorted(known)


def test_a_click_on_no_movie_is_none():
    points = [{"movie": 7}, {"movie": 3}]
    assert map_page.clicked_on([{"customdata": [3]}], points) == 3
    assert map_page.clicked_on([{"customdata": 7}], points) == 7
    for event in ([], [{}], [{"customdata": [5]}]):  # `you`, and a movie of other data
        assert map_page.clicked_on(event, points) is None


def test_a_visitor_stands_where_the_last_rating_took_them_and_lines_lead_to_what_each_rating_speaks_for(run_of):
    saved = models.open_run(run_folder.Run(run_of("autorec", *QUICK)))
    shared, visitor = Shared(saved), Visitor({5: 5.0, 2: 1.0, 9: 4.0, 0: 2.0})
    shared.map = [{"movie": m, "x": np.sin(m), "y": np.cos(3 * m)} for m in range(23, -1, -1)]
    highlighted, paths = map_page.on_map(shared, visitor)
    at = {point["movie"]: (point["x"], point["y"]) for point in shared.map}
    assert [point["movie"] for point in highlighted["you rated"]] == [5, 2, 9, 0]
    assert all((point["x"], point["y"]) == at[point["movie"]] for point in highlighted["you rated"])
    them = visitor.profile(saved.ratings)
    items = recommendations.recommend(saved, them, "best", map_page.LISTED, explained=True)["items"]
    recommended = [item["movieId"] - 1 for item in items]
    assert [point["movie"] for point in highlighted["recommended to you"]] == recommended
    (way,) = paths["your way with each rating"]
    steps = latent_maps.trail(saved, them, [5, 2, 9, 0], shared.map).tolist()
    assert [[point["x"], point["y"]] for point in way] == steps
    assert highlighted["you"] == [{"title": "you", "x": steps[-1][0], "y": steps[-1][1]}]
    reasons = [
        (item["because"][0]["movieId"] - 1, movie)
        for item, movie in zip(items, recommended, strict=True)
        if item["because"][0]["effect"] > 0
    ]
    lines = paths["from what you rated to what is recommended for it"]
    assert [tuple(point["movie"] for point in line) for line in lines] == reasons
    assert reasons
    assert map_page.on_map(shared, Visitor(hidden={3})) == ({}, {})


def test_cards_begin_anew_when_all_were_seen():
    visitor, order = Visitor(), np.arange(8)
    seen = []
    for _ in range(4):
        visitor.fill(order)
        seen += visitor.cards
        visitor.others(order)
        assert visitor.cards
    assert set(seen) == set(range(8))


@pytest.mark.parametrize(
    ("scale", "steps"),
    [
        ((0.5, 5), [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]),
        ((1, 5), [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]),
        ((1, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_stars_come_in_halves_on_the_scale_of_the_data(scale, steps):
    assert rating.steps(scale) == steps


def test_a_rating_between_two_halves_shows_the_nearest_and_stays_until_it_is_cleared(house, run_of):
    house(run_of("autorec", *QUICK))
    data = run_folder.find().config["sha256"][:8]
    page = opened(rated=f"{data}~2:3.7")
    page.selectbox(key="search").set_value(shown(run_folder.find().movies.titles[1]))
    page = run(page)
    assert page.radio[0].value == 3.5
    assert page.session_state[f"rated {data}"].stars == {1: 3.7}
    page.button(key="clear-0").click()
    page = run(page)
    assert not page.session_state[f"rated {data}"].stars
    assert FIRST in said(page)


def test_a_change_in_the_table_of_ratings_is_of_the_movie_of_its_row(monkeypatch):
    class Session(dict):
        __setattr__ = dict.__setitem__

    edited = {"edited_rows": {2: {"stars": 7}, 0: {"stars": 0}, 1: {"stars": None}}, "deleted_rows": [3]}
    session = Session({"table": edited, "edits": 4})
    monkeypatch.setattr(rating.st, "session_state", session)
    visitor = Visitor({5: 2.0, 3: 6.0, 8: 1.0, 4: 9.0})
    rating.edit(SimpleNamespace(scale=(0.0, 10.0)), visitor, [5, 3, 8, 4], "table")
    assert visitor.stars == {5: 0.001, 3: 6.0, 8: 7.0}  # what stands for 0, which would be no rating
    assert session["edits"] == 5


def planted_run(known, liked, vectors=None, links=((), ())):
    """As much of a run as the first list and a file for Letterboxd take."""
    n = len(known)
    movies = Movies(np.arange(10, 10 + n), [f"Matrix {m}, The (1999)" for m in range(n)], [1999] * n, [["War"]] * n)
    ratings = SimpleNamespace(movie_known=np.array(known), movie_likes=np.array(liked), scale=(1.0, 5.0))
    found = [{number: movie for movie, number in enumerate(column) if number} for column in links]
    space = None if vectors is None else SimpleNamespace(movies=np.array(vectors, np.float32))
    config = {"sha256": "0" * 64}
    run_ = SimpleNamespace(movies=movies, links=found, config=config)
    return Shared(SimpleNamespace(run=run_, ratings=ratings, space=space, neighbourhoods=space))


def test_the_first_list_is_what_most_people_like_and_no_two_alike():
    shared = planted_run(known=[3, 200, 200, 100, 0], liked=[3, 180, 190, 90, 0])
    found = listing.well_liked(shared, Visitor(hidden={3}), 3, reranking.Options())
    assert [item["movieId"] - 10 for item in found["items"]] == [2, 1, 0]  # three likes of three tell little
    assert found["items"][0]["liked"] == "95% of the 200 who rated it like it"
    p, n, z = 0.95, 200, 3  # Wilson's interval
    low = (p + z * z / 2 / n - z * (p * (1 - p) / n + z * z / 4 / n / n) ** 0.5) / (1 + z * z / n)
    assert found["items"][0]["score"] == pytest.approx(low)
    alike = planted_run([200] * 4, [190, 189, 188, 100], [[1, 0], [1, 0], [0, 1], [0, 1]])
    found = listing.well_liked(alike, Visitor(), 2, reranking.Options())
    assert [item["movieId"] - 10 for item in found["items"]] == [0, 2]


def test_letterboxd_gets_titles_as_one_says_them_years_and_ids():
    shared = planted_run([1, 1], [1, 1], links=([133093, None], [603, None]))
    items = [shared.movies.describe(movie) for movie in (1, 0)]
    rows = list(csv.reader(io.StringIO(listing.letterboxd(shared, items))))
    assert rows[0] == ["Title", "Year", "imdbID", "tmdbID"]
    assert rows[1:] == [["The Matrix 1", "1999", "", ""], ["The Matrix 0", "1999", "tt0133093", "603"]]


def test_what_each_rating_adds_is_listed_the_most_first():
    because = [
        {"title": f"Cube {m} (1997)", "rating": m, "effect": effect} for m, effect in enumerate([0.5, 0.1, -0.2])
    ]
    item = {"score": 1.25, "because": because}
    text = str(listing._why(item))
    assert text.index("Cube 0 0 <b>+0.5") < text.index("Cube 2 2 <b>-0.2") < text.index("Cube 1 1 <b>+0.1")
    assert "score of 1.25" in text
    assert "width:40%" in text
    many = [{"title": "A", "rating": 1, "effect": 0.25}] * (listing.NAMED + 3)
    assert "3 others together <b>+0.75" in str(listing._why({"score": 1, "because": many}))


def test_genres_left_out_and_what_is_well_known_are_options_of_the_list(house, run_of, capsys):
    house(run_of("autorec", *QUICK))
    page = stars(opened("switches"), 0, 5)
    names = run_folder.find().movies.genre_names
    page.pills(key="without").set_value([names[0]])
    page.pills(key="known").set_value("low")
    page = run(page)
    assert f"Only no {names[0]}, less known" in said(page)
    (movie, value), *_ = page.session_state["rated " + run_folder.find().config["sha256"][:8]].stars.items()
    rated = f"{run_folder.find().movies.titles[movie]}={value:g}"
    found = answer(capsys, "--rate", rated, "--without-genre", names[0], "--popularity", "low")
    assert listed(page) == [shown(item["title"]) for item in found["items"]]


def test_options_are_drawn_once_somebody_wants_one(house, run_of):
    house(run_of("autorec", *QUICK))
    page = opened()
    assert not page.pills
    page.session_state["switches"] = True
    page = run(page)
    page.pills(key="n").set_value(5)
    page = run(page)
    page.session_state["switches"] = False
    assert len(listed(run(page))) == 5
    assert page.pills(key="n").value == 5
    page = opened(n="20", known="less known")
    assert page.pills(key="known").value == "low"
    assert "Only less known" in said(page)


def test_two_people_see_their_lists_and_what_both_would_like(house, run_of):
    house(run_of("autorec", *QUICK))
    run_ = run_folder.find()
    data, saved = run_.config["sha256"][:8], models.open_run(run_)
    page = opened(page="Two together", rated=f"{data}~2:5,4:1")
    assert "Then their list comes here" in said(page)
    for text, error in (("http://x/?rated=1~7", "no address of this page"), ("x?rated=00000000~7:5", "of other data")):
        page.text_input(key="pasted").set_value(text)
        page = run(page)
        assert error in said(page)
    page.text_input(key="pasted").set_value(f"http://127.0.0.1/?model=r&rated={data}~7%3A5%2C2%3A1")
    page = run(page)
    page.pills(key="join").set_value("fair")
    page = run(page)
    people = [
        (name, Visitor(rated).profile(saved.ratings))
        for name, rated in (("you", {1: 5.0, 3: 1.0}), ("they", {6: 5.0, 1: 1.0}))
    ]
    items = group.recommend(saved, people, "best", 10, "fair")["items"]
    text = said(page)
    assert re.findall('<span class="title">(.*?)</span>', text)[:10] == [brief(i["title"], i["year"]) for i in items]
    of_each = [" · ".join(f"{one['who']} {listing.stars(one)[0]}" for one in item["people"]) for item in items]
    assert [
        about[: len(each)] for about, each in zip(re.findall('"about">(.*?)</p>', text), of_each, strict=False)
    ] == of_each
    again = opened(page="Two together", rated=f"{data}~2:5,4:1", **{"with": "".join(page.query_params["with"])})
    again.pills(key="join").set_value("fair")
    assert said(run(again)) == text


@pytest.mark.parametrize("join", ["fair", "average"])
def test_the_lists_of_two_obey_what_is_chosen_for_both(join, monkeypatch):
    asked, shown = [], []
    filters = reranking.Options(genre=("War",), diverse=0.3)
    quiet = dict.fromkeys(("header", "text_input", "subheader"), lambda *_, **__: None)
    columns = lambda n, **_: [contextlib.nullcontext()] * (n if isinstance(n, int) else len(n))  # noqa: E731
    fake = SimpleNamespace(**quiet, columns=columns, pills=lambda *_, **__: join, button=lambda *_, **__: None)
    monkeypatch.setattr(together, "st", fake)
    monkeypatch.setattr(together, "say", shown.append)
    monkeypatch.setattr(together, "_show", shown.append)
    monkeypatch.setattr(together.rating, "file_upload", lambda *of: asked.append(of))
    monkeypatch.setattr(together.listing, "options", lambda _: ("movies", 7, filters))
    both = {"items": ["for both"], "notes": ["of both"]}
    monkeypatch.setattr(together.group, "recommend", lambda *of: asked.append(of) or both)
    of_one = lambda saved, profile, *of: asked.append((saved, profile, *of)) or {"items": [profile]}  # noqa: E731
    monkeypatch.setattr(together.recommendations, "recommend", of_one)
    shared = SimpleNamespace(saved=SimpleNamespace(ratings="ratings"))
    one, other = (SimpleNamespace(stars={1: 5.0}, profile=name.format, not_found="", forget=None) for name in "AB")
    together.page(shared, one, other)
    saved = shared.saved
    assert asked[1:] == [
        (saved, [("you", "A"), ("they", "B")], "movies", 7, join, filters),
        (saved, "A", "movies", 7, replace(filters, discover=0)),
        (saved, "B", "movies", 7, replace(filters, discover=0)),
    ]
    assert asked[0][:2] == (shared, other)
    in_turn = ["each in turn takes no account of diversity."] if join == "fair" else []
    assert shown[1:] == ["of both.", *in_turn, ["for both"], ["A"], ["B"]]


@pytest.mark.parametrize("n", [2, 200, 201])
def test_the_list_of_one_obeys_what_is_chosen_and_is_explained_where_that_is_quick(n, monkeypatch):
    asked = []
    monkeypatch.setattr(listing.recommendations, "recommend", lambda *of: asked.append(of) or {"notes": []})
    shared = SimpleNamespace(saved=SimpleNamespace(ratings="ratings", takes_strangers=True))
    visitor = SimpleNamespace(stars=dict.fromkeys(range(n), 4.0), profile=lambda of: f"by {of}", watchlist={3})
    filters = reranking.Options(genre=("War",))
    notes = listing._answer(shared, visitor, "movies", 7, filters)["notes"]
    assert asked == [(shared.saved, "by ratings", "movies", 7, filters, n <= 200, {3})]
    assert notes == (["Reasons are given for up to 200 ratings."] if n > 200 else [])


@pytest.mark.parametrize("model", ["autorec --rows movies", "bayesfm --samples 12"])
def test_models_that_know_no_strangers_say_so_or_list_what_they_can(house, run_of, model):
    name, *more = model.split()
    house(run_of(name, *more, *(QUICK if name == "autorec" else ())))
    page = stars(opened("switches"), 0, 5)
    if name == "autorec":
        offered = set(page.selectbox(key="by").options)
        assert {STRATEGIES["movies"]} <= offered <= {STRATEGIES["movies"], STRATEGIES["best"]}
        assert listed(page)
    else:
        assert "knows its users&#39; own ratings only" in said(page)


def test_a_damaged_run_leaves_the_others_to_choose(house, run_of):
    house(run_of("itemknn"), "whole")
    damaged = house(run_of("autorec", *QUICK), "damaged")
    (damaged / "config.json").write_text("{}")
    (damaged / "MANIFEST").touch()
    page = opened()
    assert "config.json is damaged" in said(page)
    page.selectbox(key="model").set_value("whole")
    assert "Rate a movie" in said(run(page))


def test_a_run_with_damage_in_what_the_page_does_not_read_is_refused_too(house, run_of):
    with open(house(run_of("itemknn")) / "history.csv", "a", encoding="utf-8") as file:
        file.write("1")
    assert "history.csv is damaged" in said(opened())


def test_an_address_of_other_data_is_left_out(house, run_of):
    house(run_of("autorec", *QUICK))
    data = run_folder.find().config["sha256"][:8]
    assert listed(opened(rated=f"{data}~2:5"))
    assert FIRST in said(opened(rated="00000000~2:5"))


def test_a_search_completes_the_best_known_movies_and_finds_the_others(monkeypatch):
    monkeypatch.setattr("utils.report.latent_maps.MOST", 3)
    titles = ["Matrix, The (1999)", "Cube (1997)", "Matrix, The (1999)", "Alien (1979)"]
    movies, known = Movies(np.array([5, 8, 21, 3]), titles, [1999, 1997, 1999, 1979], [[]] * 4), np.array([1, 9, 4, 0])
    run_ = SimpleNamespace(movies=movies, config={"sha256": ""}, titles=Titles(movies, known))
    shared = Shared(SimpleNamespace(run=run_, ratings=SimpleNamespace(movie_known=known, scale=(0.5, 5.0))))
    assert list(shared.labels.items()) == [("Cube (1997)", 1), ("The Matrix (1999)", 2), ("The Matrix (1999) [5]", 0)]
    assert [shared.find(text) for text in ("The Matrix (1999)", "The Matrix (1999) [5]", "alien")] == [2, 0, 3]
    assert shared.find(" matri ") == 2  # the better known
    for text in ("nothing", " "):
        with pytest.raises(UserError, match=f"no movie is called '{text}'"):
            shared.find(text)
