"""Print for people: the terminal, tables of facts and of recommendations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from utils.data.describe import describe
from utils.data.movies import shortened
from utils.recommend.recommendations import sentence

if TYPE_CHECKING:
    from utils.data.datasets import Dataset

STYLE: dict[str, Any] = {"title_justify": "left", "box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}


def console() -> Console:
    """Make the terminal. Titles, ids and file names are plain text: markup and emoji codes in them are not applied."""
    return _Terminal(markup=False, emoji=False, highlight=False)


class _Terminal(Console):
    """A terminal that prints no control characters of a text."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, without control characters."""
        super().print(*("\n".join(map(plain, o.split("\n"))) if isinstance(o, str) else o for o in objects), **options)


def plain(text: str) -> str:
    """Replace the control characters of a text by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def print_facts(data: Dataset, console: Console) -> None:
    """Print the description of a data set (`utils.data.describe`)."""
    table = Table(show_header=False, **STYLE)
    for row in describe(data):
        table.add_row(*map(plain, row))
    console.print(table)


def recommendations(answer: dict[str, Any]) -> Table:
    """Make the table of the movies that recommend.py found."""
    items = answer["items"]
    if "like" in answer:
        unlike = f", unlike {_several(answer['unlike'])}" if answer["unlike"] else ""
        title = f"Like {_several(answer['like'])}{unlike}"
    elif "people" in answer:
        return _for_people(answer)
    else:
        whom = "you" if answer["user"] is None else f"user {answer['user']}"
        title = f"For {whom}, by {answer['method']}"
    starred = any("predicted_rating" in item for item in items)
    explained = any("because" in item for item in items)
    about = "why" if explained else "genres"
    table = _table(title, ["", "title", "year", about, *(["stars"] if starred else []), "score"], ("title", about))
    for item in items:
        stars = [_stars(item, explained)] if starred else []
        why = sentence(item) if explained else ", ".join(item["genres"])
        cells = str(item["rank"]), item["name"], str(item["year"] or ""), why, *stars, f"{item['score']:.3g}"
        table.add_row(*map(plain, cells), end_section=explained)
    return table


def _several(movies: list[dict[str, Any]]) -> str:
    """Name movies with their years."""
    named = [movie["name"] + (f" ({movie['year']})" if movie["year"] else "") for movie in movies]
    return " and ".join(named)


def _stars(item: dict[str, Any], with_range: bool) -> str:
    """Write the predicted stars of a recommended movie; with_range: and the range around them, where it has one."""
    stars = f"{item['predicted_rating']:.1f}"
    if not with_range or "predicted_rating_low" not in item:
        return stars
    return f"{stars} ({item['predicted_rating_low']:.1f} to {item['predicted_rating_high']:.1f})"


def _for_people(answer: dict[str, Any]) -> Table:
    """Make the table of the movies for several people: the rank for each, and the stars where they are predicted."""
    people = [os.path.basename(str(who)) for who in answer["people"]]
    table = _table(
        f"For {', '.join(people[:-1])} and {people[-1]}, by {answer['method']}, {answer['join']}; "
        "of each the rank and the stars",
        ["", "title", "year", *people],
        ("title",),
    )
    for item in answer["items"]:
        each = [
            f"{person['rank']:,.0f}" + (f" ({person['predicted_rating']:.1f})" if "predicted_rating" in person else "")
            for person in item["people"]
        ]
        table.add_row(*map(plain, (str(item["rank"]), item["name"], str(item["year"] or ""), *each)))
    return table


def similar_users(answer: dict[str, Any]) -> Table:
    """Make the table of the users nearest to one in latent space."""
    title = f"Near user {answer['user']} in latent space"
    table = _table(title, ["", "user", "cosine", "both rated", "both like"], ("both like",))
    for item in answer["items"]:
        liked = shortened([movie["name"] for movie in item["both_like"]], 3, ", ")
        cells = str(item["rank"]), str(item["user"]), f"{item['cosine']:.2f}", str(item["both_rated"]), liked
        table.add_row(*map(plain, cells))
    return table


def _table(title: str, columns: list[str], left: tuple[str, ...]) -> Table:
    """Make a table without rows. left: the columns that are aligned to the left."""
    table = Table(title=plain(title), **STYLE)
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table
