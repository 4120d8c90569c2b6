"""The left column: movies to rate, and what was rated."""

import pandas as pd
import streamlit as st

from utils.app.text import ABOUT, boxed, brief, say, shown, write
from utils.app.visitor import IN_ADDRESS
from utils.data.movies import shortened
from utils.data.ratings import given, nought
from utils.errors import UserError
from utils.recommend import profile

MB = 5  # of a file that is uploaded
NOTES = 10  # about it that are shown


def rate(visitor, movie, top, low):
    """What happens when stars are clicked."""
    star, before = st.session_state[f"stars {movie}"], visitor.stars.get(movie)
    if star is None and before is not None and before * 5 / top % 1:  # between two stars: the one shown is meant
        star = filled(before, top)
    visitor.rate(movie, None if star is None else max((star + 1) * top / 5, low))


def filled(stars, top):
    """The number, from 0, of the star up to which five are filled."""
    return max(int(stars * 5 / top + 0.5) - 1, 0)


def search(shared, visitor):
    """What happens when a movie is chosen or typed into the search."""
    text, st.session_state.search = st.session_state.search, None
    visitor.sought = ""
    if text:
        try:
            known = shared.labels
            visitor.ask(known[text] if text in known else profile.find_movie(shared.titles, text))
        except UserError as error:
            visitor.sought = str(error)


def upload(shared, visitor, key):
    """What happens when a file is uploaded."""
    file = st.session_state[key]
    if file is None:
        return
    try:
        if file.size > MB << 20:
            raise UserError(f"{file.name} has more than {MB} MB")
        visitor.notes = visitor.upload(file.name, file.getvalue(), shared.movies, shared.scale)
    except UserError as error:
        visitor.notes = [str(error)]
    st.session_state.uploads = st.session_state.get("uploads", 0) + 1  # which leaves the widget without the file


def edit(shared, visitor, movies, key):
    """What happens when the table of ratings is edited."""
    changed = st.session_state[key]
    for row, cells in changed["edited_rows"].items():
        if cells.get("stars") is not None:
            visitor.rate(movies[row], float(cells["stars"]) or nought(shared.scale))
    for row in changed["deleted_rows"]:
        visitor.rate(movies[row], None)
    st.session_state.edits = st.session_state.get("edits", 0) + 1


def column(shared, visitor):
    """Show it."""
    movies, order, (low, top) = shared.movies, shared.order, shared.scale
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
    if visitor.sought:
        say(visitor.sought, "alert")
    visitor.fill(order)
    for place, movie in enumerate(visitor.asked):
        with boxed(f"card-{place}"):
            write(ABOUT, brief(movies.titles[movie], movies.years[movie]), " · ".join(movies.genres[movie]), "")
            key, stars = f"stars {movie}", visitor.stars.get(movie)
            st.session_state[key] = None if stars is None else filled(stars, top)
            st.feedback("stars", key=key, on_change=rate, args=(visitor, movie, top, low))
            st.button("Not seen", key=f"skip-{place}", type="tertiary", on_click=visitor.skip, args=(place, order))
    st.button("Other movies", on_click=visitor.others, args=(order,), icon=":material/refresh:")
    for title, show in (("Why these movies?", why), ("Your ratings", own_ratings), ("Bring your ratings along", bring)):
        with st.expander(title, key=title, on_change="rerun") as opened:
            if opened.open:  # so that a rating does not wait for what nobody sees
                show(shared, visitor)


def why(_shared, _visitor):
    """How the movies to rate are chosen."""
    say(
        "They are well known, and what people say about them tells the most about all other movies: each next one is "
        "the movie whose likes, beside those of the ones before it, explain most of all the others'."
    )


def own_ratings(shared, visitor):
    """The table of what was rated."""
    movies, (low, top) = shared.movies, shared.scale
    rated = list(visitor.stars)
    if rated:
        stars = given(list(visitor.stars.values()), shared.scale)
        key = f"table {st.session_state.get('edits', 0)} {len(rated)}"
        st.data_editor(
            pd.DataFrame({"movie": [shown(movies.titles[m]) for m in rated], "stars": stars}),
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
        csv = visitor.csv(movies, shared.scale)
        st.download_button("Download", csv, "ratings.csv", "text/csv", disabled=not rated, on_click="ignore")
        if len(rated) > IN_ADDRESS:
            say(f"More than {IN_ADDRESS} ratings are not kept in the page's address: download them to keep them.")
        st.button("Forget all", on_click=visitor.forget)


def bring(shared, visitor):
    """Where a file is uploaded, and what was read in it."""
    key = f"upload {st.session_state.get('uploads', 0)}"
    st.file_uploader(
        "Export of Letterboxd or IMDb, or a CSV file with title (or movieId) and rating",
        type=["csv", "tsv", "txt"],
        max_upload_size=MB,
        key=key,
        on_change=upload,
        args=(shared, visitor, key),
    )
    if visitor.notes:
        say(shortened(visitor.notes, NOTES, "\n"))
