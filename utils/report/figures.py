"""Describe the plots of a run as plain dictionaries for Plotly, which the report and the page show.

`pictures.py` draws the same dictionaries into PNG files. Colours of text and grid are left to whoever shows a plot,
who knows whether it is dark. Each series has a shape of its own beside its colour, one of Okabe and Ito's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from html import escape as escaped
from itertools import pairwise
from typing import Any

import numpy as np

from utils.report.summary import label

escape = partial(escaped, quote=False)  # Plotly takes < > & as markup, but not quotes
Plot = dict[str, Any]
"""{"alt": what it shows in words, "height": pixels, "data": list of traces, "layout"}."""
Trace = dict[str, Any]
"""One series of a plot, as Plotly takes it."""
BLUE = "#2f86c6"  # visible on white and on black
GREY = "#8a8f98"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#a6761d")
SHAPES = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")
DASHES = ("solid", "dash", "dot", "dashdot")
STARS = [(0, "#440154"), (0.25, "#3b528b"), (0.5, "#21918c"), (0.75, "#5ec962"), (1, "#fde725")]  # viridis
ERRORS = [(0, "#2166ac"), (0.5, "#d5d5d5"), (1, "#b2182b")]  # grey in the middle: blank is white or black
REFERENCE = {"color": GREY, "dash": "dot", "width": 1.4}  # lines to compare with
BARE = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "ticks": ""}
ROW = 24  # height of a row in a plot of slices, pixels
MOST_NAMED = 8  # lines that fit into a legend


def _plot(title: str, alt: str, data: list[Trace], x: Any, y: Any, height: int = 340, **layout: Any) -> Plot:
    axes = {"title": {"text": title}, "xaxis": x, "yaxis": y, "showlegend": False}
    return {"alt": alt, "height": height, "data": data, "layout": axes | layout}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _error_bars(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Make error bars of the confidence intervals of metrics."""
    above, below = [row["high"] - row["value"] for row in rows], [row["value"] - row["low"] for row in rows]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": BLUE, "thickness": 1.4}


def _series(x: Any, y: Any, name: str, line: Any = None, marker: Any = None, **more: Any) -> Trace:
    """Make a series of points that are joined by a line, or shown by markers, or both."""
    mode = "+".join(["lines"] * bool(line) + ["markers"] * bool(marker))
    styles = {key: style for key, style in (("line", line), ("marker", marker)) if style}
    return {"type": "scatter", "mode": mode, "x": x, "y": y, "name": name} | styles | more


def curves(history: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group the history of a run by phase of the training and part of a blend: [{"of": phase and part, "epoch": [...],
    "loss": [...], "judged": {validation metric: [...]}}]."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in history:
        names = [str(row[key]) for key in ("phase", "part", "stage") if row.get(key) not in (None, "")]
        groups.setdefault(", ".join(names), []).append(row)
    lines: list[dict[str, Any]] = []
    for of, rows in groups.items():
        metrics = [key for key in rows[0] if key.startswith("val_") and rows[0][key] not in (None, "")]
        judged = {name: [float(row[name]) for row in rows] for name in metrics}
        epochs, losses = [int(row["epoch"]) for row in rows], [float(row["loss"]) for row in rows]
        lines.append({"of": of, "epoch": epochs, "loss": losses, "judged": judged})
    return lines


def learning(lines: list[dict[str, Any]]) -> list[Plot]:
    """Plot the loss and each validation metric over the epochs. lines: from `curves`."""
    plots = []
    for name in dict.fromkeys(name for line in lines for name in ("loss", *line["judged"])):
        data: list[Trace] = []
        for i, line in enumerate(lines):
            values = line["loss"] if name == "loss" else line["judged"].get(name)
            if values:
                colour = COLOURS[i % len(COLOURS)]
                style = {"color": colour, "width": 1.6, "dash": DASHES[i % len(DASHES)]}
                marker = {"color": colour, "size": 4, "symbol": SHAPES[i % len(SHAPES)]}
                data.append(_series(line["epoch"], values, escape(line["of"]), style, marker))
        title = name.replace("val_", "validation: ")
        ends = ", ".join(f"{trace['name']} from {trace['y'][0]:.4f} to {trace['y'][-1]:.4f}" for trace in data)
        legend = {"orientation": "h", "y": -0.28, "yanchor": "top"}
        alt, few = f"{title} over the epochs: {ends}", len(data) <= MOST_NAMED
        plots.append(_plot(title, alt, data, _axis("epoch"), {}, showlegend=few, legend=legend))
    return plots


def search(lines: list[dict[str, Any]], facts: dict[str, Any]) -> list[Plot]:
    """Plot a search for options: the metric of each trial, and the importance of each option. lines: from
    `utils.training.study.lines`; facts: `found` of best.json."""
    complete = sorted((line for line in lines if line["state"] == "complete"), key=lambda line: line["trial"])
    trials, values = [line["trial"] for line in complete], [line["figure"] for line in complete]
    best = (np.minimum if facts["figure"] == "rmse" else np.maximum).accumulate(values).tolist()
    pruned = [line["trial"] for line in lines if line["state"] == "pruned"]
    data = [
        _series(trials, best, "best so far", {"color": COLOURS[1], "width": 1.6, "shape": "hv"}),
        _series(trials, values, "trained to its end", marker={"color": BLUE, "size": 6}),
    ]
    if pruned:
        marker = {"color": GREY, "size": 10, "symbol": "line-ns"}
        data.append(_series(pruned, [min(values)] * len(pruned), "given up early", marker=marker))
    if facts.get("defaults"):
        ends = [min(trials + pruned), max(trials + pruned)]
        data.append(_series(ends, [facts["defaults"]] * 2, "defaults", {**REFERENCE, "dash": "dash"}))
    importance = dict(reversed(facts["importance"].items()))
    names, shares = [name.replace("_", "-") for name in importance], list(importance.values())
    bars = {"type": "bar", "orientation": "h", "x": shares, "y": names, "marker": {"color": BLUE}}
    title, share = f"validation: {facts['figure']}", "importance: share of the variance"
    return [
        _plot(title, f"{title} of {len(trials)} trials", data, _axis("trial"), {}, showlegend=True),
        _plot(share if importance else "importance: too few trials to tell", share, [bars], {"range": [0, 1]}, {}),
    ]


def slices(rows: list[dict[str, Any]]) -> list[Plot]:
    """Plot each metric of the subgroups by each property, with confidence intervals. rows: from `subgroups.judge`."""
    plots = []
    for by, metric in dict.fromkeys((row["by"], name) for row in rows for name in row["metrics"]):
        if sum(row["by"] == by for row in rows) > 1:
            measured = [row for row in rows if row["by"] == by and metric in row["metrics"]][::-1]
            overall = 0 if metric == "bias" else rows[0]["metrics"][metric]["value"]
            plots.append(_slices(measured, by, metric, overall))
    return plots


def _slices(rows: list[dict[str, Any]], by: str, metric: str, overall: float) -> Plot:
    """Plot one metric of the subgroups by one property. overall: where the dotted line is."""
    values, differs = [row["metrics"][metric] for row in rows], [metric in row["differs"] for row in rows]
    marker = {"size": 10, "color": BLUE, "symbol": ["circle" if filled else "circle-open" for filled in differs]}
    data = _series([value["value"] for value in values], [escape(row["slice"]) for row in rows], metric, None, marker)
    data["error_x"] = _error_bars(values)
    data["customdata"] = [[value["low"], value["high"], value["n"]] for value in values]
    interval = "(%{customdata[0]:.4f} to %{customdata[1]:.4f})"
    data["hovertemplate"] = f"%{{y}}: %{{x:.4f}} {interval}, n %{{customdata[2]:,}}<extra></extra>"
    line = {"type": "line", "x0": overall, "x1": overall, "yref": "paper", "y0": 0, "y1": 1, "line": REFERENCE}
    title = f"{label(metric)} by {by}"
    alt = f"{title}, {len(rows)} slices, {sum(differs)} of which differ from the others"
    axes = _axis(label(metric)), {"type": "category"}
    return _plot(title, alt, [data], *axes, 110 + ROW * len(rows), shapes=[line])


def reconstruction(block: dict[str, Any], violins: list[dict[str, Any]], stars: dict[str, Any]) -> list[Plot]:
    """Plot how good the reconstruction is: three heat maps, and predicted beside actual stars of the test ratings.

    block, violins, stars: from the functions `block`, `violins` and `predicted_beside_actual` of
    `utils.evaluation.reconstruction`."""
    low, high = stars["stars"][0]["actual"], stars["stars"][-1]["actual"]
    return [
        *_heat_maps(block, low, high),
        _violins(violins, stars["stars"]),
        _calibration(stars["calibration"]),
        _residuals(stars["residuals"]),
    ]


def _heat_maps(block: dict[str, Any], low: float, high: float) -> list[Plot]:
    """Plot the original ratings, their reconstruction, and the error. low, high: stars at the ends of the colours."""
    original, rebuilt = np.array(block["original"], float), np.array(block["reconstruction"])  # nan: not rated
    error, reach = rebuilt - original, max((high - low) / 2, 0.5)  # larger errors share a colour
    users, movies = [escape(f"user {user}") for user in block["users"]], [escape(title) for title in block["movies"]]
    plots = []
    for title, values, colours, least, most in (
        ("original ratings (blank: not rated)", original, STARS, low, high),
        ("reconstruction", rebuilt, STARS, low, high),
        ("reconstruction less original", error, ERRORS, -reach, reach),
    ):
        data: Trace = {
            "type": "heatmap",
            "z": np.where(np.isnan(values), np.array(None), values.round(3)).tolist(),
            "colorscale": colours,
            "zmin": least,
            "zmax": most,
            "customdata": [[f"{user}: {movie}" for movie in movies] for user in users],
            "hovertemplate": "%{customdata}<br>%{z:.2f}<extra></extra>",
            "hoverongaps": False,
            "colorbar": {"title": {"text": "stars"}, "thickness": 10, "len": 0.9},
        }
        alt = f"Heat map, {len(users)} most active users by {len(movies)} most rated movies: {title}"
        x, y = (
            _axis("most rated movies, clustered", **BARE),
            _axis("most active users, clustered", autorange="reversed", **BARE),
        )
        plots.append(_plot(title, alt, [data], x, y, 380))
    return plots


def _violins(violins: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Plot:
    """Plot the distribution of predicted stars for each number of actual stars."""
    shape = {"type": "violin", "line": {"color": BLUE, "width": 1}, "box": {"visible": True}, "points": False}
    shape |= {"meanline": {"visible": True}, "spanmode": "hard", "hoveron": "violins", "scalemode": "width"}
    shape["width"] = 0.9 * min((b["actual"] - a["actual"] for a, b in pairwise(violins)), default=1)
    data = [
        shape | {"x0": group["actual"], "y": group["predicted"], "name": f"{group['actual']:g}"} for group in violins
    ]
    ends = [rows[0]["actual"], rows[-1]["actual"]]
    data.append(_series(ends, ends, "perfect", REFERENCE))
    medians = ", ".join(f"{row['actual']:g}: {row['median']:.2f}" for row in rows)
    alt = f"Violins of predicted by actual stars; medians {medians}"
    return _plot("predicted beside actual", alt, data, _axis("actual stars"), _axis("predicted stars"))


def _calibration(rows: list[dict[str, Any]]) -> Plot:
    """Plot mean actual against mean predicted stars."""
    predicted, actual = [row["predicted"] for row in rows], [row["value"] for row in rows]
    line, marker = {"color": BLUE, "width": 1}, {"color": BLUE, "size": 8}
    data = _series(predicted, actual, "test ratings", line, marker, error_y=_error_bars(rows))
    ends = [predicted[0], predicted[-1]]
    perfect = _series(ends, ends, "perfect", REFERENCE)
    off = max(abs(row["predicted"] - row["value"]) for row in rows)
    alt = f"Mean actual by mean predicted stars in {len(rows)} groups, at most {off:.3f} stars off"
    axes = _axis("predicted stars"), _axis("mean actual stars")
    return _plot("calibration of predicted stars", alt, [data, perfect], *axes)


def _residuals(histogram: dict[str, Any]) -> Plot:
    """Plot the histogram of the errors."""
    edges, counts = histogram["edges"], histogram["counts"]
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    data = {"type": "bar", "x": middles, "y": counts, "width": edges[1] - edges[0], "marker": {"color": BLUE}}
    data["hovertemplate"] = "%{x:.2f}: %{y:,}<extra></extra>"
    title = f"errors of {sum(counts):,} test ratings"
    alt = f"Histogram of {sum(counts):,} errors, most near {middles[counts.index(max(counts))]:.2f} stars"
    return _plot(title, alt, [data], _axis("predicted less actual, stars"), _axis("test ratings"))


def dimensions(rows: list[dict[str, Any]]) -> Plot:
    """Plot the share of variance of each latent dimension. rows: from `latent_maps.dimensions`."""
    shares = [row["variance"] for row in rows]
    data: Trace = {"type": "bar", "x": list(range(1, len(rows) + 1)), "y": shares, "marker": {"color": BLUE}}
    data["customdata"] = [row["unit"] for row in rows]
    data["hovertemplate"] = "unit %{customdata}: %{y:.2%}<extra></extra>"
    half = next((i for i in range(1, len(rows) + 1) if sum(shares[:i]) >= 0.5), len(rows))
    alt = f"Share of variance of {len(rows)} latent dimensions, the widest first; the first {half} carry half"
    x, y = _axis("latent dimensions, the widest first"), _axis("share of variance", tickformat=".1%")
    return _plot("variance of the latent dimensions", alt, [data], x, y, 280)
