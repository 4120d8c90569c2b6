"""The right column: recommendations."""

from __future__ import annotations

from typing import Any

import streamlit as st

from utils.app.rating import EXPLAINED
from utils.app.shared import Shared
from utils.app.text import ABOUT, boxed, brief, say, write
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.recommend import recommendations, reranking

STRATEGIES = {
    "best": "what did best on validation",
    "neighbours": "what users near you like",
    "movies": "what is near the movies you like",
    "decoder": "what the autoencoder predicts",
}


def column(shared: Shared, visitor: Visitor) -> None:
    """Show the column."""
    saved = shared.saved
    st.header("For you", anchor=False)
    strategy, n, filters = _options(shared)
    if visitor.hidden:
        st.button("Show hidden movies again", on_click=visitor.hidden.clear)
    if not visitor.stars:
        say("Rate a movie to get recommendations.")
        return
    explained = len(visitor.stars) <= EXPLAINED and saved.takes_strangers
    try:
        answer = recommendations.recommend(saved, visitor.profile(saved.ratings), strategy, n, filters, explained)
    except UserError as error:
        say(str(error), "alert")
        return
    if len(visitor.stars) > EXPLAINED:
        say(f"Reasons are given for up to {EXPLAINED} ratings.")
    items = answer["items"]
    for note in answer["notes"]:
        say(note)
    for place, (movie, item) in enumerate(zip(shared.indices(items), items, strict=True)):
        with boxed(f"item-{place}"):
            stars = [f"★ {item['predicted_rating']:.1f}"] if "predicted_rating" in item else []
            title = f"{item['rank']}. {brief(item['title'], item['year'])}"
            why = recommendations.sentence(item) if explained else ""
            write(ABOUT, title, " · ".join([*stars, *item["genres"]]), why)
            st.button("Seen it", key=f"seen-{place}", type="tertiary", on_click=visitor.mark_seen, args=(movie,))
            st.button("Not for me", key=f"no-{place}", type="tertiary", on_click=visitor.hidden.add, args=(movie,))
    if len(items) < n:
        say(f"{reranking.no_more(len(items))}.".capitalize())
    st.download_button("Download the list", recommendations.as_csv(answer), "list.csv", "text/csv", on_click="ignore")


def _options(shared: Shared) -> tuple[str, int, reranking.Options]:
    """Show the options of the list, which the page's address keeps: (strategy, number of movies, filters)."""
    saved, strategies, diverse, years = shared.saved, ["best"], 0.0, None
    bound: dict[str, Any] = {"bind": "query-params"}
    if saved.neighbourhoods:
        able = saved.strategies if saved.takes_strangers else ("movies",)  # which needs no encoder
        strategies = [strategy for strategy in STRATEGIES if saved.strategy(strategy) in able]
    with st.expander("What may be on the list", key="switches"):
        strategy = st.selectbox("Strategy", strategies, format_func=STRATEGIES.__getitem__, key="by", **bound)
        genre = st.multiselect("Genres", shared.movies.genre_names, key="genre", placeholder="any", **bound)
        known = {year for year in shared.movies.years if year}
        if len(known) > 1:
            span = min(known), max(known)
            first, last = st.slider("Years", *span, span, key="years", **bound)
            years = f"{first}-{last}" if (first, last) != span else None
        n = st.slider("How many", 5, 50, 10, 5, key="n", **bound)
        if saved.neighbourhoods:
            diverse = st.slider("Diversity", 0.0, 1.0, 0.0, 0.1, key="diverse", **bound)
    return strategy, n, reranking.Options(genre=tuple(genre), years=years, diverse=diverse)
