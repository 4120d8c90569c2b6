"""Draw the map of movies, with the visitor on it, for Plotly; the page app.py shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.data.movies import article_first, spoken
from utils.report.figures import BARE, BLUE, Trace, coloured, escape

LABELS = 14  # well-known movies that are named on the map
APART = 0.09  # least distance between two names, in shares of the map's width
ROLES = {  # what is highlighted on the map: (symbol, size, colour)
    "you rated": ("circle-open", 13, BLUE),
    "favourites of those nearest to you": ("circle", 11, "#ffc20a"),
    "near the movie you chose": ("diamond", 12, "#d55e00"),
    "you": ("x", 16, "#d0107a"),
}


def figure(
    points: Sequence[dict[str, Any]],
    lit: dict[str, Sequence[int]],
    you: Sequence[float] | None = None,
    dark: bool = False,
) -> dict[str, Any]:
    """Draw the points of a `latent_maps.movie_map`: {"data", "layout"}. lit: {one of ROLES: indices of the movies to
    highlight}. you: (x, y) of the visitor. dark: whether the page is dark. The customdata of a point is the index of
    its movie, so that a click tells which it is."""
    ink, paper = ("white", "black") if dark else ("black", "white")
    faint = min(0.6, 30 / len(points) ** 0.5)  # the more points, the less each covers
    traces = coloured(points, "genre", "movies")
    for trace in traces:
        trace["type"] = "scattergl"
        trace |= {name: np.array(trace[name]) for name in ("x", "y", "customdata")}  # sent as bytes
        opacity = faint / 2 if trace["name"] == "other" else faint
        trace["marker"] = trace["marker"] | {"opacity": opacity, "line": {"width": 0}}
        trace["marker"]["size"] = np.array(trace["marker"]["size"], np.float32)
        trace["unselected"] = {"marker": {"opacity": opacity}}  # a click does not fade the others
    at = {point["movie"]: point for point in points}
    for role, movies in lit.items():
        if on_map := [at[movie] for movie in movies if movie in at]:
            traces.append(_lit(role, on_map, ink))
    notes = [_note(point, escape(_short(point["title"])), 12, ink) for point in apart(points)]
    if you:
        symbol, size, colour = ROLES["you"]
        marker = {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": paper}}
        position = {"x": [you[0]], "y": [you[1]], "name": "you", "hoverinfo": "name"}
        traces.append({"type": "scattergl", "mode": "markers", "marker": marker, **position})
        notes.append(_note({"x": you[0], "y": you[1]}, "<b>you</b>", 14, ink) | {"bgcolor": paper, "opacity": 0.85})
    return {"data": traces, "layout": _layout(notes)}


def _layout(notes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "xaxis": BARE,
        "yaxis": BARE,
        "height": 620,
        "hovermode": "closest",
        "dragmode": "pan",
        "clickmode": "event+select",
        "legend": {"orientation": "h", "itemsizing": "constant", "y": 0, "yanchor": "top"},
        "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
        "annotations": notes,
        "uirevision": "map",  # keeps the zoom
    }


def _lit(role: str, points: list[dict[str, Any]], ink: str) -> Trace:
    """Make the trace of highlighted movies."""
    symbol, size, colour = ROLES[role]
    return {
        "type": "scattergl",
        "mode": "markers",
        "name": role,
        "x": [point["x"] for point in points],
        "y": [point["y"] for point in points],
        "text": [escape(article_first(point["title"])) for point in points],
        "hoverinfo": "text",
        "customdata": [point["movie"] for point in points],
        "unselected": {"marker": {"opacity": 1}},
        "marker": {"symbol": symbol, "size": size, "color": colour, "line": {"width": 1.5, "color": ink}},
    }


def _note(point: dict[str, Any], text: str, size: int, ink: str) -> dict[str, Any]:
    """Make an annotation above a point, which lies above what WebGL draws."""
    place = {"x": point["x"], "y": point["y"], "yshift": 12, "showarrow": False}
    return place | {"text": text, "font": {"size": size, "color": ink}}


def apart(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose well-known movies that lie far enough from each other to be named."""
    across = max(point["x"] for point in points) - min(point["x"] for point in points)
    high = max(point["y"] for point in points) - min(point["y"] for point in points)
    named: list[dict[str, Any]] = []
    for point in points[: LABELS * 20]:
        far = all(
            abs(point["x"] - other["x"]) > 2 * APART * across or abs(point["y"] - other["y"]) > APART * high / 2
            for other in named
        )
        if far and len(named) < LABELS:
            named.append(point)
    return named


def _short(title: str, most: int = 24) -> str:
    name = spoken(title)
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"
