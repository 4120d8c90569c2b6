"""The map: movies in two dimensions, with the visitor among them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from utils.app.shared import Shared
from utils.app.text import brief, say, write
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.recommend import recommendations
from utils.report import latent_maps, map_figures

NEAR = 10  # movies listed as nearest to one
FAVOURITES = 30  # favourites of the nearest users on the map


def page(shared: Shared, visitor: Visitor) -> None:
    """Show the tab."""
    saved = shared.saved
    st.header("The map", anchor=False)
    if not saved.neighbourhoods:
        say(f"{saved.run.config['model']} has no latent space, so there is no map; choose another model.")
        return
    with st.spinner("Drawing the map"):
        points, method = shared.map["points"], shared.map["method"]
    highlighted, you = on_map(shared, visitor)
    key = f"map {saved.run.config['sha256'][:8]}"
    left, right = st.columns([3, 1])
    with right:
        movie = chosen_movie(shared, st.session_state.get(key, {}).get("selection", {}).get("points", []))
        if movie is not None:
            try:
                highlighted["near the movie you chose"] = _nearest(shared, movie)
            except UserError as error:
                say(str(error))
    with left:
        clicked = partial(st.session_state.update, picked=None)  # a click replaces the movie chosen by name
        figure = map_figures.page_map(points, highlighted, you, st.context.theme.type == "dark")
        alt = f"Map of {len(points):,} movies by {method}"
        config = {"scrollZoom": True, "displaylogo": False}
        st.plotly_chart(figure, key=key, on_select=clicked, selection_mode="points", config=config, alt=alt)
        say(
            f"Each of the {len(points):,} points is a movie that was rated often enough, where {method} puts its "
            "latent vector: movies close to each other are liked by the same people. You are shown amid the movies "
            "nearest to your own vector."
        )


def on_map(shared: Shared, visitor: Visitor) -> tuple[dict[str, Sequence[int]], Sequence[float] | None]:
    """Return ({role: movies to highlight}, position (x, y) of the visitor or None)."""
    if not visitor.stars:
        return {}, None
    saved, user_profile = shared.saved, visitor.profile(shared.saved.ratings)
    highlighted: dict[str, Sequence[int]] = {"you rated": list(visitor.stars)}
    try:
        near = recommendations.recommend(saved, user_profile, "neighbours", FAVOURITES)["items"]
        highlighted["favourites of those nearest to you"] = shared.indices(near)
        return highlighted, latent_maps.place(saved, user_profile, shared.map["points"])
    except UserError as error:  # a model that encodes only its own users
        say(str(error))
        return highlighted, None


def chosen_movie(shared: Shared, event: Sequence[dict[str, Any]]) -> int | None:
    """Show the search for a movie, and return the index of the movie chosen there or by a click on the map."""
    title = st.selectbox(
        "A movie and what is near it",
        shared.labels,
        index=None,
        key="picked",
        filter_mode="contains",
        placeholder="Click one, or choose it here",
    )
    return shared.labels[title] if title else clicked_on(event, shared.map["points"])


def clicked_on(event: Sequence[dict[str, Any]], points: Sequence[dict[str, Any]]) -> int | None:
    """Return the index of the movie of the first selected point; None where that is no movie of these points."""
    movies = np.ravel(event[0].get("customdata", ())).tolist() if event else []
    return int(movies[0]) if movies and movies[0] in {point["movie"] for point in points} else None


def _nearest(shared: Shared, movie: int) -> list[int]:
    """List the movies nearest to one on the page, and return the indices of all, that one first."""
    near = recommendations.movies_like(shared.saved, [movie], NEAR)
    titles = (brief(item["title"], item["year"]) for item in near["items"])
    items = Markup("").join(Markup("<li>{}</li>").format(title) for title in titles)
    title = brief(near["like"][0]["title"], near["like"][0]["year"])
    write('<div class="near"><p class="title">Near {}</p><ol>{}</ol></div>', title, items)
    return [movie, *shared.indices(near["items"])]
