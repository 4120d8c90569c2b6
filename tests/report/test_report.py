"""evaluate.py --report: every number is that of --json, and the page stands in a browser without a network."""

import html.parser
import json
import shlex
import shutil
import time
import types
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, eagerly, random_ratings, real
from sklearn.manifold import trustworthiness

import evaluate
import models
import train
from utils.data import splits
from utils.data.movies import Movies
from utils.errors import UserError
from utils.evaluation import beyond_accuracy, bootstrap, holdout_metrics, reconstruction
from utils.evaluation.bootstrap import Metric
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend import profile, recommendations
from utils.report import figures, latent_maps, map_figures, page, pictures
from utils.runs import run_folder
from utils.scoring import latent
from utils.scoring.latent import LatentSpace

QUICK = ("--hidden", "8", "--epochs", "3")


@pytest.fixture(scope="module")
def folder(run_of):
    return run_of("autorec", *QUICK)


@pytest.fixture(scope="module")
def written(folder, run_of, tmp_path_factory):
    """(path of the report, what --json says) of two runs at once, by a command with a space in it."""
    place = tmp_path_factory.mktemp("re port")
    both = ["--run", str(folder), str(run_of("bias"))]
    evaluate.main([*both, "--json", str(place / "f.json"), "--report", str(place / "r.html")])
    return place / "r.html", json.loads((place / "f.json").read_text())


class Numbers(html.parser.HTMLParser):
    """The numbers of a page: (path into --json, full value, as shown); and all that it would load."""

    def __init__(self, text):
        super().__init__()
        self.found, self.loads, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.open = (attributes["data-of"], attributes["value"]) if tag == "data" else None
        self.loads += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_data(self, text):
        if self.open:
            self.found.append((*self.open, text))
            self.open = None


def at(facts, pointer):
    """The value at a JSON pointer (RFC 6901)."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return reduce(lambda value, step: value[int(step) if isinstance(value, list) else step], steps, facts)


def test_every_number_of_the_report_is_one_of_json(written):
    path, facts = written
    page = Numbers(path.read_text(encoding="utf-8"))
    assert len(page.found) > 200
    for pointer, value, shown in page.found:
        assert float(value) == at(facts, pointer), pointer
        places = len(shown.rstrip("%").partition(".")[2]) + 2 * shown.endswith("%")
        number = float(shown.replace(",", "").rstrip("%")) / (100 if shown.endswith("%") else 1)
        exact = abs(number - float(value)) <= 0.5001 * 10**-places
        assert exact or ("e" in shown and number == pytest.approx(float(value), rel=0.06)), (pointer, value, shown)
    shown = {pointer for pointer, _, _ in page.found}
    for i, run in enumerate(facts["runs"]):
        assert {f"/runs/{i}/metrics/{name}/low" for name in run["metrics"]} <= shown
        text = path.read_text(encoding="utf-8")
        assert all(line.replace("'", "&#39;") in text for line in (*run["said"]["headlines"], *run["said"]["plain"]))
    assert page.loads == ["data:,"]


def test_each_section_draws_its_own_part_of_the_facts(written):
    run = written[1]["runs"][0]
    drawn, of = page.sections(run), run["pictured"]
    assert drawn.pop("learning") == figures.learning(run["learning"])
    assert drawn.pop("slices") == figures.slices(run["slices"])
    assert drawn.pop("reconstruction") == figures.reconstruction(of["block"], of["violins"], run["stars"])
    assert drawn.pop("dimensions") == [figures.dimensions(run["latent"]["dimensions"])]
    for kind, n in (("movies", 24), ("users", 40)):
        (plot,) = drawn.pop(kind)
        assert plot == map_figures.report_map(of[kind], kind)
        assert plot["alt"].startswith(f"Map of {n} {kind}")
    assert not drawn


def test_no_tag_can_begin_in_the_data_of_the_plots(written):
    data = written[0].read_text(encoding="utf-8").split('id="plots">')[1].split("</script>")[0]
    assert "<" not in data
    assert "<extra></extra>" in json.dumps(json.loads(data))  # as the texts beside the pointer end


def test_the_report_says_which_command_writes_it(written):
    path, facts = written
    words = shlex.split(facts["command"])
    assert (words[:2], words[-2:]) == (["evaluate.py", "--run"], ["--report", str(path)])
    assert f"&#39;{path}&#39;" in path.read_text(encoding="utf-8")


def test_json_alone_says_the_same_without_what_is_only_drawn(written, folder, capsys):
    capsys.readouterr()
    evaluate.main(["--run", str(folder), "--json", "-"])
    alone = json.loads(capsys.readouterr().out)["runs"][0]
    beside = dict(written[1]["runs"][0])
    assert beside.pop("pictured")
    for facts in (alone, beside):
        facts.pop("seconds")
    assert alone == beside


def test_runs_are_compared_with_p_adjusted_and_a_verdict(written):
    _, facts = written
    (pair,) = facts["comparisons"]
    for name in ("rmse", "ndcg@100", "coverage@10"):
        row = pair["metrics"][name]
        ours, theirs = (run["metrics"][name]["value"] for run in facts["runs"])
        assert row["value"] == pytest.approx(ours - theirs)
        assert row["low"] <= row["value"] <= row["high"]
        assert 0 <= row["p"] <= row["p_holm"] <= 1
        assert row["verdict"] in ("better", "worse", "higher", "lower", "can't tell")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "1", "data": "other"}, r"their ratings differ \(a and other\)"),
        ({"protocol": "strong"}, "their protocol is random and strong"),
        ({"seed": 7}, "their seed is 0 and 7"),
        ({}, "the options of their protocol"),
    ],
)
def test_runs_that_can_not_be_compared_say_why(change, said):
    def opened(folder, test, **config):
        split = types.SimpleNamespace(test_fingerprint=lambda: test)
        return types.SimpleNamespace(folder=folder, split=split, config=config)

    config = {"data": "a", "sha256": "0", "protocol": "random", "seed": 0, "like": 3.5, "scale": [1, 5]}
    a, same = opened("A", "x", **config), opened("S", "x", **config | change)
    with pytest.raises(UserError, match=f"A and B can't be compared: {said}"):
        evaluate.check_comparable(a, opened("B", "y", **config | change))
    assert evaluate.check_comparable(a, same) is None  # whatever else differs, they are judged on the same ratings
    for other, why in (
        ({"scale": [0.5, 5]}, r"predictions are cut to 1 to 5 stars in one, to 0.5 to 5 in the other \(--scale\)"),
        ({"like": 2.5}, r"a like is a rating above 3.5 stars in one, above 2.5 in the other \(--like\)"),
    ):
        with pytest.raises(UserError, match=f"A and B can't be compared: {why}"):
            evaluate.check_comparable(a, opened("B", "x", **config | other))


def test_what_is_judged_is_what_makes_runs_comparable():
    def fingerprint(table, **options):
        return splits.split(table, "random", splits.Options(**options)).test_fingerprint()

    table = random_ratings()
    assert fingerprint(table) == fingerprint(replace(table, timestamp=np.arange(len(table))))
    assert fingerprint(table) == fingerprint(table, validation_share=0.2)
    changed = [fingerprint(table, seed=1), fingerprint(table, test_share=0.2)]
    changed.append(fingerprint(replace(table, movie_ids=table.movie_ids + 1)))
    changed.append(fingerprint(replace(table, rating=np.roll(table.rating, 1))))
    assert len({fingerprint(table), *changed}) == 5


def test_a_report_that_could_not_be_written_is_refused_before_anything_is_judged(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_: pytest.fail("evaluated"))
    for arguments, said in (
        (["--report", str(tmp_path / "no" / "r.html")], "can't be written"),
        (["--report", str(tmp_path)], "is a folder"),
        (["--report", "-"], "takes a file of its own"),
        (["--report", str(tmp_path / "x"), "--json", str(tmp_path / "x")], "takes a file of its own"),
    ):
        with pytest.raises(UserError, match=said):
            evaluate.main(["--run", str(folder), *arguments])


@pytest.mark.parametrize("name", ["ease", "bayesfm", "popularity"])
def test_models_without_stars_or_latent_space_get_a_report(name, run_of, tmp_path):
    few = ("--samples", "12") if name == "bayesfm" else ()
    evaluate.main(["--run", str(run_of(name, *few)), "--report", str(tmp_path / "r.html")])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"{name} has no latent space" in text
    assert ("predicts no stars" in text) == (name != "bayesfm")


def test_titles_are_text_in_the_report(tmp_path):
    (tmp_path / "d").mkdir()
    lines = [f"{u},{m},{(u * m) % 5 + 1}" for u in range(1, 30) for m in range(1, 20) if (u + m) % 3]
    (tmp_path / "d" / "ratings.csv").write_text("userId,movieId,rating\n" + "\n".join(lines))
    evil = "</script><script>alert(1)</script><b>x"
    titles = "\n".join(f"{m},{evil} {m} (1999),Drama" for m in range(1, 20))
    (tmp_path / "d" / "movies.csv").write_text("movieId,title,genres\n" + titles)
    with eagerly():
        train.main(["autorec", *QUICK, "--data", str(tmp_path / "d"), "--run", str(tmp_path / "run")])
    evaluate.main(["--run", str(tmp_path / "run"), "--report", str(tmp_path / "r.html")])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>x" not in text


# -- in a browser ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_the_report_stands_in_a_browser(browser, written, width, scheme, tmp_path):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, requests = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(written[0].as_uri())
    page.wait_for_selector("body[data-drawn=yes]", timeout=120_000)
    plots = page.locator(".plot")
    assert plots.count() == page.locator(".plot .main-svg").count() // 3 > 10
    assert all(one.get_attribute("aria-label") for one in plots.all())
    labels = page.locator(f"#{page.locator('.switch button').first.get_attribute('data-for')} g.text text")
    assert sum(bool(text.strip()) for text in labels.all_text_contents()) > 3  # titles, before anything is touched
    page.get_by_role("button", name="decade").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    page.close()
    assert said == []
    assert requests == [written[0].as_uri()]


# -- what the plots are made of ----------------------------------------------------------------------------------------


def test_a_run_keeps_a_learning_curve_of_its_history(folder, run_of, painted, tmp_path):
    run = run_folder.Run(folder)
    lines = figures.curves(run.history)
    assert [line["of"] for line in lines] == ["train", "refit"]
    assert lines[0]["epoch"] == [1, 2, 3]
    assert lines[0]["judged"]["val_rmse"] == [float(row["val_rmse"]) for row in run.history if row["phase"] == "train"]
    assert lines[1]["judged"] == {}
    pictures.write(tmp_path / "painted.png", figures.learning(lines), 2)
    assert (tmp_path / "painted.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "learning_curve.png").exists()
    assert not (run_of("bias") / "learning_curve.png").exists()


def test_a_png_shows_the_values_of_the_plots(tmp_path, monkeypatch):
    drawings = []

    def keep(drawing, file, **_):
        drawings.append(drawing)
        Path(file).write_bytes(b"")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", keep)
    rng = np.random.default_rng(0)
    actual, users = rng.integers(1, 6, 200).astype(float), rng.integers(0, 20, 200)
    predicted = np.clip(actual + rng.normal(0, 0.5, 200), 1, 5)
    block = {"users": [7, 8], "movies": ["A", "B"], "original": [[1.0, None], [4.0, 5.0]]}
    block["reconstruction"] = [[1.5, 2.0], [3.0, 5.0]]
    stars = reconstruction.predicted_beside_actual(users, predicted, actual, 20, (1, 5))
    plots = figures.reconstruction(block, reconstruction.violins(predicted, actual), stars)
    pictures.write(tmp_path / "r.png", plots, 3)
    original, rebuilt, error, violins, calibration, errors = drawings[0].axes[:6]
    assert [axes.get_title() for axes in drawings[0].axes[:6]] == [plot["layout"]["title"]["text"] for plot in plots]
    assert original.images[0].get_array().tolist() == [[1.0, None], [4.0, 5.0]]
    assert rebuilt.images[0].get_array().tolist() == block["reconstruction"]
    assert error.images[0].get_array().tolist() == [[0.5, None], [-1.0, 0.0]]
    assert error.images[0].get_clim() == (-2, 2)
    assert len(violins.collections) == 25  # five bodies, each with minimum, maximum, median and a bar
    assert calibration.lines[0].get_ydata().tolist() == [row["value"] for row in stars["calibration"]]
    assert [bar.get_height() for bar in errors.patches] == stars["residuals"]["counts"]
    np.testing.assert_allclose([bar.get_width() for bar in errors.patches], np.diff(stars["residuals"]["edges"]))


def test_the_block_is_what_was_rated_and_what_is_predicted(folder):
    run = run_folder.Run(folder)
    split = run.split

    def predict(given, users, movies):
        assert given is split.test.given
        return users + movies / 100

    block = reconstruction.block(predict, split, run.movies)
    stars = split.ratings.matrix().toarray()
    titles = [title.split(" (")[0] for title in run.movies.titles]
    for user, own, found in zip(block["users"], block["original"], block["reconstruction"], strict=True):
        u = split.ratings.user_ids.tolist().index(user)
        for title, value, other in zip(block["movies"], own, found, strict=True):
            m = titles.index(title)
            assert (value or 0) == stars[u, m]
            assert other == pytest.approx(np.clip(u + m / 100, *split.ratings.scale), abs=1e-3)
    kinds = [u % 2 for u in block["users"]]
    assert sum(a != b for a, b in pairwise(kinds)) == 1  # like beside like: all of one kind first
    rng, ratings = np.random.default_rng(0), split.ratings
    vectors = [np.eye(4)[np.arange(n) % 4] + rng.normal(0, 0.01, (n, 4)) for n in ratings.shape]
    found = reconstruction.block(predict, split, run.movies, (vectors[0], vectors[1]))
    for kinds in (
        [ratings.user_ids.tolist().index(u) % 4 for u in found["users"]],
        [titles.index(m) % 4 for m in found["movies"]],
    ):
        assert sum(a != b for a, b in pairwise(kinds)) == 3  # and by the vectors, where there are some


def test_the_block_is_of_who_rated_most_and_what_was_rated_most(monkeypatch):
    monkeypatch.setattr(reconstruction, "BLOCK", 5)
    table = random_ratings()
    split = splits.split(table, "random", splits.Options())
    found = reconstruction.block(lambda _, users, __: 3 + 0 * users, split, Movies.untitled(table.movie_ids))

    def most(column, ids):
        count = np.bincount(column)
        return {ids[i] for i in sorted(range(len(count)), key=lambda i: (-count[i], i))[:5]}

    assert set(found["users"]) == most(table.user, table.user_ids)
    assert set(found["movies"]) == {f"movie {i}" for i in most(table.movie, table.movie_ids)}


def test_calibration_and_quartiles_are_those_of_the_test_ratings():
    rng = np.random.default_rng(0)
    actual, users = rng.integers(1, 6, 500).astype(float), rng.integers(0, 40, 500)
    predicted = actual + rng.normal(0, 0.3, 500)
    found = reconstruction.predicted_beside_actual(users, predicted, actual, 40, (1, 5))
    order = np.argsort(predicted)[:50]
    first = found["calibration"][0]
    assert (first["predicted"], first["value"], first["n"]) == pytest.approx(
        (predicted[order].mean(), actual[order].mean(), 50)
    )
    counts, edges = np.histogram(predicted + 0.5 - actual, bins=48, range=(-4, 4))  # above: nobody predicted too low
    above = reconstruction.predicted_beside_actual(users, predicted + 0.5, actual, 40, (1, 5))["residuals"]
    assert (above["counts"], above["edges"]) == (counts.tolist(), edges.tolist())
    assert sum(above["counts"][24:]) > 450
    assert found["stars"][2]["median"] == pytest.approx(np.median(predicted[actual == 3]))
    assert [len(one["predicted"]) for one in reconstruction.violins(predicted, actual)] == [
        int((actual == value).sum()) for value in range(1, 6)
    ]
    (many,) = reconstruction.violins(np.arange(2 * reconstruction.MOST) / 8, np.full(2 * reconstruction.MOST, 3.0))
    assert (many["actual"], len(set(many["predicted"])), len(many["predicted"])) == (3, *[reconstruction.MOST] * 2)


def test_the_known_movies_are_the_most_rated_of_those_that_were_rated_at_all(monkeypatch):
    def like(_, liked, n):
        return {"like": [{"title": f"M{liked[0]}"}], "items": [{"title": "A", "score": n / 10}]}

    monkeypatch.setattr(recommendations, "movies_like", like)
    near = [{"title": "A", "cosine": latent_maps.NEAR / 10}]
    found = latent_maps.neighbours(None, np.array([0, 1, 5, 2]))
    assert found == [{"title": title, "near": near} for title in ("M2", "M3", "M1")]
    assert len(latent_maps.neighbours(None, np.ones(100))) == latent_maps.KNOWN


def test_dimensions_say_what_they_carry_and_lean_to():
    rng = np.random.default_rng(1)
    genres = [["War"] if m % 2 else ["Comedy"] for m in range(200)]
    vectors = rng.normal(size=(200, 3)) * [1, 3, 2]
    vectors[:, 1] += np.where(np.arange(200) % 2, 3, -3)
    rows = latent_maps.dimensions(vectors, genres, np.arange(200))
    assert [row["unit"] for row in rows] == [1, 2, 0]
    variance = vectors.var(axis=0)
    assert [row["variance"] for row in rows] == pytest.approx((variance / variance.sum())[[1, 2, 0]])
    war = np.arange(200) % 2
    assert rows[0]["leans_to"]["genre"] == "War"
    assert rows[0]["leans_to"]["correlation"] == pytest.approx(np.corrcoef(vectors[:, 1], war)[0, 1])
    assert rows[0]["away_from"]["genre"] == "Comedy"


def planted_genres(n=80, spread=1.0):
    """Vectors of movies of three genres, n each, that lie apart in a space of 12 dimensions, and the genres."""
    rng, middle = np.random.default_rng(3), 4 * np.eye(3, 12)
    return np.concatenate([rng.normal(one, spread, (n, 12)) for one in middle]), np.repeat(
        ["War", "Comedy", "Horror"], n
    )


def test_movies_near_each_other_in_latent_space_are_near_on_the_map():
    vectors, genres = planted_genres()
    places = latent_maps.embedded(vectors)
    assert trustworthiness(vectors - vectors.mean(axis=0), places, n_neighbors=10, metric="cosine") > 0.9
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    nearest = genres[distance.argsort(axis=1)[:, 1:11]]
    assert (nearest == genres[:, None]).mean() > 0.95  # genres that are apart stay apart
    np.testing.assert_array_equal(places, latent_maps.embedded(vectors))


@pytest.mark.parametrize("vectors", [np.ones((60, 4)), np.eye(3), np.linspace(-1, 1, 9)[:, None], np.zeros((1, 2))])
def test_vectors_that_have_no_two_dimensions_get_places_all_the_same(vectors):
    places = latent_maps.embedded(vectors)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_a_genre_is_named_amid_its_movies_and_its_region_holds_them():
    rng, middles = np.random.default_rng(4), {"Comedy": (-40, 0), "Horror": (40, 5), "War": (0, 60)}
    points = [
        {"genre": name, "x": x, "y": y}
        for name, middle in middles.items()
        for x, y in rng.normal(middle, 6, (60, 2)).tolist()
    ]
    outlines, labels = map_figures.regions([*points, {"genre": None, "x": 0, "y": 0}])
    assert {label["title"]: (label["x"], label["y"]) for label in labels} == {
        name: pytest.approx(middle, abs=6) for name, middle in middles.items()
    }
    for name, outline in zip(sorted(middles), outlines, strict=True):
        inside = np.array(outline["z"]) > 0
        cells = [
            (np.abs(np.array(outline["y"]) - p["y"]).argmin(), np.abs(np.array(outline["x"]) - p["x"]).argmin())
            for p in points
        ]
        held = np.array([inside[cell] for cell in cells])
        of_genre = np.array([point["genre"] == name for point in points])
        assert held[of_genre].mean() > 0.9
        assert not held[~of_genre].any()
    assert map_figures.regions([{"genre": "War", "x": 1, "y": 1}]) == ([], [])
    there = next(label for label in labels if label["title"] == "War")
    moved = next(label for label in map_figures.regions(points, [there])[1] if label["title"] == "War")
    cells = np.array([120, 100]) / map_figures.CELLS  # about the size of one
    assert (np.abs([moved["x"] - there["x"], moved["y"] - there["y"]]) > 1.5 * cells).any()


def test_names_on_a_map_touch_neither_each_other_nor_the_edge_of_a_telephone():
    def at(x, y, title):
        return {"x": x, "y": y, "title": title}

    # 320 x 440 px: a letter of a movie's name takes 6.6, of a genre's 8.25
    corners = [at(0, 0, "A"), at(320, 440, "B")]
    first, beside, above = at(160, 220, "0123456789"), at(225, 220, "0123456789"), at(160, 240, "0123456789")
    assert map_figures.apart([*corners, first, beside, above], []) == [*corners, first, above]
    further, wide = at(230, 220, "0123456789"), at(310, 100, "0123456789")
    assert map_figures.apart([*corners, first, further, wide], []) == [*corners, first, further]
    assert map_figures.apart([*corners, first], [at(160, 200, "Drama")]) == [*corners]
    assert len(map_figures.apart([*corners, *(at(160, 22 * i, "x") for i in range(20))], [])) == map_figures.LABELS


def test_the_map_is_computed_once_and_again_for_a_new_training(folder, tmp_path, monkeypatch):
    run = run_folder.Run(shutil.copytree(folder, tmp_path / "r"))
    (run.folder / latent_maps.KEPT).unlink(missing_ok=True)
    made = latent_maps.kept_map(models.open_run(run))
    run.verify()
    monkeypatch.setattr(latent_maps, "movie_map", lambda _: {"points": "again"})
    assert latent_maps.kept_map(models.open_run(run)) == made
    with open(run.folder / latent_maps.KEPT, "r+") as file:
        file.write("damaged")
    assert latent_maps.kept_map(models.open_run(run)) == {"points": "again"}
    run.sha256 = "of another training"
    monkeypatch.setattr(latent_maps, "movie_map", lambda _: {"points": "new"})
    assert latent_maps.kept_map(models.open_run(run)) == {"points": "new"}


def test_people_and_movies_off_the_map_stand_amid_their_nearest(folder):
    """And somebody's way ends where they are."""
    saved = models.open_run(run_folder.Run(folder))
    points = [{"movie": movie, "x": 10.0 * place, "y": -place} for place, movie in enumerate((9, 4, 7, 1))]
    codes = saved.space.movies[[2, 4]]
    nearest, _ = latent.near(
        saved.space.movies, codes, 3, np.array([9, 4, 7, 1]), [-1] * 2, saved.space.whitenings["movies"]
    )
    at_ = {point["movie"]: (point["x"], point["y"]) for point in points}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(latent_maps, "AMID", 3)
        found = latent_maps.places(saved, codes, points)
    assert found.tolist() == [np.median([at_[movie] for movie in row], axis=0).tolist() for row in nearest]

    stars = {5: 4.0, 2: 1.0, 8: 5.0}
    user_profile = profile.of_ratings(saved.ratings, stars)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(latent_maps, "places", lambda _, vectors, __: vectors)
        trail = latent_maps.trail(saved, user_profile, list(stars), points)
    for step in range(1, 4):
        so_far = profile.of_ratings(saved.ratings, dict(list(stars.items())[:step]))
        np.testing.assert_allclose(trail[step - 1], saved.encode(so_far, so_far.rows)[0], atol=1e-6)
    assert len(np.unique(trail.round(4), axis=0)) == 3


def test_the_map_colours_genres_by_standard_errors_and_draws_the_rarest_first(monkeypatch):
    monkeypatch.setattr(latent_maps, "GENRES", 2)
    vectors = np.repeat([[3.0, 0.0], [0.0, -1.6], [0.0, 2.0]], [20, 100, 80], axis=0)
    genres = [["Noir"]] * 20 + [["Drama"]] * 100 + [["Comedy"]] * 80  # 12, 16 and 18 standard errors away
    assert latent_maps.distinctive_genres(vectors, genres) == ["Comedy", "Drama"]


def test_tensorboard_gets_weights_and_the_latent_space_with_titles(planted, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow import make_ndarray

    with eagerly():
        train.main(["autorec", *QUICK, "--tensorboard", "--data", str(planted[0]), "--run", str(tmp_path / "r")])
    logs, run = tmp_path / "r.tensorboard", run_folder.Run(tmp_path / "r")
    space = LatentSpace.load(run.arrays("latent.npz"))
    config = (logs / "projector_config.pbtxt").read_text()
    for name, vectors in (("movies", space.movies), ("users", space.users)):
        assert f'tensor_path: "{name}.tsv"' in config
        np.testing.assert_allclose(np.loadtxt(logs / f"{name}.tsv"), vectors, rtol=1e-3, atol=1e-6)
    names = (logs / "movies-names.tsv").read_text().splitlines()
    assert names[0].split("\t") == ["title", "year", "genres"]
    assert [line.split("\t")[0] for line in names[1:]] == run.movies.titles
    events = EventAccumulator(str(logs / "train"))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {"loss", "val_rmse"} <= set(tags)
    assert any("kernel" in tag for tag in tags)
    rows = [row for row in run.history if row["phase"] == "train"]
    for name in ("loss", "val_rmse"):
        logged = [(one.step, float(make_ndarray(one.tensor_proto))) for one in events.Tensors(name)]
        assert logged == [(int(row["epoch"]), pytest.approx(float(row[name]))) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bundled", pytest.param("ml-1m", marks=pytest.mark.realdata)])
def test_a_report_takes_less_than_8_mb(name, tmp_path):
    source, folder = BUNDLED if name == "bundled" else real(name), tmp_path / "run"
    train.main(["autorec", *QUICK, "--data", str(source), "--run", str(folder)])
    evaluate.main(["--run", str(folder), "--report", str(tmp_path / "r.html")])
    assert Path(tmp_path / "r.html").stat().st_size < 8e6


def test_intervals_of_ml_1ms_users_take_less_than_two_seconds():
    rng, n = np.random.default_rng(0), 6040
    metrics = {i: Metric(rng.random(n), np.ones(n), root=i % 2 == 0) for i in range(13)}
    bootstrap.resampled.cache_clear()
    start = time.process_time()
    bootstrap.estimates(metrics)
    assert time.process_time() - start < 2


def test_json_says_what_the_model_does_on_the_test_ratings(written, folder):
    """Each figure computed again from the run, the signs and the sides of all comparisons with it."""
    facts, run = written[1]["runs"][0], run_folder.Run(folder)
    saved, split, test = models.open_run(run), run.split, run.split.test
    users = np.flatnonzero(np.diff(test.hidden.indptr))
    protocol = facts["protocol"]
    assert (protocol["test_ratings"], protocol["test_users"]) == (test.hidden.nnz, len(users))
    assert facts["seconds"]["train"] == run.config["seconds"]
    predicted = holdout_metrics.predicted(saved.model.predict, test, split.ratings.scale)
    error = predicted.stars - predicted.actual
    rows = {(row["by"], row["slice"]): row["metrics"] for row in facts["slices"]}
    assert rows["all", "all"]["bias"]["value"] == pytest.approx(error.mean(), abs=1e-6)
    known = np.diff(test.given.indptr)[predicted.users]
    for name, inside in (("5 to 19", known < 20), ("20 to 99", known >= 20)):
        if ("ratings of the user", name) in rows:
            assert rows["ratings of the user", name]["rmse"]["n"] == np.count_nonzero(inside)
    lists = holdout_metrics.lists(saved.scorer(saved.best), test)
    beyond = beyond_accuracy.beyond(lists, test.given, 3.5, saved.genre_shares, saved.space.movies)
    for name in ("diversity_latent@10", "calibration@10", "popularity_lift@10"):
        assert facts["metrics"][name]["value"] == pytest.approx(beyond[name].value, rel=1e-4), name
    for name, metrics in facts["baselines"].items():
        for metric, row in facts["less_baselines"][name].items():
            expected = facts["metrics"][metric]["value"] - metrics[metric]["value"]
            assert row["value"] == pytest.approx(expected, abs=1e-6)
    space = saved.space
    block = reconstruction.block(saved.model.predict, split, run.movies, (space.users, space.movies))
    assert facts["pictured"]["block"]["users"] == block["users"]
    assert facts["pictured"]["block"]["movies"] == block["movies"]
    violins = {one["actual"]: sorted(one["predicted"]) for one in facts["pictured"]["violins"]}
    for value in np.unique(predicted.actual).tolist():
        own = np.sort(predicted.stars[predicted.actual == value])
        np.testing.assert_allclose(violins[value], own, atol=0.006)
    assert [one["user"] for one in facts["samples"]] == [
        one["user"] for one in recommendations.samples(saved, judged_users(test))
    ]
