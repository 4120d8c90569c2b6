"""A page to use a trained run: rate a few movies, get recommendations, see yourself on the map of movies.
streamlit run app.py"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import models
from utils.app import about, listing, map_page, rating, together
from utils.app.shared import Shared
from utils.app.text import DARK, STYLE, say
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.runs import run_folder


@st.cache_resource(max_entries=3, show_spinner="Reading the model")
def open_shared(folder: Path, written: int) -> Shared:
    """Open the run in a folder, once for all visitors. written: when it was, so that a new run is read again."""
    run = run_folder.find(folder)
    run.verify()
    shared = Shared(models.open_run(run))
    shared.warm()
    return shared


def choose() -> Path:
    """Let the visitor choose a run under runs/, the latest first, and return its folder."""
    names = [path.name for path in run_folder.list_runs()]
    if not names:
        run_folder.find()  # whose UserError says what to do
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.title("Reelspace", anchor=False)
    return run_folder.RUNS / right.selectbox("Model", names, key="model", bind="query-params")


def current_visitor(shared: Shared, name: str = "rated") -> Visitor:
    """Return the visitor of this browser tab for the data of the run, or with another name the person beside them. The
    page's address keeps their ratings over a reload, and the data that its ids are of."""
    data, kept = shared.data, f"{name} {shared.data}"
    if kept not in st.session_state:
        of, _, address = st.query_params.get(name, "").partition("~")
        st.session_state[kept] = Visitor.of_address(address if of == data else "", shared.movies, shared.scale)
    visitor = st.session_state[kept]
    rated = f"{data}~{visitor.address(shared.movies)}"
    if rated != st.query_params.get(name, f"{data}~"):
        st.query_params[name] = rated
    return visitor


def recommendations(shared: Shared, visitor: Visitor) -> None:
    """Show the first page."""
    left, right = st.columns(2, gap="large")
    with right:  # first, because visitors wait for it
        listing.column(shared, visitor)
    with left:
        rating.column(shared, visitor)


def for_two(shared: Shared, visitor: Visitor) -> None:
    """Show the page for the visitor and somebody else."""
    together.page(shared, visitor, current_visitor(shared, "with"))


def main() -> None:
    """Choose the run and show the page."""
    st.set_page_config("Reelspace", "🎬", layout="wide")
    st.html(STYLE + (DARK if st.context.theme.type == "dark" else ""))
    pages = {"For you": recommendations, "Map": map_page.page, "Two together": for_two, "About": about.page}
    try:
        folder = choose()
        shared = open_shared(folder, (folder / "MANIFEST").stat().st_mtime_ns)
    except (UserError, OSError) as error:  # OSError: a run that is being replaced
        say(str(error), "alert")
        return
    visitor = current_visitor(shared)
    tabs = st.tabs(list(pages), key="page", on_change="rerun", bind="query-params")
    for tab, show in zip(tabs, pages.values(), strict=True):
        if tab.open:  # the others are not drawn
            with tab:
                show(shared, visitor)


main()
