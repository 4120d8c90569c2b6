"""A page to use a trained run: rate a few movies, see what to watch and where the model puts you.
streamlit run app.py"""

from functools import partial

import streamlit as st

from models._blended import saved as answering
from utils import runs
from utils.app import about, listing, rating, sky
from utils.app.shared import Shared
from utils.app.text import DARK, STYLE, say
from utils.app.visitor import Visitor
from utils.errors import UserError


@st.cache_resource(max_entries=3, show_spinner="Reading the model")
def opened(folder, written):
    """What visitors `Shared` of the run in a folder, which was `written` at that time: read once, and whole."""
    run = runs.find(folder)
    run.verify()
    shared = Shared(answering(run))
    shared.warm()
    return shared


def choose():
    """The folder of the run that the visitor chooses among those under runs/; the one trained last stands first."""
    latest = runs.find().folder
    names = sorted((path.name for path in runs.every()), key=lambda name: (name != latest.name, name))
    name, model = st.columns([3, 2], vertical_alignment="bottom")
    name.title("Reelspace", anchor=False)
    return runs.RUNS / model.selectbox("Model", names, key="model", bind="query-params")


def visiting(shared):
    """The `Visitor` of this browser tab, for the data of the run; whoever reloads the page is known by its address."""
    key = f"visitor {shared.saved.run.config['sha256']}"
    if key not in st.session_state:
        said = st.query_params.get("rated", "")
        st.session_state[key] = Visitor.of_address(said, shared.movies, shared.scale)
    return st.session_state[key]


def recommendations(shared, visitor):
    """The first page."""
    left, right = st.columns(2, gap="large")
    with right:  # first, since it is what one waits for
        listing.column(shared, visitor)
    with left:
        rating.column(shared, visitor)


def main():
    """Choose the run, show the page."""
    st.set_page_config("Reelspace", "🎬", layout="wide")
    st.html(STYLE + (DARK if st.context.theme.type == "dark" else ""))
    pages = {"For you": recommendations, "Map": sky.page, "About": about.page}
    try:
        folder = choose()
        shared = opened(folder, (folder / "MANIFEST").stat().st_mtime_ns)
    except UserError as error:
        say(str(error), "alert")
        return
    visitor = visiting(shared)
    page = st.navigation(
        [
            st.Page(partial(show, shared, visitor), title=title, url_path=title.lower().replace(" ", "-"))
            for title, show in pages.items()
        ],
        position="top",
    )
    if (said := visitor.address(shared.movies)) != st.query_params.get("rated", ""):
        st.query_params["rated"] = said
    page.run()


main()
