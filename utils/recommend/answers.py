"""Ask a run from Python: what recommend.py answers, as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from utils.errors import UserError
from utils.recommend import profile, recommendations, reranking

if TYPE_CHECKING:
    from utils.recommend.saved import Saved


class Answers:
    """A loaded run. Its methods return a DataFrame with a row for each movie or user, nearest or best first; what
    recommend.py would say beside is in `attrs["notes"]`. What can't be answered is a `ValueError` with a sentence."""

    def __init__(self, saved: Saved) -> None:
        self.saved = saved

    def recommend(
        self,
        user: Any = None,
        ratings: Mapping[Any, float] | None = None,
        n: int = 10,
        by: str = "best",
        explain: bool = False,
        **filters: Any,
    ) -> pd.DataFrame:
        """Recommend `n` movies to a user of the data, by raw id, or to somebody with `ratings`, {title or id: stars}.

        Columns: rank, movieId, title, name, year, genres, score and, where the model predicts stars,
        predicted_rating and its range; with `explain` also because: what each rating adds to the score.

        filters: those of `reranking.Options`, such as genre=["War"], years="1980-", min_ratings=20 or diverse=0.3."""
        saved = self.saved
        if (user is None) == (not ratings):
            raise UserError("recommend takes user=ID or ratings={title: stars}, one of them")
        filters |= {name: _texts(filters[name]) for name in ("genre", "without_genre") if name in filters}
        if user is not None:
            person = profile.of_user(saved.ratings, str(user))
        else:
            pairs = [(str(title), float(stars)) for title, stars in (ratings or {}).items()]
            stars, notes = profile.of_titles(saved.run.titles, saved.ratings.scale, pairs)
            stars, of_rare = profile.without_rare(saved.run.movies, stars)
            person = profile.of_ratings(saved.ratings, stars, notes + of_rare)
        return _frame(recommendations.recommend(saved, person, by, _count(n), reranking.Options(**filters), explain))

    def similar_movies(self, *titles: Any, unlike: Any = (), n: int = 10) -> pd.DataFrame:
        """Find the `n` movies nearest in latent space to these, by title or movieId, and far from those of `unlike`."""
        if not titles:
            raise UserError("similar_movies takes the title or movieId of a movie, or several")
        find, of = profile.find_movie, self.saved.run.titles
        liked, others = ([find(of, text) for text in _texts(some)] for some in (titles, unlike))
        return _frame(recommendations.movies_like(self.saved, liked, _count(n), others))

    def similar_users(self, user: Any, n: int = 10) -> pd.DataFrame:
        """Find the `n` users nearest in latent space to one, with the movies that both like."""
        index = profile.find_user(self.saved.ratings, str(user))
        return _frame(recommendations.users_like(self.saved, index, _count(n)))


def _texts(values: Any) -> tuple[str, ...]:
    """Return one value, or several, as texts."""
    return tuple(map(str, [values] if pd.api.types.is_scalar(values) else values))


def _count(n: int) -> int:
    """Return a number of movies or users, which has to be 1 at least."""
    if n < 1:
        raise UserError(f"n must be 1 or more, got {n}")
    return n


def _frame(facts: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(facts["items"])
    table.attrs["notes"] = facts.get("notes", [])
    return table
