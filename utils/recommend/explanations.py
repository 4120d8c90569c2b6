"""Say why a movie is recommended: by how much each rating of the profile raises its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from utils.data.movies import Movies, spoken
from utils.data.ratings import given
from utils.scoring.protocols import Floats, Scale

if TYPE_CHECKING:
    from utils.scoring.profile_rows import ProfileRows

MOST = 2  # ratings named in a sentence


def explain(movies: Movies, rows: ProfileRows, effect: Floats, scale: Scale) -> list[dict[str, Any]]:
    """List what each rating of the one row of `ProfileRows` adds to one movie's score, most first, as plain values for
    --json. effect: (k,), in the order of the row."""
    order, stars = (-effect).argsort(kind="stable"), given(rows.stars[0], scale)
    return [
        {
            "movieId": movies.ids[rows.movies[i]].item(),
            "title": movies.titles[rows.movies[i]],
            "rating": float(stars[i]),
            "effect": float(effect[i]),
        }
        for i in order
    ]


def sentence(item: dict[str, Any]) -> str:
    """Say in words why an item is recommended."""
    positive = [rating for rating in item["because"][:MOST] if rating["effect"] > 0]
    ratings = " and ".join(f"{spoken(rating['title'])} {rating['rating']:g}" for rating in positive)
    reason = f"because you gave {ratings}" if ratings else "no single rating of yours speaks for it"
    if item.get("nearest"):
        reason += f"; {item['liked_by_nearest']} of your {item['nearest']} nearest liked it"
    return reason
