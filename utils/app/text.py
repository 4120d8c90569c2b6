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
.about ul { margin: .25rem 0; padding-left: 0; list-style: none; }
.about details p { margin: .25rem 0 0; }
.about summary { cursor: pointer; }
.about li { position: relative; z-index: 0; padding: 1px 4px; }
.movie .about :is(p, li) { font-size: .875rem; }
.bar { position: absolute; inset: 2px auto 2px 0; z-index: -1; background: #2f86c64d; border-radius: 2px; }
.bar.less { background: #d55e004d; }
[class*="st-key-halves"] [role="radiogroup"] { gap: 0; flex-wrap: nowrap; }
[class*="st-key-halves"] [role="radiogroup"] > div { width: 14px; height: 30px; overflow: hidden; position: relative; }
[class*="st-key-halves"] [role="radiogroup"] label { position: absolute; inset: 0; opacity: 0; cursor: pointer; }
[class*="st-key-halves"] [role="radiogroup"] > div::before {
  content: "★"; position: absolute; left: 0; width: 28px; text-align: center; font-size: 27px; line-height: 30px;
  color: #d98200;
}
[class*="st-key-halves10-"] [role="radiogroup"] > div:nth-child(even)::before,
[class*="st-key-halves9-"] [role="radiogroup"] > div:nth-child(odd)::before { left: -14px; }
[class*="st-key-halves9-"] [role="radiogroup"] > div:first-child { width: 28px; }
[class*="st-key-halves9-"] [role="radiogroup"] > div:first-child::before { left: 0; }
[class*="st-key-halves"] [role="radiogroup"]:not(:has(:checked)):not(:hover) > div::before,
[class*="st-key-halves"] [role="radiogroup"]:not(:hover) > div:has(:checked) ~ div::before,
[class*="st-key-halves"] [role="radiogroup"] > div:hover ~ div::before { color: #8a8f98; opacity: .55; }
[class*="st-key-halves"] [role="radiogroup"]:has(:focus-visible) { outline: 2px solid #2f86c6; outline-offset: 2px; }
.near ol { margin: 0; padding-left: 1.6rem; }
[data-testid="stMainBlockContainer"] { padding-top: 4rem; max-width: 76rem; }
</style>"""
DARK = "<style>[data-tag] span, [data-tag] button { color: #0b1a26; }</style>"  # Streamlit's white is too pale on it
ABOUT = '<div class="movie"><p class="title">{}</p><p class="about">{}</p><div class="about">{}</div></div>'


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
