"""A saved blend that recommends to anybody, without Keras where its parts can: each uses its own arrays."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from models.ensemble.stacking import Weights
from utils.errors import UserError
from utils.recommend.profile import Profile
from utils.recommend.saved import Saved
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import Floats, Indices, ScoreFunction

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Blended(Saved):
    """A run of `blend`; its one strategy is "model"."""

    @cached_property
    def parts(self) -> list[Saved]:
        """The parts as saved runs."""
        return [Saved(self.run.part(f"part{i + 1}"), self.load) for i in self.learned.groups["all"]]

    @cached_property
    def learned(self) -> Weights:
        """The weights of the parts."""
        return Weights.load(self.run)

    def scores(self, user_profile: Profile, strategy: str, movies: Indices, rows: ProfileRows | None = None) -> Floats:
        """See `Saved.scores`."""
        known = user_profile.user is not None and (rows is None or rows is user_profile.rows)
        if not known and not self.learned.groups["open"]:
            raise UserError("all parts of this blend know their users' own ratings only, whole as they are")
        every, parts = np.arange(self.n_movies), self.parts
        scores = self.learned.blended_scores(known, lambda i: parts[i].scores(user_profile, parts[i].best, every, rows))
        return scores[:, movies]

    def raw_stars(self, user_profile: Profile, movies: Indices) -> Floats | None:
        """See `Saved.raw_stars`."""
        counts, known = np.full(len(movies), np.count_nonzero(user_profile.rows.stars)), user_profile.user is not None
        predict = lambda i: self.parts[i].raw_stars(user_profile, movies)  # noqa: E731
        return self.learned.blended_stars(known, predict, counts, movies)

    def scorer(self, strategy: str) -> ScoreFunction:
        """See `Saved.scorer`."""
        scorers = [part.scorer(part.best) for part in self.parts]
        return lambda given, users: self.learned.blended_scores(True, lambda i: scorers[i](given, users))

    def raw_stars_of(self, given: csr_array, users: Indices, rows: Indices, movies: Indices) -> Floats | None:
        """See `Saved.raw_stars_of`."""
        predict = lambda i: self.parts[i].raw_stars_of(given, users, rows, movies)  # noqa: E731
        return self.learned.blended_stars(True, predict, np.diff(given.indptr)[rows], movies)
