"""Describe the maps of a latent space for Plotly: those of the report, and that of the page app.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.data.movies import spoken
from utils.report.figures import BARE, BLUE, COLOURS, GREY, SHAPES, Plot, Trace, escape

Point = dict[str, Any]
"""An entry of "points" of `latent_maps.movie_map` or `latent_maps.user_map`."""
OLD = 1950  # decades before this one share a colour
DECADES = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e6c229", "#e69f00", "#d55e00")
LABELS = 14  # well-known movies that are named on the page's map
APART = 0.09  # least distance between two names, in shares of the map's width
LONGEST = 24  # characters of a name
ROLES = {  # what is highlighted on the page's map: (symbol, size, colour)
    "you rated": ("circle-open", 13, BLUE),
    "favourites of those nearest to you": ("circle", 11, "#ffc20a"),
    "near the movie you chose": ("diamond", 12, "#d55e00"),
    "you": ("x", 16, "#d0107a"),
}


def _positions(points: Sequence[Point]) -> Trace:
    return {"x": [point["x"] for point in points], "y": [point["y"] for point in points]}


def coloured(points: Sequence[Point], by: str) -> list[Trace]:
    """Make a trace of each genre or decade (`by`) of the points, with its own colour and shape."""
    groups: dict[Any, list[Point]] = {}
    for point in points:
        value = point[by]
        groups.setdefault(max(value, OLD - 10) if by == "decade" and value is not None else value, []).append(point)
    colours = COLOURS if by == "genre" else DECADES
    traces = [_markers(groups[None], "other", GREY, "circle", 0.35)] if None in groups else []  # below the others
    for i, value in enumerate(sorted(groups.keys() - {None})):
        name = value if by == "genre" else f"{value}s" if value >= OLD else f"before {OLD}"
        style = colours[i % len(colours)], SHAPES[i % len(SHAPES)]
        traces.append(_markers(groups[value], escape(name), *style, 0.8))
    return [trace | {"meta": by, "visible": by == "genre"} for trace in traces]


def _markers(points: Sequence[Point], name: str, colour: str, symbol: str, opacity: float) -> Trace:
    sizes = [4 + min(point["ratings"], 400) ** 0.5 / 3 for point in points]
    edge = {"width": 0.5, "color": "rgba(128,128,128,.7)"}
    names = [escape(point["title"] if "title" in point else f"user {point['user']}") for point in points]
    return _positions(points) | {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "text": [f"{who}, {point['ratings']:,} ratings" for who, point in zip(names, points, strict=True)],
        "hoverinfo": "text",
        "customdata": [point.get("movie") for point in points],
        "marker": {"size": sizes, "color": colour, "symbol": symbol, "opacity": opacity, "line": edge},
    }


def report_map(latent_map: dict[str, Any], of: str) -> Plot:
    """Draw a map of `of`, "movies" or "users", for the report. Movies have traces by genre and by decade, of which the
    page's buttons show one, and names, which its script puts where there is room."""
    points = latent_map["points"]
    data = coloured(points, "genre")
    if of == "movies":
        names = [escape(spoken(point["title"])) for point in points]
        labels: Trace = {"type": "scatter", "mode": "text", "meta": "labels", "text": [" "] * len(points)}
        labels |= {"textposition": "top center", "textfont": {"size": 11}, "hoverinfo": "skip", "showlegend": False}
        data += [*coloured(points, "decade"), labels | _positions(points) | {"customdata": names}]
    genres = sorted({point["genre"] for point in points if point["genre"]})
    alt = f"Map of {len(points):,} {of} by {latent_map['method']}; told apart: {', '.join(genres) or 'nothing'}"
    layout = {"xaxis": BARE, "yaxis": BARE, "hovermode": "closest"}
    layout["legend"] = {"orientation": "h", "itemsizing": "constant"}
    return {"alt": alt, "height": 620 if of == "movies" else 480, "data": data, "layout": layout}


def page_map(
    points: Sequence[Point],
    highlighted: dict[str, Sequence[int]],
    you: Sequence[float] | None = None,
    dark: bool = False,
) -> dict[str, Any]:
    """Draw the points of a `latent_maps.movie_map` for the page: {"data", "layout"}.

    highlighted: {one of ROLES: indices of movies}. you: (x, y) of the visitor. dark: whether the page is dark. The
    customdata of a point is the index of its movie, so that a click tells which it is."""
    ink, paper = ("white", "black") if dark else ("black", "white")
    faint = min(0.6, 30 / len(points) ** 0.5)  # the more points, the less each covers
    traces = coloured(points, "genre")
    for trace in traces:
        trace |= {name: np.array(trace[name]) for name in ("x", "y", "customdata")}  # sent as bytes
        opacity = faint / 2 if trace["name"] == "other" else faint
        trace["marker"] |= {"opacity": opacity, "line": {"width": 0}}
        trace["marker"]["size"] = np.array(trace["marker"]["size"], np.float32)
        trace["unselected"] = {"marker": {"opacity": opacity}}  # a click does not fade the others
    at = {point["movie"]: point for point in points}
    for role, movies in highlighted.items():
        if on_map := [at[movie] for movie in movies if movie in at]:
            texts = [escape(spoken(point["title"])) for point in on_map]
            codes = {"text": texts, "hoverinfo": "text", "customdata": [point["movie"] for point in on_map]}
            traces.append(_highlighted(on_map, role, ink) | codes)
    visitor = [{"title": "you", "x": you[0], "y": you[1]}] if you else []
    if visitor:
        traces.append(_highlighted(visitor, "you", paper) | {"hoverinfo": "name"})
    notes = [_note(point, ink, paper) for point in apart([*visitor, *points])]
    layout = {"xaxis": BARE, "yaxis": BARE, "height": 620, "hovermode": "closest", "annotations": notes}
    layout |= {"dragmode": "pan", "clickmode": "event+select", "uirevision": "map"}  # which keeps the zoom
    layout["legend"] = {"orientation": "h", "itemsizing": "constant", "y": 0, "yanchor": "top"}
    layout["margin"] = {"l": 0, "r": 0, "t": 8, "b": 0}
    return {"data": [trace | {"type": "scattergl"} for trace in traces], "layout": layout}


def _highlighted(points: Sequence[Point], role: str, edge: str) -> Trace:
    symbol, size, colour = ROLES[role]
    marker = {"symbol": symbol, "size": size, "color": colour, "line": {"width": 1.5, "color": edge}}
    trace = {"mode": "markers", "name": role, "marker": marker, "unselected": {"marker": {"opacity": 1}}}
    return trace | _positions(points)


def _note(point: Point, ink: str, paper: str) -> dict[str, Any]:
    """Name a point by an annotation, which lies above what WebGL draws."""
    name = spoken(point["title"])
    text = escape(name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…")
    place = {"x": point["x"], "y": point["y"], "yshift": 16, "showarrow": False, "borderpad": 0}
    return place | {"text": text, "font": {"size": 12, "color": ink}, "bgcolor": paper, "opacity": 0.8}


def apart(points: Sequence[Point]) -> list[Point]:
    """Choose the first points that lie far enough from each other to be named."""
    x, y = np.array([(point["x"], point["y"]) for point in points[: LABELS * 20]]).T
    width, height = np.ptp([(point["x"], point["y"]) for point in points], axis=0)
    named: list[int] = []
    for i in range(len(x)):
        far = (abs(x[i] - x[named]) > 2 * APART * width) | (abs(y[i] - y[named]) > APART * height / 2)
        if far.all() and len(named) < LABELS:
            named.append(i)
    return [points[i] for i in named]
