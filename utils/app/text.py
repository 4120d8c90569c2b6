"""Text on the page: whatever titles and files say, it stands there as text."""

import streamlit as st
from markupsafe import Markup

from utils.data.movies import article_first, spoken

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


def shown(title):
    """A title as one says it: `Matrix, The (1999)` -> `The Matrix (1999)`."""
    name, year, rest = title.rpartition(" (")
    return article_first(name) + year + rest if year else article_first(title)


def brief(title, year):
    """The same without other titles."""
    return spoken(title) + (f" ({year})" if year else "")


def boxed(key):
    """Where a movie stands, what to do with it beside it."""
    return st.container(border=True, key=key, horizontal=True, vertical_alignment="center", gap="small")


def write(text, *values):
    """Show HTML, written in this repository, in which the values stand as text, whatever they say."""
    st.html(Markup(text).format(*values))  # noqa: S704


def say(text, role="note"):
    """Show a sentence that may name titles and files."""
    write('<p class="about" role="{}">{}</p>', role, text)
