"""The left column: movies to rate, and the visitor's ratings."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from utils.app.shared import Shared
from utils.app.text import ABOUT, boxed, brief, say, shown, write
from utils.app.visitor import IN_ADDRESS, Visitor
from utils.data.movies import shortened
from utils.data.ratings import given, zero_sentinel
from utils.errors import UserError
from utils.scoring.protocols import Scale

MB = 5  # largest file that can be uploaded
KINDS = ["csv", "tsv", "txt", "json", "xlsx", "zip"]  # endings of these
EXPLAINED = 200  # ratings; with more, explanations would take too long
NOTES = 10  # notes about it that are shown


def steps(scale: Scale) -> list[float]:
    """Return the stars to choose from: halves of five stars, on the scale of the data."""
    low, top = scale
    return sorted({max(half * top / 10, low) for half in range(1, 11)})


def stars(shared: Shared, visitor: Visitor, movie: int) -> None:
    """Show five stars of a movie, whose halves can be chosen; a rating between two of them shows the nearest."""
    key, rated, values = f"stars {movie}", visitor.stars.get(movie), steps(shared.scale)
    st.session_state[key] = None if rated is None else min(values, key=lambda value: abs(value - rated))
    name = brief(shared.movies.titles[movie], shared.movies.years[movie])
    with st.container(key=f"halves{len(values)}-{movie}", width="content"):
        st.radio(
            f"Your stars for {name}",
            values,
            index=None,
            format_func=lambda value: f"{value:g} of {shared.scale[1]:g} stars",
            key=key,
            horizontal=True,
            label_visibility="collapsed",
            on_change=lambda: visitor.rate(movie, st.session_state[key]),
        )


def search(shared: Shared, visitor: Visitor) -> None:
    """Put the movie that was chosen or typed into the search in front, to be rated."""
    text, st.session_state.search = st.session_state.search, None
    visitor.not_found = ""
    if text:
        try:
            visitor.ask(shared.find(text))
        except UserError as error:
            visitor.not_found = str(error)


def upload(shared: Shared, visitor: Visitor, key: str, is_watchlist: bool = False) -> None:
    """Read the ratings, or the watchlist, of an uploaded file."""
    file = st.session_state[key]
    if file is None:
        return
    links = shared.saved.run.links
    try:
        if file.size > MB << 20:
            raise UserError(f"{file.name} has more than {MB} MB")
        if is_watchlist:
            visitor.upload_watchlist(file.name, file.getvalue(), shared.titles, links)
        else:
            visitor.notes = visitor.upload(file.name, file.getvalue(), shared.titles, shared.scale, links)
    except UserError as error:
        setattr(visitor, "list_notes" if is_watchlist else "notes", [str(error)])
    st.session_state.uploads = st.session_state.get("uploads", 0) + 1  # a new key empties the widget


def edit(shared: Shared, visitor: Visitor, movies: list[int], key: str) -> None:
    """Apply the changes made in the table of ratings, whose rows are `movies`."""
    changed = st.session_state[key]
    for row, cells in changed["edited_rows"].items():
        if cells.get("stars") is not None:
            visitor.rate(movies[row], float(cells["stars"]) or zero_sentinel(shared.scale))
    for row in changed["deleted_rows"]:
        visitor.rate(movies[row], None)
    st.session_state.edits = st.session_state.get("edits", 0) + 1


def column(shared: Shared, visitor: Visitor) -> None:
    """Show the column."""
    movies, order = shared.movies, shared.order
    st.header("Rate a few movies", anchor=False)
    st.selectbox(
        "Find a movie",
        shared.labels,
        index=None,
        key="search",
        placeholder="Type a title; misspelt is fine, with Enter",
        accept_new_options=True,
        filter_mode="contains",
        on_change=search,
        args=(shared, visitor),
    )
    if visitor.not_found:
        say(visitor.not_found, "alert")
    visitor.fill(order)
    for place, movie in enumerate(visitor.cards):
        with boxed(f"card-{place}"):
            write(ABOUT, brief(movies.titles[movie], movies.years[movie]), " · ".join(movies.genres[movie]), "")
            stars(shared, visitor, movie)
            if movie in visitor.stars:
                st.button("Clear", key=f"clear-{place}", type="tertiary", on_click=visitor.rate, args=(movie, None))
            else:
                st.button("Not seen", key=f"skip-{place}", type="tertiary", on_click=visitor.skip, args=(place, order))
    st.button("Other movies", on_click=visitor.others, args=(order,), icon=":material/refresh:")
    with st.expander("Why these movies?"):
        say(
            "They are well known, and your ratings of them tell the most about all other movies: each next one is the "
            "movie whose likes, together with those of the ones before it, explain most of the likes of all others."
        )
    for title, show in (("Your ratings", ratings_table), ("Bring your ratings along", file_upload)):
        with st.expander(title, key=title, on_change="rerun") as expander:
            if expander.open:  # a rating should not wait for what nobody sees
                show(shared, visitor)


def ratings_table(shared: Shared, visitor: Visitor) -> None:
    """Show the table of the visitor's ratings."""
    (low, top), rated = shared.scale, list(visitor.stars)
    if rated:
        values = given(list(visitor.stars.values()), shared.scale)
        key = f"table {st.session_state.get('edits', 0)} {len(rated)}"
        st.data_editor(
            pd.DataFrame({"movie": [shown(shared.movies.titles[movie]) for movie in rated], "stars": values}),
            column_config={
                "movie": st.column_config.TextColumn(width=180),
                "stars": st.column_config.NumberColumn(min_value=low, max_value=top, width=60),
            },
            disabled=["movie"],
            hide_index=True,
            num_rows="delete",
            key=key,
            on_change=edit,
            args=(shared, visitor, rated, key),
        )
    with st.container(horizontal=True):
        csv = visitor.csv(shared.movies, shared.scale)
        st.download_button("Download", csv, "ratings.csv", "text/csv", disabled=not rated, on_click="ignore")
        if len(rated) > IN_ADDRESS:
            say(f"More than {IN_ADDRESS} ratings are not kept in the page's address: download them to keep them.")
        st.button("Forget all", on_click=visitor.forget)


def file_upload(shared: Shared, visitor: Visitor, name: str = "upload") -> None:
    """Show the upload of a file, and notes on what was read in it. name: of this upload among those of the page."""
    key = f"{name} {st.session_state.get('uploads', 0)}"
    st.file_uploader(
        "Export of Letterboxd, IMDb, Trakt, TMDB, ..., or a CSV file with title, year and rating",
        type=KINDS,
        max_upload_size=MB,
        key=key,
        on_change=upload,
        args=(shared, visitor, key),
    )
    if visitor.notes:
        say(shortened(visitor.notes, NOTES, "\n"))
