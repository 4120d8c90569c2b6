"""What each plot shows, value by value, of numbers that tell the ends, the signs and the orders apart."""

from pathlib import Path

import numpy as np
import pytest

from utils.report import figures, map_figures, pictures


def interval(value, low, high, n=7):
    return {"value": value, "low": low, "high": high, "n": n}


def drawn(plots, columns, monkeypatch, path):
    """The axes of a PNG of these plots."""
    kept = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda one, file, **_: kept.append(one) or Path(file).write_bytes(b"")
    )
    pictures.write(path, plots, columns)
    return kept[0].axes


@pytest.mark.parametrize(("figure", "best"), [("rmse", [0.9, 0.7, 0.7]), ("ndcg@100", [0.9, 0.9, 0.95])])
def test_a_search_shows_the_best_so_far_what_was_given_up_and_the_defaults(figure, best, tmp_path, monkeypatch):
    lines = [{"trial": t, "state": s, "figure": f} for t, s, f in [(3, "complete", 0.95), (0, "complete", 0.9)]]
    lines += [{"trial": 1, "state": "complete", "figure": 0.7}, {"trial": 5, "state": "pruned", "figure": ""}]
    facts = {"figure": figure, "defaults": 0.9, "importance": {"learning_rate": 0.75, "l2": 0.25}}
    plot, shares = figures.search(lines, facts)
    of = {trace["name"]: (trace["x"], trace["y"]) for trace in plot["data"]}
    assert of == {
        "best so far": ([0, 1, 3], best),
        "trained to its end": ([0, 1, 3], [0.9, 0.7, 0.95]),
        "given up early": ([5], [0.7]),
        "defaults": ([0, 5], [0.9, 0.9]),
    }
    assert (shares["data"][0]["y"], shares["data"][0]["x"]) == (["l2", "learning-rate"], [0.25, 0.75])  # from below
    _, bars = drawn([plot, shares], 2, monkeypatch, tmp_path / "s.png")
    assert [bar.get_width() for bar in bars.patches] == [0.25, 0.75]
    assert bars.get_xlim() == (0, 1)
    without, none = figures.search(lines[:1], {"figure": figure, "defaults": "", "importance": {}})
    assert [trace["name"] for trace in without["data"]] == ["best so far", "trained to its end"]
    assert none["layout"]["title"]["text"] == "importance: too few trials to tell"


def test_slices_lie_from_above_with_their_intervals_and_those_that_differ_are_filled():
    def row(name, rmse, bias, differs):
        return {"by": "size", "slice": name, "differs": differs, "metrics": {"rmse": rmse, "bias": bias}}

    whole = row("all", interval(0.9, 0.8, 1.2), interval(0.1, 0, 0.2), []) | {"by": "all"}
    few = row("few", interval(1.0, 0.9, 1.3), interval(0.3, 0.25, 0.4), ["rmse"])
    rmse, bias = figures.slices([whole, few, row("<many>", interval(0.5, 0.3, 0.6), interval(-0.1, -0.3, 0), [])])
    (trace,) = rmse["data"]
    assert (trace["y"], trace["x"]) == (["&lt;many&gt;", "few"], [0.5, 1.0])
    assert trace["marker"]["symbol"] == ["circle-open", "circle"]
    assert trace["error_x"]["array"] == pytest.approx([0.1, 0.3])
    assert trace["error_x"]["arrayminus"] == pytest.approx([0.2, 0.1])
    assert trace["customdata"] == [[0.3, 0.6, 7], [0.9, 1.3, 7]]
    assert [plot["layout"]["shapes"][0]["x0"] for plot in (rmse, bias)] == [0.9, 0]  # all, and no error
    assert rmse["alt"] == "RMSE by size, 2 slices, 1 of which differ from the others"


def test_the_reconstruction_says_which_pair_and_how_far_off(tmp_path, monkeypatch):
    block = {"users": [7, 8], "movies": ["A", "B", "C"], "original": [[1.0, None, 5.0], [4.0, 5.0, 2.0]]}
    block["reconstruction"] = [[1.5, 2.0, 4.0], [3.0, 5.0, 2.0]]
    stars = {
        "stars": [{"actual": 1.0, "median": 1.5}, {"actual": 1.5, "median": 2}, {"actual": 5.0, "median": 4}],
        "calibration": [interval(2.0, 1.5, 3.0) | {"predicted": 1.9}, interval(4.0, 3, 4.5) | {"predicted": 3.5}],
        "residuals": {"edges": [-1.0, 0.0, 1.0, 2.0], "counts": [3, 9, 5]},
    }
    violins = [{"actual": row["actual"], "predicted": [row["median"]]} for row in stars["stars"]]
    original, _, error, violin, calibration, errors = figures.reconstruction(block, violins, stars)
    assert error["data"][0]["z"] == [[0.5, None, -1.0], [-1.0, 0.0, 0.0]]
    ends = [(plot["data"][0]["zmin"], plot["data"][0]["zmax"]) for plot in (original, error)]
    assert ends == [(1, 5), (-2, 2)]
    first, second = drawn([original, error], 2, monkeypatch, tmp_path / "r.png")[:2]
    assert [axes.images[0].get_clim() for axes in (first, second)] == ends
    assert original["data"][0]["customdata"][1] == ["user 8: A", "user 8: B", "user 8: C"]
    assert [trace["width"] for trace in violin["data"][:-1]] == pytest.approx([0.45] * 3)  # of the nearest two
    assert violin["data"][-1]["x"] == [1, 5]
    assert (calibration["data"][0]["x"], calibration["data"][0]["y"]) == ([1.9, 3.5], [2, 4])
    assert calibration["data"][0]["error_y"]["arrayminus"] == [0.5, 1.0]
    assert calibration["data"][1]["y"] == [1.9, 3.5]
    assert calibration["alt"].endswith("at most 0.500 stars off")
    assert (errors["data"][0]["x"], errors["data"][0]["width"]) == ([-0.5, 0.5, 1.5], 1)
    assert errors["alt"] == "Histogram of 17 errors, most near 0.50 stars"


def test_a_png_has_the_error_bars_and_rows_of_its_plots(tmp_path, monkeypatch):
    rows = [interval(2.0, 1.5, 3.0) | {"predicted": 1.9}, interval(4.0, 3, 4.5) | {"predicted": 3.5}]
    plot = figures._calibration(rows)
    axes = drawn([plot] * 4, 2, monkeypatch, tmp_path / "c.png")  # on two rows
    bars = axes[2].containers[0].lines[2][0].get_segments()
    assert [(low[1], high[1]) for low, high in bars] == [(1.5, 3), (3, 4.5)]
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("predicted stars", "mean actual stars")


def test_a_training_is_a_line_for_each_phase_part_and_stage():
    history = [
        {"phase": "train", "part": p, "stage": s, "epoch": e, "loss": loss, "val_rmse": judged, "val_both": ""}
        for p, s, e, loss, judged in [("a", 1, 1, 4, 2), ("a", 1, 2, 3, 1.5), ("a", 2, 1, 2, 1), ("b", "", 1, 9, "")]
    ]
    lines = figures.curves(history)
    assert [line["of"] for line in lines] == ["train, a, 1", "train, a, 2", "train, b"]
    assert [line["judged"] for line in lines] == [{"val_rmse": [2, 1.5]}, {"val_rmse": [1]}, {}]
    loss, judged = figures.learning(lines)
    assert loss["alt"].startswith("loss over the epochs: train, a, 1 from 4.0000 to 3.0000, ")
    assert (judged["layout"]["title"]["text"], len(judged["data"])) == ("validation: rmse", 2)
    for n, shown in ((8, True), (9, False)):
        many = [{"of": str(i), "epoch": [1], "loss": [1.0], "judged": {}} for i in range(n)]
        assert figures.learning(many)[0]["layout"]["showlegend"] is shown


def test_points_of_the_map_say_which_movie_they_are_whatever_their_order():
    points = [
        {"movie": movie, "title": f"M{movie} (1990)", "x": movie / 2, "y": -movie, "genre": genre, "ratings": ratings}
        for movie, genre, ratings in [(7, "War", 9), (2, None, 400), (5, "War", 1600), (0, "Film", 1)]
    ]
    drawn_map = map_figures.page_map(points, {"you rated": points[2:]}, {})
    of = {trace.get("name"): trace for trace in drawn_map["data"]}
    for name, shown in {"War": points[::2], "other": points[1:2], "Film": points[3:], "you rated": points[2:]}.items():
        assert list(of[name]["customdata"]) == [point["movie"] for point in shown]
        assert list(of[name]["x"]) == [point["x"] for point in shown]
        assert list(of[name]["y"]) == [point["y"] for point in shown]
    assert of["War"]["text"] == ["M7 (1990), 9 ratings", "M5 (1990), 1,600 ratings"]
    np.testing.assert_allclose(of["War"]["marker"]["size"], [4 + 1, 4 + 20 / 3])


@pytest.mark.parametrize(("shares", "half"), [([0.5, 0.3, 0.2], 1), ([0.4, 0.3, 0.3], 2), ([0.2, 0.1], 2)])
def test_the_widest_dimensions_that_carry_half_are_counted(shares, half):
    plot = figures.dimensions([{"variance": share, "unit": 5 - i} for i, share in enumerate(shares)])
    assert plot["alt"].endswith(f"the first {half} carry half")
    assert (plot["data"][0]["y"], plot["data"][0]["x"][0], plot["data"][0]["customdata"][0]) == (shares, 1, 5)
