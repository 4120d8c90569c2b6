"""The map of movies with somebody on it, as what Plotly draws; the page app.py shows it."""

import numpy as np

from utils.data.movies import article_first, spoken
from utils.report.figures import BARE, BLUE, coloured, escape

LABELS = 14  # well-known movies that are named on the map
APART = 0.09  # of the map's width: names lie at least so far from each other
ROLES = {  # what is lit on the map: (symbol, size, colour)
    "you rated": ("circle-open", 13, BLUE),
    "favourites of those nearest to you": ("circle", 11, "#ffc20a"),
    "near the movie you chose": ("diamond", 12, "#d55e00"),
    "you": ("x", 16, "#d0107a"),
}


def figure(points, lit, you=None, dark=False):
    """The plot, with all the points of `atlas.movie_map`. lit: {one of ROLES: indices of movies}. you: (x, y), where
    the visitor stands. dark: the page is. Each point's customdata is the index of its movie, so that a click tells
    it."""
    ink, paper = ("white", "black") if dark else ("black", "white")
    faint = min(0.6, 30 / len(points) ** 0.5)  # the more points, the less each covers
    base = coloured(points, "genre", "movies")
    for trace in base:
        trace["type"] = "scattergl"
        trace |= {name: np.array(trace[name]) for name in ("x", "y", "customdata")}  # which travel as bytes
        opacity = faint / 2 if trace["name"] == "other" else faint
        trace["marker"] = trace["marker"] | {"opacity": opacity, "line": {"width": 0}}
        trace["marker"]["size"] = np.array(trace["marker"]["size"], np.float32)
        trace["unselected"] = {"marker": {"opacity": opacity}}  # a click leaves the others as they are
    at = {point["movie"]: point for point in points}
    for role, movies in lit.items():
        if found := [at[movie] for movie in movies if movie in at]:
            base.append(_lit(role, found, ink))
    notes = [_note(point, escape(_short(point["title"])), 12, ink) for point in apart(points)]
    if you:
        symbol, size, colour = ROLES["you"]
        marker = {"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": paper}}
        own = {"x": [you[0]], "y": [you[1]], "name": "you", "hoverinfo": "name"}
        base.append({"type": "scattergl", "mode": "markers", "marker": marker, **own})
        notes.append(_note({"x": you[0], "y": you[1]}, "<b>you</b>", 14, ink) | {"bgcolor": paper, "opacity": 0.85})
    layout = {
        "xaxis": BARE,
        "yaxis": BARE,
        "height": 620,
        "hovermode": "closest",
        "dragmode": "pan",
        "clickmode": "event+select",
        "legend": {"orientation": "h", "itemsizing": "constant", "y": 0, "yanchor": "top"},
        "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
        "annotations": notes,
        "uirevision": "map",  # who has zoomed stays there
    }
    return {"data": base, "layout": layout}


def _lit(role, points, ink):
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


def _note(point, text, size, ink):
    """Text above a point, above what WebGL draws."""
    place = {"x": point["x"], "y": point["y"], "yshift": 12, "showarrow": False}
    return place | {"text": text, "font": {"size": size, "color": ink}}


def apart(points):
    """Some well-known movies that lie far enough from each other to be named."""
    across = max(point["x"] for point in points) - min(point["x"] for point in points)
    high = max(point["y"] for point in points) - min(point["y"] for point in points)
    named = []
    for point in points[: LABELS * 20]:
        far = all(
            abs(point["x"] - other["x"]) > 2 * APART * across or abs(point["y"] - other["y"]) > APART * high / 2
            for other in named
        )
        if far and len(named) < LABELS:
            named.append(point)
    return named


def _short(title, most=24):
    name = spoken(title)
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"
