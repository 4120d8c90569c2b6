"""Text on the page: titles and names of files are shown as text, never as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from markupsafe import Markup

from utils.data.movies import article_first, spoken

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

STYLE = """<style>
.title { font-weight: 600; overflow-wrap: anywhere; }
.about { font-size: .875rem; overflow-wrap: anywhere; }
.movie p, p.about { margin: 0; white-space: pre-line; }
@media (min-width: 641px) {
  [class*="st-key-item-"], [class*="st-key-card-"] { flex-wrap: nowrap !important; }
  [class*="st-key-item-"] > :first-child, [class*="st-key-card-"] > :first-child { flex: 1 1 0; min-width: 0; }
}
@media (max-width: 640px) {
  [class*="st-key-item-"] > :first-child, [class*="st-key-card-"] > :first-child { flex: 1 1 100%; }
}
.near ol { margin: 0; padding-left: 1.6rem; }
[data-testid="stMainBlockContainer"] { padding-top: 4rem; max-width: 76rem; }
</style>"""
DARK = "<style>[data-tag] span, [data-tag] button { color: #0b1a26; }</style>"  # Streamlit's white is too pale on it
ABOUT = '<div class="movie"><p class="title">{}</p><p class="about">{}</p><p class="about">{}</p></div>'


def shown(title: str) -> str:
    """Return a title as one says it: `Matrix, The (1999)` -> `The Matrix (1999)`."""
    name, year, rest = title.rpartition(" (")
    return article_first(name) + year + rest if year else article_first(title)


def brief(title: str, year: int | None) -> str:
    """Return a title as one says it, with the year and without other titles."""
    return spoken(title) + (f" ({year})" if year else "")


def boxed(key: str) -> DeltaGenerator:
    """Make the box of a movie and the buttons beside it."""
    return st.container(border=True, key=key, horizontal=True, vertical_alignment="center", gap="small")


def write(text: str, *values: str) -> None:
    """Show HTML of this repository; the values in it are escaped."""
    st.html(Markup(text).format(*values))  # noqa: S704


def say(text: str, role: str = "note") -> None:
    """Show a sentence that may name titles and files."""
    write('<p class="about" role="{}">{}</p>', role, text)
