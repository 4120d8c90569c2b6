"""Describe the maps of a latent space for Plotly: those of the report, and that of the page app.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import spoken
from utils.report.figures import BARE, BLUE, COLOURS, GREY, SHAPES, Plot, Trace, escape
from utils.report.latent_maps import Point

OLD = 1950  # decades before this one share a colour
DECADES = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e6c229", "#e69f00", "#d55e00")
CELLS = 48  # of a map's width and height, in which points are counted
SMOOTH = 2.2  # cells: deviation of the Gaussian that smooths the counts
FEW = 0.3  # of the mean number of points in a cell: fewer are in no region
LIFT = 1.5  # times more of a genre than on the whole map make its region
LABELS = 10  # well-known movies that are named on the page's map
SMALL, LARGE = 12, 15  # px: sizes of the names of movies, and of genres and the visitor
LETTER = 0.55  # width of a letter, in sizes
LONGEST = 24  # characters of a name
NARROW = (320, 440)  # px: the points of a map on a telephone
EDGE = 18  # px beside these points
ROLES: dict[str, Trace] = {  # what is highlighted on the page's map: its marker
    "you rated": {"symbol": "circle-open", "size": 13, "color": BLUE},
    "recommended to you": {"symbol": "star", "size": 14, "color": "#ffc20a"},
    "near the movie you chose": {"symbol": "diamond", "size": 12, "color": "#d55e00"},
    "you": {"symbol": "x", "size": 16, "color": "#d0107a"},
}
PATHS = {  # lines on it: colour
    "from what you rated to what is recommended for it": GREY,
    "your way with each rating": ROLES["you"]["color"],
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


def regions(points: Sequence[Point], taken: Sequence[Point] = ()) -> tuple[list[Trace], list[Point]]:
    """Find where on a map each genre is dense: (a trace of the outline of each genre's region, its label as a point
    with "title", "x" and "y", where most of its points are, but not over points that are taken).

    Points are counted in CELLS x CELLS and smoothed. A cell belongs to the genre whose share is the highest multiple of
    its share of all points, if it is LIFT times that; a cell of few points counts for less."""
    from scipy.ndimage import gaussian_filter

    x, y = (np.array([point[axis] for point in points]) for axis in "xy")
    names = sorted({point["genre"] for point in points} - {None})
    if not names or np.ptp(x) * np.ptp(y) == 0:
        return [], []
    edges = [np.linspace(v.min() - 0.1 * np.ptp(v), v.max() + 0.1 * np.ptp(v), CELLS + 1) for v in (x, y)]
    flags = np.array([[point["genre"] == name for point in points] for name in [None, *names]], float)
    flags[0] = 1  # all points
    dense = [gaussian_filter(np.histogram2d(y, x, edges[::-1], weights=flag)[0], SMOOTH) for flag in flags]
    least = dense[0].mean()
    share = flags[1:].mean(axis=1)[:, None, None]
    lift = (np.array(dense[1:]) / share + least) / (dense[0] + least)
    traces, labels, free = [], [], np.ones((CELLS, CELLS), bool)
    middle = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    for point in taken:
        row, column = (int(np.searchsorted(edges[i], point["xy"[i]])) for i in (1, 0))
        _take(free, row, column, 4)  # the marker is below its name
    for i, name in enumerate(names):
        above = np.clip(lift[i] - np.delete(lift, i, axis=0).max(axis=0, initial=LIFT), -1, 1)
        above = np.minimum(above, dense[0] / least - FEW)
        worth = np.where(free, np.where(above > 0, 1 + dense[i + 1], above), -2)
        row, column = (int(place) for place in np.unravel_index(worth.argmax(), worth.shape))
        labels.append({"title": name, "x": float(middle[0][column]), "y": float(middle[1][row])})
        _take(free, row, column)
        traces.append(_region(middle, above, COLOURS[i % len(COLOURS)]))
    return traces, labels


def _take(free: NDArray[np.bool_], row: int, column: int, below: int = 2) -> None:
    """Keep the cells around a label free of others."""
    free[max(row - below, 0) : row + 3, max(column - 8, 0) : column + 9] = False


def _region(middle: Sequence[NDArray[np.float64]], above: NDArray[np.float64], colour: str) -> Trace:
    """Fill where `above`, (CELLS, CELLS), is above 0. middle: x and y of the cells."""
    x, y, z = (np.round(values, 2).tolist() for values in (*middle, above))
    contours = {"type": "constraint", "operation": "<", "value": 0}
    trace = {"type": "contour", "x": x, "y": y, "z": z, "contours": contours, "fillcolor": f"{colour}2b"}
    return trace | {"line": {"width": 1, "color": colour}, "hoverinfo": "skip", "showlegend": False}


def report_map(latent_map: dict[str, Any], of: str) -> Plot:
    """Draw a map of `of`, "movies" or "users", for the report. Movies have traces by genre and by decade, of which the
    page's buttons show one, and names, which its script puts where there is room."""
    points = latent_map["points"]
    data, genres = regions(points)
    data += coloured(points, "genre")
    if of == "movies":
        names = [escape(spoken(point["title"])) for point in points]
        labels: Trace = {"type": "scatter", "mode": "text", "meta": "labels", "text": [" "] * len(points)}
        labels |= {"textposition": "top center", "textfont": {"size": 11}, "hoverinfo": "skip", "showlegend": False}
        data += [*coloured(points, "decade"), labels | _positions(points) | {"customdata": names}]
    named = ", ".join(label["title"] for label in genres) or "nothing"
    alt = f"Map of {len(points):,} {of} by t-SNE; told apart: {named}"
    layout = {
        "xaxis": BARE,
        "yaxis": BARE,
        "hovermode": "closest",
        "annotations": [_note(one, LARGE) for one in genres],
    }
    layout["legend"] = {"orientation": "h", "itemsizing": "constant"}
    return {"alt": alt, "height": 620 if of == "movies" else 480, "data": data, "layout": layout}


def page_map(
    points: Sequence[Point],
    highlighted: Mapping[str, Sequence[Point]],
    paths: Mapping[str, Sequence[Sequence[Point]]],
    dark: bool = False,
) -> dict[str, Any]:
    """Draw the points of a `latent_maps.movie_map` for the page: {"data", "layout"}.

    highlighted: {one of ROLES: points with "title"}. paths: {one of PATHS: lines through points}. dark: whether the
    page is dark. The customdata of a point is the index of its movie, so that a click tells which it is."""
    ink, paper = ("white", "black") if dark else ("black", "white")
    faint = min(0.6, 30 / len(points) ** 0.5)  # the more points, the less each covers
    you = highlighted.get("you", ())[-1:]
    traces, genres = regions(points, you)
    for trace in coloured(points, "genre"):
        trace |= {name: np.array(trace[name]) for name in ("x", "y", "customdata")}  # sent as bytes
        opacity = faint / 2 if trace["name"] == "other" else faint
        trace["marker"] |= {"opacity": opacity, "line": {"width": 0}}
        trace["marker"]["size"] = np.array(trace["marker"]["size"], np.float32)
        trace["unselected"] = {"marker": {"opacity": opacity}}  # a click does not fade the others
        traces.append(trace | {"type": "scattergl", "showlegend": False})
    traces += [_path(lines, role) for role, lines in paths.items() if lines]
    traces += [_highlighted(some, role, paper if role == "you" else ink) for role, some in highlighted.items() if some]
    large = [*genres, *you]
    names = [_note(point, SMALL, ink, paper) for point in apart(points, large)]
    notes = [*names, *(_note(point, LARGE, ink, paper) for point in large)]
    layout = {"xaxis": BARE, "yaxis": BARE, "height": 620, "hovermode": "closest", "annotations": notes}
    layout |= {"dragmode": "pan", "clickmode": "event+select", "uirevision": "map"}  # which keeps the zoom
    layout["legend"] = {"orientation": "h", "itemsizing": "constant", "y": 0, "yanchor": "top"}
    layout["margin"] = {"l": 0, "r": 0, "t": 8, "b": 0}
    return {"data": traces, "layout": layout}


def _highlighted(points: Sequence[Point], role: str, edge: str) -> Trace:
    marker = ROLES[role] | {"line": {"width": 1.5, "color": edge}}
    trace = {"type": "scattergl", "mode": "markers", "name": role, "marker": marker, "hoverinfo": "text"}
    trace |= {"unselected": {"marker": {"opacity": 1}}, "text": [escape(spoken(point["title"])) for point in points]}
    return trace | _positions(points) | {"customdata": [point.get("movie") for point in points]}


def _path(lines: Sequence[Sequence[Point]], role: str) -> Trace:
    """Draw lines, with a gap behind each."""
    gap = {"x": None, "y": None}
    style = {"width": 1.5, "color": PATHS[role]}
    trace = {"type": "scattergl", "mode": "lines", "name": role, "line": style, "hoverinfo": "skip"}
    return trace | _positions([point for line in lines for point in (*line, gap)])


def _short(point: Point) -> str:
    name = spoken(point["title"])
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def _note(point: Point, size: int, ink: str | None = None, paper: str | None = None) -> dict[str, Any]:
    """Name a point by an annotation, which lies above what WebGL draws; large ones are bold.
    ink, paper: colours, where the style sheet has none."""
    text = escape(_short(point))
    place = {"x": point["x"], "y": point["y"], "yshift": 16, "showarrow": False, "borderpad": 0}
    place["text"] = f"<b>{text}</b>" if size == LARGE else text
    colours = {"bgcolor": paper, "opacity": 0.8} if paper else {}
    return place | {"font": {"size": size} | ({"color": ink} if ink else {})} | colours


def apart(points: Sequence[Point], taken: Sequence[Point]) -> list[Point]:
    """Choose the first points, at most LABELS, whose names neither touch each other, those of the points taken or the
    edge, on a screen as narrow as NARROW."""
    at = np.array([(point["x"], point["y"]) for point in points])
    low, span = at.min(axis=0), np.ptp(at, axis=0) + 1e-9

    def box(point: Point, size: int) -> NDArray[np.float64]:
        """Return (left, bottom, right, top) of a name, in px."""
        middle = (np.array([point["x"], point["y"]]) - low) / span * NARROW
        half = np.array([size * LETTER * len(_short(point)), 1.5 * size]) / 2
        return np.concatenate([middle - half, middle + half])

    named, boxes = [], [box(point, LARGE) for point in taken]
    for point in points[: LABELS * 20]:
        new = box(point, SMALL)
        inside = new[0] > -EDGE and new[2] < NARROW[0] + EDGE
        if inside and all((new[:2] > other[2:]).any() or (new[2:] < other[:2]).any() for other in boxes):
            named.append(point)
            boxes.append(new)
    return named[:LABELS]
