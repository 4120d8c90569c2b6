"""A saved run that recommends to anybody: scores and stars by each strategy.

Neither Keras nor scipy is imported where the run holds all that it takes as arrays: for its own users always, for
others where the encoder is dense layers (`encoder.npz`). Other encoders are read by Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import genre_shares
from utils.data.ratings import index_of, likes
from utils.data.splits import Split
from utils.errors import UserError
from utils.evaluation.prediction_ranges import PredictionRanges
from utils.recommend import reranking, strategies
from utils.recommend.discoveries import TEN, Typical
from utils.recommend.profile import Profile
from utils.scoring import biases, encoders
from utils.scoring.encoders import Encoder
from utils.scoring.latent import HasLatentSpace, LatentSpace, decode_cells, weighted_neighbours
from utils.scoring.linear_scorer import LinearPath, SparseRows, StarPath
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import CSR, Floats, Indices, Model, Neighbours, ScoreFunction

if TYPE_CHECKING:
    from utils.runs.run_folder import Run


class Saved:
    """strategies: the strategies that the run has; best: the best one on validation. load: function that reads the
    model of a run, called where its arrays do not suffice. ranges: those around predicted stars, or None."""

    def __init__(self, run: Run, load: Callable[[Run], Model]) -> None:
        choice = run.json("metrics.json")
        self.run, self.ratings, self.load, self.best = run, run.ratings, load, choice["best"]
        self.ranges = PredictionRanges(**choice["ranges"]) if choice.get("ranges") else None
        self.neighbourhoods = strategies.read_neighbourhoods(choice)
        self.strategies = (*self.neighbourhoods, "decoder") if self.neighbourhoods else ("model",)
        self.model_name, self.n_movies = run.config["model"], run.ratings.shape[1]
        self.discoveries = choice["discoveries"]["places"] if "discoveries" in choice else 0  # of ten places
        self.typical = cache(self._typical)

    def strategy(self, by: str) -> str:
        """Return the strategy that `--by` names; a `UserError` where the run has no such strategy."""
        if by == "best":
            return self.best
        if by not in self.strategies:
            if not self.neighbourhoods:
                raise UserError(f"{self.model_name} has no latent space, so there is no --by {by}; leave it out")
            raise UserError(f"{self.model_name} recommends --by {', '.join(self.strategies)}, not {by}")
        return by

    @property
    def split(self) -> Split:
        """All ratings of the run, with their parts."""
        return self.run.split

    @cached_property
    def space(self) -> LatentSpace:
        """The `LatentSpace`; a `UserError` where the model has none."""
        if not self.neighbourhoods:
            raise UserError(f"{self.model_name} has no latent space, so nothing is near in it; train another model")
        return LatentSpace.load(self.run.arrays("latent.npz", LatentSpace.IN_PART))

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
    def _star_path(self) -> StarPath | None:
        return StarPath.load(self.run)

    @property
    def takes_strangers(self) -> bool:
        """Whether ratings of anybody can be encoded; an encoder of movies' rows has one input for each trained user."""
        return self.run.config["options"].get("rows") != "movies"

    # -- one person ------------------------------------------------------------------------------------------------

    def scores(self, user_profile: Profile, strategy: str, movies: Indices, rows: ProfileRows | None = None) -> Floats:
        """Return the scores, (n, len(movies)), by this strategy. rows: variants of those of the profile, or None."""
        rows = user_profile.rows if rows is None else rows
        users = None if user_profile.user is None else np.full(len(rows.stars), user_profile.user)
        if strategy == "model":
            users = users if rows is user_profile.rows else None
            if users is None and not self.model.takes_new_users:
                raise UserError(f"{self.model_name} knows its users' own ratings only, whole as they are")
            return self.model.score(rows.matrix(self.n_movies), users)[:, movies]
        if strategy == "movies":
            return self._by_movies(rows, movies)
        codes = self.encode(user_profile, rows)
        if strategy == "neighbours":
            return self._by_neighbours(user_profile, codes, movies)
        scores = self.space.scores(codes, movies, self._deviation(user_profile, rows), users)
        return self._linear.mix_rows(rows, scores, movies) if self._linear else scores

    def encode(self, user_profile: Profile, rows: ProfileRows) -> Floats:
        """Return the latent vectors, (n, latent), of `ProfileRows` with all or some of the ratings of the `Profile`."""
        user = user_profile.user
        if user is not None and rows is user_profile.rows:
            return self.space.users[[user]]
        if not self.takes_strangers:
            can = (
                "knows no users but those it was trained on" if user is None else "can't leave out one rating of a user"
            )
            raise UserError(f"this {self.model_name} has movies as rows, so it {can}; --by movies does without")
        if self._encoder:
            return self._encoder(rows)
        model = cast("HasLatentSpace", self.model)  # only those have vectors to compare with
        users = None if user is None else np.full(len(rows.stars), user)
        return model.encode(rows.matrix(self.n_movies), users)

    def nearest(self, user_profile: Profile, codes: Floats | None = None) -> Neighbours:
        """Find the neighbours, (users, weights), of the person, or of variants with these latent vectors."""
        codes = self.encode(user_profile, user_profile.rows) if codes is None else codes
        count, trained = self.ratings.user_likes, np.flatnonzero(self.ratings.user_trained)
        pool = strategies.possible_neighbours(trained)
        neighbourhood, whitening = self.neighbourhoods["neighbours"], self.space.whitenings["neighbours"]
        excluded = np.full(len(codes), user_profile.excluded)
        return weighted_neighbours(self.space.users, codes, neighbourhood, count, pool, excluded, whitening)

    def _by_neighbours(self, user_profile: Profile, codes: Floats, movies: Indices) -> Floats:
        index, weight = self.nearest(user_profile, codes)
        users = np.unique(index)
        liker, liked = self.ratings.known_likes(users)
        place = self._place(movies)[liked]
        liker, place = liker[place >= 0], place[place >= 0]
        scores = np.empty((len(codes), len(movies)), np.float32)
        for i in range(len(codes)):
            weights = np.zeros(len(users))
            weights[np.searchsorted(users, index[i])] = weight[i]
            scores[i] = np.bincount(place, weights[liker], len(movies))
        return scores

    def _by_movies(self, rows: ProfileRows, movies: Indices) -> Floats:
        count = self.ratings.movie_likes
        pool = np.flatnonzero(count)
        column = np.flatnonzero(index_of(pool, rows.movies) >= 0)  # of rated movies that somebody likes
        rated = rows.movies[column]
        vectors, neighbourhood = self.space.movies, self.neighbourhoods["movies"]
        whitening = self.space.whitenings["movies"]
        index, weight = weighted_neighbours(vectors, vectors[rated], neighbourhood, count, pool, rated, whitening)
        votes, place = np.zeros((len(rated), len(movies)), np.float32), self._place(movies)[index]
        row, neighbour = np.nonzero(place >= 0)
        votes[row, place[row, neighbour]] = weight[row, neighbour]
        return (rows.stars[:, column] > self.ratings.like).astype(np.float32) @ votes

    def _place(self, movies: Indices) -> NDArray[np.intp]:
        """Return for each movie of the data its position among `movies`, or -1."""
        place = np.full(self.n_movies, -1)
        place[movies] = np.arange(len(movies))
        return place

    def liked_by_nearest(self, user_profile: Profile, movies: Indices) -> tuple[NDArray[np.intp], int]:
        """Return (how many of the person's neighbours like each of the movies, number of neighbours)."""
        index, weight = self.nearest(user_profile)
        neighbours = index[weight > 0]
        _, liked = self.ratings.known_likes(neighbours)
        return np.bincount(liked, minlength=self.n_movies)[movies], len(neighbours)

    def stars(self, user_profile: Profile, movies: Indices) -> Floats | None:
        """Predict the stars of these movies, clipped to the data's scale; None where the model predicts none."""
        return self._clipped(self.raw_stars(user_profile, movies))

    def star_ranges(self, user_profile: Profile, movies: Indices, stars: Floats) -> tuple[NDArray, NDArray] | None:
        """Return (lowest, highest) stars that these movies are expected to get where `stars` are predicted; None where
        the run has no ranges."""
        if self.ranges is None:
            return None
        n_known = len(user_profile.rows.movies)
        return self.ranges.around(stars, n_known, self.ratings.movie_known[movies], self.ratings.scale)

    def _clipped(self, stars: Floats | None) -> Floats | None:
        return None if stars is None else np.clip(stars, *self.ratings.scale)

    def raw_stars(self, user_profile: Profile, movies: Indices) -> Floats | None:
        """Predict the stars of these movies, not clipped."""
        user, rows = user_profile.user, user_profile.rows
        users = None if user is None else np.array([user])
        if not self.neighbourhoods:
            given, first_row = rows.matrix(self.n_movies), np.zeros(len(movies), np.intp)
            if users is not None:
                return self.raw_stars_of(given, users, first_row, movies)
            return self.model.predict(given, first_row, movies) if self.model.predicts_strangers else None
        if self.space.biases is None or (user is None and not self.takes_strangers):
            return None
        codes, deviation = self.encode(user_profile, rows), self._deviation(user_profile, rows)
        stars = self.space.stars(codes, movies, deviation, users)[0]
        path, row = self._star_path, np.zeros(len(movies), np.intp)
        if not path:
            return stars
        if (known := user_profile.excluded) >= 0:  # themselves, or the user with exactly these ratings
            return path.mix(stars, path.of_users(self.space.biases, row + known, movies))
        base = replace(self.space.biases, user=np.reshape(deviation, 1))
        of_person = SparseRows(rows.stars[0], rows.movies, np.array([0, len(rows.movies)]), None)
        return path.mix(stars, path.regressed(of_person, base, row, movies))

    def _deviation(self, user_profile: Profile, rows: ProfileRows) -> NDArray | float:
        """Return the damped deviation of each row from the baseline of its movies, (n,)."""
        fitted, options = self.space.biases, self.run.config["options"]
        if fitted is None or not options["baseline"]:
            return 0.0
        if user_profile.user is not None and rows is user_profile.rows:
            return fitted.user[[user_profile.user]]
        observed = rows.stars != 0
        residual = np.where(observed, rows.stars - fitted.mean - fitted.movie[rows.movies], 0)
        return biases.deviation(residual.sum(axis=1), observed.sum(axis=1), options["user_damping"])

    def places(self, strategy: str, filters: reranking.Options, n: int) -> int:
        """Return how many of the last places of a list of `n` are for discoveries."""
        if filters.discover is not None:
            return filters.discover
        by_default = min(self.discoveries, n * self.discoveries // TEN)  # in long lists, too
        return by_default if strategy == self.best and filters.is_by_score else 0

    def _typical(self, strategy: str) -> Typical:
        """Return what is typical of each movie's scores by a strategy; that of the best one is kept in the run."""
        count = self.ratings.movie_known
        if strategy == self.best and self.discoveries:
            return Typical(**self.run.arrays("typical.npz"), count=count)
        trained = np.flatnonzero(self.ratings.user_trained)
        return Typical.of(self.scorer(strategy), self.split.known, trained, count)

    # -- everyone --------------------------------------------------------------------------------------------------

    def scorer(self, strategy: str) -> ScoreFunction:
        """Return the score function of (given, users), CSR rows and indices, for many users of the run at once."""
        if strategy == "model":
            return self.model.score
        if strategy == "decoder":
            return self._decoded
        liked = likes(self.split.known, self.ratings.like)
        if strategy == "movies":
            return strategies.by_movies(self.space, self.neighbourhoods["movies"], liked)
        pool = strategies.possible_neighbours(self.split.trained_users)
        return strategies.by_neighbours(self.space, self.neighbourhoods["neighbours"], liked, pool)

    def stars_of(self, given: CSR, users: Indices, rows: Indices, movies: Indices) -> Floats | None:
        """Predict the stars of the pairs (rows[i] of these users, movies[i]) as `stars` does. given: their CSR rows."""
        return self._clipped(self.raw_stars_of(given, users, rows, movies))

    def raw_stars_of(self, given: CSR, users: Indices, rows: Indices, movies: Indices) -> Floats | None:
        """Predict the stars of the pairs, not clipped."""
        if not self.neighbourhoods:
            if not self.model.predicts_ratings:
                return None
            given, rows = (self.split.known, users[rows]) if self.model.wants_users else (given, rows)
            return self.model.predict(given, rows, movies)
        space, of_pair = self.space, users[rows]
        if space.biases is None:
            return None
        vectors, outputs = (space.users, movies) if space.decodes == "users" else (space.movies, of_pair)
        wanted, place = np.unique(of_pair if space.decodes == "users" else movies, return_inverse=True)
        stars = decode_cells(space.decoder, vectors[wanted], place, outputs) + space.biases.predict(of_pair, movies)
        if not self._star_path:
            return stars
        return self._star_path.mix(stars, self._star_path.of_users(space.biases, of_pair, movies))

    def _decoded(self, given: CSR, users: Indices) -> Floats:
        deviation = 0.0 if self.space.biases is None else self.space.biases.user[users]
        scores = self.space.scores(self.space.users[users], slice(None), deviation, users)
        return self._linear.mix_with_decoder(given, scores) if self._linear else scores
