"""The map: movies in two dimensions, with the visitor among them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from utils.app import rating
from utils.app.shared import Shared
from utils.app.text import brief, say, write
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.recommend import recommendations
from utils.report import latent_maps, map_figures
from utils.report.latent_maps import Point

NEAR = 10  # movies listed as nearest to one
LISTED = 10  # recommended movies on the map


def page(shared: Shared, visitor: Visitor) -> None:
    """Show the tab."""
    saved = shared.saved
    st.header("The map", anchor=False)
    if not saved.neighbourhoods:
        say(f"{saved.run.config['model']} has no latent space, so there is no map; choose another model.")
        return
    with st.spinner("Drawing the map, which this run then keeps"):
        points = shared.map
    key = f"map {saved.run.config['sha256'][:8]}"
    left, right = st.columns([3, 1])
    with right:
        movie = chosen_movie(shared, st.session_state.get(key, {}).get("selection", {}).get("points", []))
        near = [] if movie is None else _nearest(shared, visitor, movie)
    with left:
        highlighted, paths = on_map(shared, visitor)
        highlighted["near the movie you chose"] = located(shared, near)
        clicked = partial(st.session_state.update, picked=None)  # a click replaces the movie chosen by name
        figure = map_figures.page_map(points, highlighted, paths, st.context.theme.type == "dark")
        alt = f"Map of {len(points):,} movies by t-SNE"
        config = {"scrollZoom": True, "displaylogo": False}
        st.plotly_chart(figure, key=key, on_select=clicked, selection_mode="points", config=config, alt=alt)
        say(
            f"Each of the {len(points):,} points is a movie, one of the best known, where t-SNE puts its latent "
            "vector: movies close to each other are liked by the same people. A coloured region is where a genre is "
            "most above its share. You are shown amid the movies nearest to your own vector, and move with each "
            "rating. Other movies are shown amid those nearest to them."
        )


def located(shared: Shared, movies: Sequence[int]) -> list[Point]:
    """Return {"movie", "title", "x", "y"} of movies, of those that are not on the map, too."""
    at = {point["movie"]: (point["x"], point["y"]) for point in shared.map}
    saved, others = shared.saved, [movie for movie in movies if movie not in at]
    if others:
        at |= dict(zip(others, latent_maps.places(saved, saved.space.movies[others], shared.map).tolist(), strict=True))
    titles = shared.movies.titles
    return [{"movie": m, "title": titles[m], "x": at[m][0], "y": at[m][1]} for m in movies]


def on_map(shared: Shared, visitor: Visitor) -> tuple[dict[str, list[Point]], dict[str, list[list[Point]]]]:
    """Return what is highlighted for the visitor, and the lines through it, as `map_figures.page_map` takes them: from
    each recommended movie to the rating that speaks for it most, and from each position of the visitor to the next."""
    if not visitor.stars:
        return {}, {}
    saved, user_profile = shared.saved, visitor.profile(shared.saved.ratings)
    highlighted = {"you rated": located(shared, list(visitor.stars))}
    try:
        few = len(visitor.stars) <= rating.EXPLAINED and saved.takes_strangers
        items = recommendations.recommend(saved, user_profile, "best", LISTED, recommendations.BY_SCORE, few)["items"]
        steps = latent_maps.trail(saved, user_profile, list(visitor.stars), shared.map).tolist()
    except UserError as error:  # a model that encodes only its own users
        say(str(error))
        return highlighted, {}
    recommended, rated = (
        located(shared, shared.indices(items)),
        dict(zip(visitor.stars, highlighted["you rated"], strict=True)),
    )
    reasons = [item["because"][:1] if few and item["because"][0]["effect"] > 0 else [] for item in items]
    paths = [
        [rated[movie], point]
        for reason, point in zip(reasons, recommended, strict=True)
        for movie in shared.indices(reason)
    ]
    way: list[Point] = [{"title": "you", "x": x, "y": y} for x, y in steps]
    highlighted |= {"recommended to you": recommended, "you": way[-1:]}
    return highlighted, {"from what you rated to what is recommended for it": paths, "your way with each rating": [way]}


def chosen_movie(shared: Shared, event: Sequence[dict[str, Any]]) -> int | None:
    """Show the search for a movie, and return the index of the movie chosen there or by a click on the map."""
    title = st.selectbox(
        "A movie and what is near it",
        shared.labels,
        index=None,
        key="picked",
        filter_mode="contains",
        accept_new_options=True,
        placeholder="Click one, or type a title",
    )
    if not title:
        return clicked_on(event, shared.map)
    try:
        return shared.find(title)
    except UserError as error:
        say(str(error), "alert")
        return None


def clicked_on(event: Sequence[dict[str, Any]], points: Sequence[dict[str, Any]]) -> int | None:
    """Return the index of the movie of the first selected point; None where that is no movie of these points."""
    movies = np.ravel(event[0].get("customdata", ())).tolist() if event else []
    return int(movies[0]) if movies and movies[0] in {point["movie"] for point in points} else None


def _nearest(shared: Shared, visitor: Visitor, movie: int) -> list[int]:
    """Show a movie with its stars and the movies nearest to it, and return the indices of all, that one first."""
    write('<p class="title">{}</p>', brief(shared.movies.titles[movie], shared.movies.years[movie]))
    rating.stars(shared, visitor, movie)
    try:
        near = recommendations.movies_like(shared.saved, [movie], NEAR)["items"]
    except UserError as error:
        say(str(error))
        return [movie]
    items = Markup("").join(Markup("<li>{}</li>").format(brief(item["title"], item["year"])) for item in near)
    write('<div class="near"><p class="title">Near it</p><ol>{}</ol></div>', items)
    return [movie, *shared.indices(near)]
