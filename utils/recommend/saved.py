"""A saved run that recommends to anybody: scores and stars by each strategy.

Neither Keras nor scipy is imported where the run holds all that it takes as arrays: for its own users always, for
others where the encoder is dense layers (`encoder.npz`). Other encoders are read by Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import genre_shares
from utils.data.ratings import index_of, likes
from utils.errors import UserError
from utils.recommend import strategies
from utils.scoring import biases, encoders
from utils.scoring.latent import LatentSpace, weighted_neighbours
from utils.scoring.linear_scorer import LinearPath
from utils.scoring.protocols import Floats, Indices, LatentModel, Model, ScoreFunction

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.recommend.profile import Profile
    from utils.runs.run_folder import Run
    from utils.scoring.encoders import Encoder
    from utils.scoring.profile_rows import ProfileRows


class Saved:
    """strategies: the strategies that the run has; best: the best one on validation. load: function that reads the
    model of a run, called where its arrays do not suffice."""

    def __init__(self, run: Run, load: Callable[[Run], Model]) -> None:
        chosen, self.load = run.json("metrics.json"), load
        self.run, self.split, self.best = run, run.split, chosen["best"]
        self.neighbourhoods = strategies.read_neighbourhoods(chosen)
        self.strategies = (*self.neighbourhoods, "decoder") if self.neighbourhoods else ("model",)

    def strategy(self, by: str) -> str:
        """Return the strategy that `--by` names; a `UserError` where the run has no such strategy."""
        if by == "best":
            return self.best
        if by not in self.strategies:
            name = self.run.config["model"]
            if not self.neighbourhoods:
                raise UserError(f"{name} has no latent space, so there is no --by {by}; leave it out")
            raise UserError(f"{name} recommends --by {', '.join(self.strategies)}, not {by}")
        return by

    @cached_property
    def space(self) -> LatentSpace:
        """The `LatentSpace`; a `UserError` where the model has none."""
        if not self.neighbourhoods:
            raise UserError(
                f"{self.run.config['model']} has no latent space, so nothing is near in it; train another model"
            )
        return LatentSpace.load(self.run)

    @cached_property
    def genre_shares(self) -> NDArray[np.float64]:
        """Each movie divided evenly among its genres, (n_movies, n_genres)."""
        return genre_shares(self.run.movies)

    @cached_property
    def model(self) -> Model:
        """The model itself, as evaluate.py uses it."""
        return self.load(self.run)

    @cached_property
    def _encoder(self) -> Encoder | None:
        return encoders.load(self.run) if self.run.has_file("encoder.npz") else None

    @cached_property
    def _linear(self) -> LinearPath | None:
        return LinearPath.load(self.run)

    @cached_property
    def _likes(self) -> tuple[Indices, Indices]:
        """(users, movies) of the known likes."""
        ratings = self.split.ratings
        known = np.flatnonzero((ratings.rating > ratings.like) & self.split.is_known)
        return ratings.user[known], ratings.movie[known]

    @property
    def takes_strangers(self) -> bool:
        """Whether ratings of anybody can be encoded; an encoder of movies' rows has one input for each trained user."""
        return self.run.config["options"].get("rows") != "movies"

    # -- one person ------------------------------------------------------------------------------------------------

    def encode(self, user_profile: Profile, rows: ProfileRows) -> Floats:
        """Return the latent vectors, (n, latent), of `ProfileRows` with all or some of the ratings of the `Profile`."""
        if not self.takes_strangers:
            name, known = self.run.config["model"], user_profile.user is not None
            can = "can't leave out one rating of a user" if known else "knows no users but those it was trained on"
            raise UserError(f"this {name} has movies as rows, so it {can}; --by movies does without")
        if self._encoder:
            return self._encoder(rows)
        users = None if user_profile.user is None else np.full(len(rows.stars), user_profile.user)
        model = cast("LatentModel", self.model)  # only those have vectors to compare with
        return model.encode(rows.matrix(self.split.ratings.shape[1]), users)

    def _codes(self, user_profile: Profile, rows: ProfileRows) -> Floats:
        if user_profile.user is not None and rows is user_profile.rows:
            return self.space.users[[user_profile.user]]
        return self.encode(user_profile, rows)

    def scores(self, user_profile: Profile, strategy: str, movies: Indices, rows: ProfileRows | None = None) -> Floats:
        """Return the scores, (n, len(movies)), of these movies by this strategy for the rows: those of the person where
        None, or variants of them."""
        rows = user_profile.rows if rows is None else rows
        if strategy == "model":
            whole = user_profile.user is not None and rows is user_profile.rows
            users = np.full(len(rows.stars), user_profile.user) if whole else None
            if not whole and not self.model.takes_new_users:
                raise UserError(f"{self.run.config['model']} knows its users' own ratings only, whole as they are")
            return self.model.score(rows.matrix(self.split.ratings.shape[1]), users)[:, movies]
        if strategy == "movies":
            return self._by_movies(rows, movies)
        codes = self._codes(user_profile, rows)
        if strategy == "neighbours":
            return self._by_neighbours(user_profile, codes, movies)
        users = None if user_profile.user is None else np.full(len(codes), user_profile.user)
        scores = self.space.scores(codes, movies, self._deviation(user_profile, rows), users)
        return self._linear.mix_rows(rows, scores, movies) if self._linear else scores

    def nearest(self, user_profile: Profile, codes: Floats | None = None) -> tuple[Indices, Floats]:
        """Find the neighbours of the person or of these latent vectors, by the chosen neighbourhood: (users, weights),
        both (n, size)."""
        liker, _ = self._likes
        count = np.bincount(liker, minlength=len(self.space.users))
        codes = self._codes(user_profile, user_profile.rows) if codes is None else codes
        excluded = np.full(len(codes), user_profile.excluded)
        pool, whitening = self.split.trained_users, self.space.whitenings["neighbours"]
        return weighted_neighbours(
            self.space.users, codes, self.neighbourhoods["neighbours"], count, pool, excluded, whitening
        )

    def _by_neighbours(self, user_profile: Profile, codes: Floats, movies: Indices) -> Floats:
        (liker, liked), (index, weight) = self._likes, self.nearest(user_profile, codes)
        place = self._place(movies)[liked]
        liker, place = liker[place >= 0], place[place >= 0]
        scores = np.empty((len(codes), len(movies)), np.float32)
        for row, who, weighed in zip(scores, index, weight, strict=True):
            weights = np.zeros(len(self.space.users))
            weights[who] = weighed
            row[:] = np.bincount(place, weights[liker], len(movies))
        return scores

    def _by_movies(self, rows: ProfileRows, movies: Indices) -> Floats:
        _, liked = self._likes
        count = np.bincount(liked, minlength=len(self.space.movies))
        pool = np.flatnonzero(count)
        source = np.flatnonzero(index_of(pool, rows.movies) >= 0)
        rated = rows.movies[source]
        vectors, whitening = self.space.movies, self.space.whitenings["movies"]
        index, weight = weighted_neighbours(
            vectors, vectors[rated], self.neighbourhoods["movies"], count, pool, rated, whitening
        )
        near, place = np.zeros((len(rated), len(movies)), np.float32), self._place(movies)[index]
        for row, at, weighed in zip(near, place, weight, strict=True):
            row[at[at >= 0]] = weighed[at >= 0]
        return (rows.stars[:, source] > self.split.ratings.like).astype(np.float32) @ near

    def _place(self, movies: Indices) -> NDArray[np.intp]:
        """Return for each movie of the data its position among `movies`, or -1."""
        place = np.full(self.split.ratings.shape[1], -1)
        place[movies] = np.arange(len(movies))
        return place

    def liked_by_nearest(self, user_profile: Profile, movies: Indices) -> tuple[NDArray[np.intp], int]:
        """Return (how many of the person's neighbours like each of the movies, number of neighbours)."""
        (liker, liked), (index, weight) = self._likes, self.nearest(user_profile)
        near = np.isin(liker, index[0, weight[0] > 0])
        return np.bincount(liked[near], minlength=self.split.ratings.shape[1])[movies], int(np.count_nonzero(weight))

    def stars(self, user_profile: Profile, movies: Indices) -> Floats | None:
        """Predict the stars of these movies, clipped to the data's scale; None where the model predicts none."""
        stars = self.raw_stars(user_profile, movies)
        return None if stars is None else np.clip(stars, *self.split.ratings.scale)

    def raw_stars(self, user_profile: Profile, movies: Indices) -> Floats | None:
        """Predict the stars of these movies, not clipped."""
        if not self.neighbourhoods:
            known = user_profile.user is not None
            if not (self.model.predicts_ratings if known else self.model.predicts_strangers):
                return None
            given, who = user_profile.rows.matrix(self.split.ratings.shape[1]), 0
            if self.model.wants_users and user_profile.user is not None:
                given, who = self.split.known, user_profile.user
            return self.model.predict(given, np.full(len(movies), who), movies)
        if self.space.biases is None or (user_profile.user is None and not self.takes_strangers):
            return None
        codes, users = (
            self._codes(user_profile, user_profile.rows),
            None if user_profile.user is None else np.array([user_profile.user]),
        )
        return self.space.stars(codes, movies, self._deviation(user_profile, user_profile.rows), users)[0]

    def _deviation(self, user_profile: Profile, rows: ProfileRows) -> NDArray | float:
        """Return the damped deviation of each row from the baseline of its movies, (n,)."""
        fitted, options = self.space.biases, self.run.config["options"]
        if fitted is None or not options["baseline"]:
            return 0.0
        if user_profile.user is not None and rows is user_profile.rows:
            return fitted.user[[user_profile.user]]
        observed = rows.stars != 0
        left = np.where(observed, rows.stars - fitted.mean - fitted.movie[rows.movies], 0)
        return biases.deviation(left.sum(axis=1), observed.sum(axis=1), options["user_damping"])

    # -- everyone --------------------------------------------------------------------------------------------------

    def scorer(self, strategy: str) -> ScoreFunction:
        """Return the score function of (given, users), CSR rows and indices, for many users of the run at once."""
        if strategy == "model":
            return self.model.score
        if strategy == "decoder":
            return self._decoded
        liked = likes(self.split.known, self.split.ratings.like)
        if strategy == "movies":
            return strategies.by_movies(self.space, self.neighbourhoods["movies"], liked)
        return strategies.by_neighbours(self.space, self.neighbourhoods["neighbours"], liked, self.split.trained_users)

    def stars_of(self, given: csr_array, users: Indices, rows: Indices, movies: Indices) -> Floats | None:
        """Predict the stars of the pairs (rows[i], movies[i]), clipped to the data's scale; None where there are
        none. given: CSR rows of these users."""
        stars = self.raw_stars_of(given, users, rows, movies)
        return None if stars is None else np.clip(stars, *self.split.ratings.scale)

    def raw_stars_of(self, given: csr_array, users: Indices, rows: Indices, movies: Indices) -> Floats | None:
        """Predict the stars of the pairs, not clipped."""
        if not self.neighbourhoods:
            if not self.model.predicts_ratings:
                return None
            given, rows = (self.split.known, users[rows]) if self.model.wants_users else (given, rows)
            return self.model.predict(given, rows, movies)
        if self.space.biases is None:
            return None
        return self.space.stars(self.space.users[users], slice(None), self.space.biases.user[users], users)[
            rows, movies
        ]

    def _decoded(self, given: csr_array, users: Indices) -> Floats:
        deviation = 0.0 if self.space.biases is None else self.space.biases.user[users]
        scores = self.space.scores(self.space.users[users], slice(None), deviation, users)
        return self._linear.mix_with_decoder(given, scores) if self._linear else scores
