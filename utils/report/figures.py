"""Make the plots of the report from the facts that evaluate.py --json writes, as plain dictionaries for Plotly.

Text colours and grids are left to the page, which knows whether it is dark. Whatever has its own colour has its own
shape, too; the colours are those of Okabe and Ito."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from html import escape as escaped
from itertools import pairwise
from typing import Any

from utils.data.movies import spoken
from utils.report.pictures import COLOURS
from utils.report.summary import label

escape = partial(escaped, quote=False)  # Plotly takes < > & as markup, but not quotes
Plot = dict[str, Any]
"""{"alt": what it shows in words, "height", "data": list of traces, "layout"}."""
Trace = dict[str, Any]
"""One series of a plot, as Plotly takes it."""
BLUE = "#2f86c6"  # visible on white and on black
GREY = "#8a8f98"
SHAPES = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")
OLD = 1950  # decades before this one share a colour
DECADES = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e6c229", "#e69f00", "#d55e00")
DASHES = ("solid", "dash", "dot", "dashdot")
BARE = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "ticks": ""}
ROW = 24  # height of a row in a plot of slices, pixels


def plots(facts: dict[str, Any]) -> dict[str, list[Plot]]:
    """Make the plots of one evaluated run: {name of a section of the page: [plot, ...]}."""
    pictured, sections = facts["pictured"], {"learning": learning(facts["learning"])}
    kinds = Counter(row["by"] for row in facts["slices"])
    sections["slices"] = [plot for by, several in kinds.items() if several > 1 for plot in _slices(facts, by)]
    if "stars" in facts:
        stars = facts["stars"]
        sections["block"] = _blocks(pictured["block"])
        sections["stars"] = [_violins(pictured["violins"], stars), _calibration(stars["calibration"])]
        sections["stars"].append(_residuals(stars["residuals"]))
    if facts["latent"]:
        sections["movies"], sections["users"] = [_map(pictured["movies"], "movies")], [_map(pictured["users"], "users")]
        sections["dimensions"] = [_dimensions(facts["latent"]["dimensions"])]
    return sections


def _plot(alt: str, data: list[Trace], height: int = 340, **layout: Any) -> Plot:
    return {"alt": alt, "height": height, "data": data, "layout": layout}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _interval(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Make error bars of the confidence intervals of metrics."""
    above, below = [row["high"] - row["value"] for row in rows], [row["value"] - row["low"] for row in rows]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": BLUE, **more}


def _perfect(low: float, high: float) -> Trace:
    """Draw the diagonal, where predicted and actual stars agree."""
    ends, line = [low, high], {"color": GREY, "dash": "dot"}
    return {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": line, "name": "perfect"}


def learning(lines: list[dict[str, Any]]) -> list[Plot]:
    """Plot loss and validation metrics over the epochs, one plot each. lines: from `pictures.curves`."""
    judged = list(dict.fromkeys(name for line in lines for name in line["judged"]))
    drawn = []
    for name in ["loss", *judged] if lines else ():
        title = name.replace("val_", "validation: ")
        data = []
        for i, line in enumerate(lines):
            values = line["loss"] if name == "loss" else line["judged"].get(name)
            if values:
                colour = COLOURS[i % 6]
                trace: Trace = {"type": "scatter", "mode": "lines+markers", "name": escape(line["of"])}
                trace |= {"x": line["epoch"], "y": values}
                trace["line"] = {"color": colour, "width": 1.6, "dash": DASHES[i % len(DASHES)]}
                trace["marker"] = {"symbol": SHAPES[i % len(SHAPES)], "size": 4, "color": colour}
                data.append(trace)
        ends = ", ".join(f"{one['name']} from {one['y'][0]:.4f} to {one['y'][-1]:.4f}" for one in data)
        few = len(data) <= 8
        layout: dict[str, Any] = {
            "xaxis": _axis("epoch"),
            "yaxis": _axis(title),
            "showlegend": few,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        }
        drawn.append(_plot(f"{title} over the epochs: {ends}", data, **layout))
    return drawn


def _slices(facts: dict[str, Any], by: str) -> Iterator[Plot]:
    """Plot each metric of the slices by this property, with confidence intervals."""
    rows = [row for row in facts["slices"] if row["by"] == by]
    for metric in dict.fromkeys(name for row in rows for name in row["metrics"]):
        measured = [row for row in rows if metric in row["metrics"]][::-1]
        values = [row["metrics"][metric] for row in measured]
        differs = [metric in row["differs"] for row in measured]
        data = {
            "type": "scatter",
            "mode": "markers",
            "x": [value["value"] for value in values],
            "y": [escape(row["slice"]) for row in measured],
            "customdata": [[value["low"], value["high"], value["n"]] for value in values],
            "hovertemplate": "%{y}: %{x:.4f} (%{customdata[0]:.4f} to %{customdata[1]:.4f}), n %{customdata[2]:,}"
            "<extra></extra>",
            "marker": {
                "size": 10,
                "color": BLUE,
                "symbol": ["circle" if one else "circle-open" for one in differs],
            },
            "error_x": _interval(values, thickness=1.4),
        }
        whole = 0 if metric == "bias" else facts["slices"][0]["metrics"][metric]["value"]
        alt = f"{label(metric)} by {by}, {len(measured)} slices, {sum(differs)} of which differ from the others"
        line = {"type": "line", "x0": whole, "x1": whole, "yref": "paper", "y0": 0, "y1": 1}
        lines = [line | {"line": {"color": GREY, "dash": "dot", "width": 1.4}}]
        layout = {"xaxis": _axis(label(metric)), "yaxis": {"type": "category"}, "shapes": lines, "showlegend": False}
        yield _plot(alt, [data], 110 + ROW * len(measured), title={"text": f"{label(metric)} by {by}"}, **layout)


def _blocks(block: dict[str, Any]) -> list[Plot]:
    """Draw heat maps of the original ratings, the reconstruction, and the error."""
    original, rebuilt = block["original"], block["reconstruction"]
    error = [
        [None if stars is None else round(predicted - stars, 3) for stars, predicted in zip(*rows, strict=True)]
        for rows in zip(original, rebuilt, strict=True)
    ]
    known = [stars for row in original for stars in row if stars is not None]
    low, high = min(known, default=0), max(known, default=1)
    reach = max((abs(value) for row in error for value in row if value is not None), default=1)
    users, movies = [escape(f"user {user}") for user in block["users"]], [escape(title) for title in block["movies"]]
    panels: tuple[tuple[str, Any, str, float, float], ...] = (
        ("original ratings (blank: not rated)", original, "Viridis", low, high),
        ("reconstruction", rebuilt, "Viridis", low, high),
        ("reconstruction less original", error, "RdBu", -reach, reach),
    )
    drawn = []
    for title, values, colours, least, most in panels:
        data: Trace = {"type": "heatmap", "z": values, "colorscale": colours, "zmin": least, "zmax": most}
        data["customdata"] = [[f"{user}: {movie}" for movie in movies] for user in users]
        data |= {"hovertemplate": "%{customdata}<br>%{z:.2f}<extra></extra>", "hoverongaps": False}
        data["colorbar"] = {"title": {"text": "stars"}, "thickness": 10, "len": 0.9}
        axes = {"xaxis": _axis("movies", **BARE), "yaxis": _axis("users", autorange="reversed", **BARE)}
        alt = f"Heat map, {len(users)} most active users by {len(movies)} most rated movies: {title}"
        drawn.append(_plot(alt, [data], 380, title={"text": title}, **axes))
    return drawn


def _violins(violins: list[dict[str, Any]], stars: dict[str, Any]) -> Plot:
    """Plot the distribution of predicted stars for each number of actual stars."""
    data: list[Trace] = [
        {
            "type": "violin",
            "x0": one["actual"],
            "y": one["predicted"],
            "name": f"{one['actual']:g}",
            "line": {"color": BLUE, "width": 1},
            "box": {"visible": True},
            "meanline": {"visible": True},
            "points": False,
            "spanmode": "hard",
            "hoveron": "violins",
            "showlegend": False,
            "scalemode": "width",
        }
        for one in violins
    ]
    step = min((b["actual"] - a["actual"] for a, b in pairwise(violins)), default=1)
    data = [one | {"width": 0.9 * step} for one in data]
    actual = [one["actual"] for one in stars["stars"]]
    if actual:
        data.append(_perfect(min(actual), max(actual)))
    medians = ", ".join(f"{one['actual']:g}: {one['median']:.2f}" for one in stars["stars"])
    layout: dict[str, Any] = {"xaxis": _axis("actual stars"), "yaxis": _axis("predicted stars"), "showlegend": False}
    title = {"text": "predicted beside actual"}
    return _plot(f"Violins of predicted by actual stars; medians {medians}", data, title=title, **layout)


def _calibration(rows: list[dict[str, Any]]) -> Plot:
    """Plot mean actual against mean predicted stars."""
    data = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [row["predicted"] for row in rows],
        "y": [row["value"] for row in rows],
        "marker": {"size": 8, "color": BLUE},
        "line": {"color": BLUE, "width": 1},
        "error_y": _interval(rows),
        "name": "test ratings",
    }
    perfect = _perfect(rows[0]["predicted"], rows[-1]["predicted"])
    off = max(abs(row["predicted"] - row["value"]) for row in rows)
    alt = f"Mean actual by mean predicted stars in {len(rows)} groups, at most {off:.3f} stars off"
    layout: dict[str, Any] = {
        "xaxis": _axis("predicted stars"),
        "yaxis": _axis("mean actual stars"),
        "showlegend": False,
    }
    return _plot(alt, [data, perfect], title={"text": "calibration of predicted stars"}, **layout)


def _residuals(histogram: dict[str, Any]) -> Plot:
    """Plot the histogram of the errors."""
    edges, counts = histogram["edges"], histogram["counts"]
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    data = {
        "type": "bar",
        "x": middles,
        "y": counts,
        "marker": {"color": BLUE},
        "hovertemplate": "%{x:.2f}: %{y:,}<extra></extra>",
    }
    alt = f"Histogram of {sum(counts):,} errors, most near {middles[counts.index(max(counts))]:.2f} stars"
    layout: dict[str, Any] = {
        "xaxis": _axis("predicted less actual, stars"),
        "yaxis": _axis("test ratings"),
        "bargap": 0.03,
    }
    return _plot(alt, [data], title={"text": "errors"}, **layout)


def _map(latent_map: dict[str, Any], of: str) -> Plot:
    """Draw a map of `of`, "movies" or "users"."""
    points = latent_map["points"]
    data = coloured(points, "genre", of)
    if of == "movies":
        data += coloured(points, "decade", of)
        names = [escape(spoken(point["title"])) for point in points]
        places = {"x": [point["x"] for point in points], "y": [point["y"] for point in points]}
        labels: Trace = {
            "type": "scatter",
            "mode": "text",
            "meta": "labels",
            "text": [" "] * len(points),
            "textposition": "top center",
            "textfont": {"size": 11},
        }
        data.append(labels | places | {"customdata": names, "hoverinfo": "skip", "showlegend": False})
    genres = sorted({point["genre"] for point in points if point["genre"]})
    alt = f"Map of {len(points):,} {of} by {latent_map['method']}; told apart: {', '.join(genres) or 'nothing'}"
    layout: dict[str, Any] = {"xaxis": BARE, "yaxis": BARE}
    legend = {"orientation": "h", "itemsizing": "constant"}
    return _plot(alt, data, 620 if of == "movies" else 480, legend=legend, hovermode="closest", **layout)


def coloured(points: Sequence[dict[str, Any]], by: str, of: str) -> list[Trace]:
    """Make a trace of each genre or decade (`by`) of the points of a map, each with its own colour and shape."""
    groups: dict[str | None, list[dict[str, Any]]] = {}
    for point in points:
        groups.setdefault(_group(point, by), []).append(point)
    order = sorted(groups, key=lambda name: (name is None, not str(name).startswith("before"), str(name)))
    order = [*order[-1:], *order[:-1]] if None in groups else order  # points without a group lie below
    traces = []
    for at, name in enumerate(order, -(None in groups)):
        members = groups[name]
        colours = (*COLOURS[:6], "#a6761d") if by == "genre" else DECADES
        plain = name is None
        marker = {
            "size": [4 + min(point["ratings"], 400) ** 0.5 / 3 for point in members],
            "color": GREY if plain else colours[at % len(colours)],
            "symbol": "circle" if plain else SHAPES[at % len(SHAPES)],
            "opacity": 0.35 if plain else 0.8,
            "line": {"width": 0.5, "color": "rgba(128,128,128,.7)"},
        }
        who = [point["title"] if of == "movies" else f"user {point['user']}" for point in members]
        texts = [f"{escape(one)}, {point['ratings']:,} ratings" for one, point in zip(who, members, strict=True)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "other" if plain else escape(str(name)),
                "x": [point["x"] for point in members],
                "y": [point["y"] for point in members],
                "text": texts,
                "hoverinfo": "text",
                "customdata": [point.get("movie") for point in members],
                "marker": marker,
                "meta": by,
                "visible": by == "genre",
            }
        )
    return traces


def _group(point: dict[str, Any], by: str) -> str | None:
    """Return the genre, or the decade in words, of a point; None where it has none."""
    if by == "genre" or point[by] is None:
        return point[by]
    return f"before {OLD}" if point[by] < OLD else f"{point[by]}s"


def _dimensions(rows: list[dict[str, Any]]) -> Plot:
    """Plot the share of variance of each latent dimension."""
    shares = [row["variance"] for row in rows]
    data: Trace = {"type": "bar", "x": list(range(1, len(rows) + 1)), "y": shares, "marker": {"color": BLUE}}
    data |= {
        "customdata": [row["unit"] for row in rows],
        "hovertemplate": "unit %{customdata}: %{y:.2%}<extra></extra>",
    }
    half = next((i for i in range(1, len(rows) + 1) if sum(shares[:i]) >= 0.5), len(rows))
    alt = f"Share of variance of {len(rows)} latent dimensions, the widest first; the first {half} carry half"
    layout: dict[str, Any] = {
        "xaxis": _axis("latent dimensions, the widest first"),
        "yaxis": _axis("share of variance", tickformat=".1%"),
    }
    return _plot(alt, [data], 280, **layout)
