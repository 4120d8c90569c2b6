"""The right column: recommendations, and before anything was rated what most people like."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from utils.app.rating import EXPLAINED, KINDS, MB, NOTES, upload
from utils.app.shared import Shared
from utils.app.text import ABOUT, boxed, brief, say, write
from utils.app.visitor import Visitor
from utils.data.movies import csv_safe, shortened, spoken
from utils.errors import UserError
from utils.recommend import recommendations, reranking

DIVERSE = 0.3  # how much the movies of the first list differ
LENGTHS, LENGTH = (5, 10, 20, 50), 10
OPTIONS = {"by", "genre", "without", "years", "known", "diverse", "n"}  # what the page's address says of the list
NAMED = 8  # ratings in the reasons of a movie; what the others add is summed
Z = 3  # of a 99.7% interval
FIRST = (
    "You have rated nothing yet, so everybody sees this list: movies that most people like, of different kinds. Rate a "
    "movie, and it becomes yours."
)
POPULARITY = {"low": "less known", "any": "any", "high": "well known"}
DIVERSITY = {0.0: "as scored", 0.3: "mixed", 0.6: "very mixed"}
STRATEGIES = {
    "best": "what did best on validation",
    "neighbours": "what users near you like",
    "movies": "what is near the movies you like",
    "decoder": "what the autoencoder predicts",
}


def column(shared: Shared, visitor: Visitor) -> None:
    """Show the column."""
    st.header("For you", anchor=False)
    strategy, n, filters = options(shared)
    with st.expander("Only what is on a watchlist", key="watchlist", on_change="rerun") as expander:
        if expander.open:  # a list should not wait for what nobody sees
            watchlist(shared, visitor)
    if visitor.hidden:
        st.button("Show hidden movies again", on_click=visitor.hidden.clear)
    try:
        answer = _answer(shared, visitor, strategy, n, filters)
    except UserError as error:
        say(str(error), "alert")
        return
    for note in answer["notes"]:
        say(note)
    for place, (movie, item) in enumerate(zip(shared.indices(answer["items"]), answer["items"], strict=True)):
        with boxed(f"item-{place}"):
            title = f"{item['rank']}. {brief(item['title'], item['year'])}"
            write(ABOUT, title, " · ".join([*stars(item), *item["genres"]]), _why(item))
            st.button("Seen it", key=f"seen-{place}", type="tertiary", on_click=visitor.mark_seen, args=(movie,))
            st.button("Not for me", key=f"no-{place}", type="tertiary", on_click=visitor.hidden.add, args=(movie,))
    if len(answer["items"]) < n:
        say(f"{reranking.no_more(len(answer['items']))}.".capitalize())
    with st.container(horizontal=True):
        for label, written, name in (  # when they are clicked
            ("Download the list", partial(recommendations.as_csv, answer), "list.csv"),
            ("For Letterboxd", partial(letterboxd, shared, answer["items"]), "letterboxd.csv"),
        ):
            st.download_button(label, written, name, "text/csv", on_click="ignore")


def watchlist(shared: Shared, visitor: Visitor) -> None:
    """Show the upload of a watchlist, and notes on the one that counts."""
    key = f"watchlist {st.session_state.get('uploads', 0)}"
    st.file_uploader(
        "Watchlist or list of Letterboxd, IMDb or Trakt, or a title with its year a line",
        type=KINDS,
        max_upload_size=MB,
        key=key,
        on_change=upload,
        args=(shared, visitor, key, True),
    )
    if visitor.list_notes:
        say(shortened(visitor.list_notes, NOTES, "\n"))
    if visitor.watchlist is not None:
        st.button("All movies again", on_click=visitor.forget_watchlist)


def _answer(shared: Shared, visitor: Visitor, strategy: str, n: int, filters: reranking.Options) -> dict[str, Any]:
    """Recommend to the visitor, with reasons where that is quick."""
    if not visitor.stars:
        return well_liked(shared, visitor, n, filters)
    explained = len(visitor.stars) <= EXPLAINED and shared.saved.takes_strangers
    profile = visitor.profile(shared.saved.ratings)
    answer = recommendations.recommend(shared.saved, profile, strategy, n, filters, explained, visitor.watchlist)
    if len(visitor.stars) > EXPLAINED:
        answer["notes"].append(f"Reasons are given for up to {EXPLAINED} ratings.")
    return answer


def well_liked(shared: Shared, visitor: Visitor, n: int, filters: reranking.Options) -> dict[str, Any]:
    """Recommend to somebody who rated nothing: what most of those who rated it like, by the lower end of the 99.7%
    interval of the share (Wilson 1927), and, where there is a latent space, no two movies alike."""
    saved = shared.saved
    hidden = np.array(sorted(visitor.hidden), np.intp)
    candidates, notes = recommendations.find_candidates(saved, filters, hidden, visitor.watchlist)
    known, liked = saved.ratings.movie_known[candidates], saved.ratings.movie_likes[candidates]
    count = np.maximum(known, 1)
    share = np.minimum(liked / count, 1)
    spread = Z * np.sqrt(share * (1 - share) / count + (Z / 2 / count) ** 2)
    score = (share + Z**2 / 2 / count - spread) / (1 + Z**2 / count)
    reorder = None
    if saved.neighbourhoods:
        filters = replace(filters, diverse=filters.diverse or DIVERSE)
        reorder = reranking.mmr_rerank(saved.space.movies, candidates, filters.diverse)
    top = reranking.best(recommendations.ranking_scores(score[None], known)[0], n, reorder)
    items = recommendations.ranked(saved.run.movies, candidates[top], score[top])
    for item, place in zip(items, top, strict=True):
        item["liked"] = f"{share[place]:.0%} of the {known[place]:,} who rated it like it"
    return {"items": items, "notes": [FIRST, *notes]}


def stars(item: dict[str, Any]) -> list[str]:
    """Return the predicted stars of an item with their range; [] where there are none."""
    if "predicted_rating" not in item:
        return []
    low, high = item.get("predicted_rating_low"), item.get("predicted_rating_high")
    between = "" if low is None else f" ({low:.1f} to {high:.1f})"
    return [f"★ {item['predicted_rating']:.1f}{between}"]


def _why(item: dict[str, Any]) -> str:
    """Return the reason for an item, which opens to what each rating adds to its score."""
    if "because" not in item:
        return item.get("liked", "")
    because = sorted(item["because"], key=lambda rating: -abs(rating["effect"]))
    most = max((abs(rating["effect"]) for rating in because), default=0) or 1
    lines = [
        (f"{spoken(rating['title'])} {rating['rating']:g}", rating["effect"], 100 * abs(rating["effect"]) / most)
        for rating in because[:NAMED]
    ]
    if rest := because[NAMED:]:
        lines.append((f"{len(rest)} others together", sum(rating["effect"] for rating in rest), 0))
    row = Markup('<li><span class="bar{}" style="width:{:.0f}%"></span>{} <b>{:+.2g}</b></li>')
    rows = Markup("").join(row.format(" less" * (effect < 0), width, name, effect) for name, effect, width in lines)
    score = Markup("<p>What each of your ratings adds to its score of {:.3g}:</p><ul>{}</ul>").format(
        item["score"], rows
    )
    return Markup("<details><summary>{}</summary>{}</details>").format(recommendations.sentence(item), score)


def letterboxd(shared: Shared, items: list[dict[str, Any]]) -> str:
    """Return the items as a CSV file that Letterboxd imports as a list, with the ids of IMDb and TMDB."""
    ids = [{movie: number for number, movie in known.items()} for known in shared.saved.run.links]
    file = io.StringIO(newline="")
    out = csv.writer(file)
    out.writerow(["Title", "Year", "imdbID", "tmdbID"])
    for movie, item in zip(shared.indices(items), items, strict=True):
        imdb, tmdb = (known.get(movie) for known in ids)
        out.writerow([csv_safe(item["name"]), item["year"] or "", f"tt{imdb:07}" if imdb else "", tmdb or ""])
    return file.getvalue()


def options(shared: Shared) -> tuple[str, int, reranking.Options]:
    """Show the options of the list, which the page's address keeps: (strategy, number of movies, filters)."""
    state = st.session_state
    with st.expander("What may be on the list", key="switches", on_change="rerun") as expander:
        # until somebody wants an option, nobody waits for all of them; from then on they keep their values
        state.switched = state.get("switched") or expander.open or not OPTIONS.isdisjoint(st.query_params)
        if not state.switched:
            return _strategies(shared)[0], LENGTH, reranking.Options()
        strategy, n, filters = _switches(shared)
    without = [f"no {name}" for name in filters.without_genre]
    less = [POPULARITY[filters.popularity]] if filters.popularity != "any" else []
    if active := [*filters.genre, *without, *([filters.years] if filters.years else []), *less]:
        say("Only " + ", ".join(active))
    return strategy, n, filters


def _switches(shared: Shared) -> tuple[str, int, reranking.Options]:
    """Show what can be chosen in `options`, whose keys are OPTIONS."""
    names, chosen = shared.movies.genre_names, dict[str, Any]()
    bound: dict[str, Any] = {"bind": "query-params"}
    one, several = {"required": True, **bound}, {"selection_mode": "multi", **bound}
    strategy = st.selectbox("Strategy", _strategies(shared), format_func=STRATEGIES.__getitem__, key="by", **bound)
    if names:
        chosen["genre"] = tuple(st.pills("Genres", names, key="genre", **several))
        chosen["without_genre"] = tuple(st.pills("Without", names, key="without", **several))
    known = {year for year in shared.movies.years if year}
    if len(known) > 1:
        span = min(known), max(known)
        first, last = st.slider("Years", *span, span, key="years", **bound)
        chosen["years"] = f"{first}-{last}" if (first, last) != span else None
    label = POPULARITY.__getitem__
    chosen["popularity"] = st.pills(
        "How well known", list(POPULARITY), default="any", format_func=label, key="known", **one
    )
    if shared.saved.neighbourhoods:
        mix = DIVERSITY.__getitem__
        chosen["diverse"] = st.pills("Diversity", list(DIVERSITY), default=0.0, format_func=mix, key="diverse", **one)
    n = st.pills("How many", LENGTHS, default=LENGTH, key="n", **one)
    return strategy, n, reranking.Options(**chosen)


def _strategies(shared: Shared) -> list[str]:
    """Return the strategies to choose from."""
    saved = shared.saved
    if not saved.neighbourhoods:
        return ["best"]
    able = saved.strategies if saved.takes_strangers else ("movies",)  # which needs no encoder
    return [strategy for strategy in STRATEGIES if saved.strategy(strategy) in able]
