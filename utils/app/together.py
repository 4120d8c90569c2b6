"""The tab for two: somebody else's list beside the visitor's, and what both would like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args
from urllib.parse import parse_qs, urlparse

import streamlit as st
from markupsafe import Markup

from utils.app import listing, rating
from utils.app.shared import Shared
from utils.app.text import brief, say, write
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.recommend import group, recommendations

JOINS = dict(zip(get_args(group.Join), ("good on average", "bad for nobody", "each in turn"), strict=True))


def page(shared: Shared, visitor: Visitor, other: Visitor) -> None:
    """Show the tab. other: the second person, whose ratings come from a file or an address."""
    st.header("Two together", anchor=False)
    say("Add somebody's ratings: the file that they exported, or the address of their page here.")
    left, right = st.columns(2, gap="large")
    with left:
        rating.file_upload(shared, other, "their file")
    with right:
        st.text_input("The address of their page", key="pasted", on_change=read_address, args=(shared, other))
        if other.not_found:
            say(other.not_found, "alert")
        if other.stars:
            st.button("Forget them", on_click=other.forget)
    if not visitor.stars or not other.stars:
        missing = "Rate a movie yourself" if other.stars else "Then their list comes here"
        say(f"{missing}{'' if visitor.stars else ', and yours, once you have rated a movie'}.")
        return
    strategy, n, filters = listing.options(shared)
    join = st.pills(
        "For both", list(JOINS), default="average", format_func=JOINS.__getitem__, key="join", required=True
    )
    people = [(name, one.profile(shared.saved.ratings)) for name, one in (("you", visitor), ("they", other))]
    by_score = replace(filters, discover=0)
    lists: dict[str, list[dict[str, Any]]] = {"Both": [], "You": [], "They": []}
    try:
        both = group.recommend(shared.saved, people, strategy, n, join, filters)
        lists["Both"] = both["items"]
        for heading, (_, profile) in zip(("You", "They"), people, strict=True):
            lists[heading] = recommendations.recommend(shared.saved, profile, strategy, n, by_score)["items"]
    except UserError as error:
        say(str(error), "alert")
        return
    in_turn = ["each in turn takes no account of diversity"] if join == "fair" and filters.diverse else []
    for note in both["notes"] + in_turn:
        say(f"{note}.")
    for column, (heading, items) in zip(st.columns(3), lists.items(), strict=True):
        with column:
            st.subheader(heading, anchor=False)
            _show(items)


def read_address(shared: Shared, other: Visitor) -> None:
    """Read the other person's ratings from the address that was pasted."""
    text, st.session_state.pasted = st.session_state.pasted, ""
    of, _, address = parse_qs(urlparse(text.strip()).query).get("rated", [""])[0].partition("~")
    found = Visitor.of_address(address, shared.movies, shared.scale)
    other.not_found = ""
    if not found.stars:
        other.not_found = "That is no address of this page with ratings in it."
    elif of != shared.data:
        other.not_found = "That address is of other data; choose the model there that you see here."
    else:
        other.stars, other.hidden = found.stars, found.hidden


def _show(items: Sequence[dict[str, Any]]) -> None:
    """List items, each with the predicted stars: of a list for both, those of each."""
    rows = []
    for item in items:
        of_each = [f"{one['who']} {star}" for one in item.get("people", ()) for star in listing.stars(one)]
        about = " · ".join([*(of_each or listing.stars(item)), *item["genres"]])
        row = Markup('<li><span class="title">{}</span><p class="about">{}</p></li>')
        rows.append(row.format(brief(item["title"], item["year"]), about))
    write('<div class="near"><ol>{}</ol></div>', Markup("").join(rows))
