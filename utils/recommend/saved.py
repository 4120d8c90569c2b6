"""A saved run that answers for anybody: scores and stars by each way of recommending.

Neither Keras nor scipy is imported where the run holds all that it takes as arrays: for its own users always, for
others where the encoder is dense layers (`encoder.npz`). Other encoders are read by Keras, which takes seconds."""

from functools import cached_property

import numpy as np

from utils.data.movies import genre_shares
from utils.data.ratings import index_of, likes
from utils.errors import UserError
from utils.recommend import strategies
from utils.scoring import biases, encoders
from utils.scoring.latent import LatentSpace, vouching
from utils.scoring.linear_scorer import LinearPath


class Saved:
    """ways: the ways of recommending that the run has; best: the one that validation preferred. load: function that
    reads the model of a run, called where its arrays do not suffice."""

    def __init__(self, run, load):
        chosen, self.load = run.json("metrics.json"), load
        self.run, self.split, self.best = run, run.split, chosen["best"]
        self.hoods = strategies.neighbourhoods(chosen)
        self.ways = (*self.hoods, "decoder") if self.hoods else ("model",)

    def way(self, by):
        """The way that `--by` names; a `UserError` where the run has no such way."""
        if by == "best":
            return self.best
        if by not in self.ways:
            name = self.run.config["model"]
            if not self.hoods:
                raise UserError(f"{name} has no latent space, so there is no --by {by}; leave it out")
            raise UserError(f"{name} recommends --by {', '.join(self.ways)}, not {by}")
        return by

    @cached_property
    def space(self):
        """The `LatentSpace`; a `UserError` where the model has none."""
        if not self.hoods:
            raise UserError(
                f"{self.run.config['model']} has no latent space, so nothing is near in it; train another model"
            )
        return LatentSpace.load(self.run)

    @cached_property
    def genre_shares(self):
        """Each movie divided evenly among its genres, (n_movies, n_genres)."""
        return genre_shares(self.run.movies)

    @cached_property
    def model(self):
        """The model itself, as evaluate.py uses it."""
        return self.load(self.run)

    @cached_property
    def _encoder(self):
        return encoders.load(self.run) if self.run.holds("encoder.npz") else None

    @cached_property
    def _linear(self):
        return LinearPath.load(self.run)

    @cached_property
    def _likes(self):
        """(users, movies) of the likes that are known."""
        ratings = self.split.ratings
        known = np.flatnonzero((ratings.rating > ratings.like) & self.split.is_known)
        return ratings.user[known], ratings.movie[known]

    @property
    def takes_strangers(self):
        """Whether ratings can be encoded: an encoder of movies' rows has an input a user."""
        return self.run.config["options"].get("rows") != "movies"

    # -- one person ------------------------------------------------------------------------------------------------

    def encode(self, person, rows):
        """Latent vectors, float32 (n, latent), of `Rows` that are the ratings of the `Person` or a part of them."""
        if not self.takes_strangers:
            name, known = self.run.config["model"], person.user is not None
            can = "can't leave out one rating of a user" if known else "knows no users but those it was trained on"
            raise UserError(f"this {name} has movies as rows, so it {can}; --by movies does without")
        if self._encoder:
            return self._encoder(rows)
        users = None if person.user is None else np.full(len(rows.stars), person.user)
        return self.model.encode(rows.matrix(self.split.ratings.shape[1]), users)

    def _codes(self, person, rows):
        stored = person.user is not None and rows is person.rows
        return self.space.users[[person.user]] if stored else self.encode(person, rows)

    def scores(self, person, way, movies, rows=None):
        """Scores, float32 (n, len(movies)), that these movies have by this way for the rows: those of the person
        where None, or for what they would be with other ratings."""
        rows = person.rows if rows is None else rows
        if way == "model":
            whole = person.user is not None and rows is person.rows
            users = np.full(len(rows.stars), person.user) if whole else None
            if not whole and not self.model.takes_new_users:
                raise UserError(f"{self.run.config['model']} knows its users' own ratings only, whole as they are")
            return self.model.score(rows.matrix(self.split.ratings.shape[1]), users)[:, movies]
        if way == "movies":
            return self._by_movies(rows, movies)
        codes = self._codes(person, rows)
        if way == "neighbours":
            return self._by_neighbours(person, codes, movies)
        users = None if person.user is None else np.full(len(codes), person.user)
        found = self.space.scores(codes, movies, self._deviation(person, rows), users)
        return self._linear.mix_rows(rows, found, movies) if self._linear else found

    def nearest(self, person, codes=None):
        """(users, weights), both (n, size): who vouches, by the chosen neighbourhood, for the person or for whoever is
        at these latent vectors."""
        liker, _ = self._likes
        count = np.bincount(liker, minlength=len(self.space.users))
        codes = self._codes(person, person.rows) if codes is None else codes
        own = np.full(len(codes), person.own)
        pool, view = self.split.trained_users, self.space.views["neighbours"]
        return vouching(self.space.users, codes, self.hoods["neighbours"], count, pool, own, view)

    def _by_neighbours(self, person, codes, movies):
        (liker, liked), (index, weight) = self._likes, self.nearest(person, codes)
        place = self._place(movies)[liked]
        liker, place = liker[place >= 0], place[place >= 0]
        scores = np.empty((len(codes), len(movies)), np.float32)
        for row, who, vouched in zip(scores, index, weight, strict=True):
            weights = np.zeros(len(self.space.users))
            weights[who] = vouched
            row[:] = np.bincount(place, weights[liker], len(movies))
        return scores

    def _by_movies(self, rows, movies):
        _, liked = self._likes
        count = np.bincount(liked, minlength=len(self.space.movies))
        pool = np.flatnonzero(count)
        source = np.flatnonzero(index_of(pool, rows.movies) >= 0)
        own = rows.movies[source]
        vectors, view = self.space.movies, self.space.views["movies"]
        index, weight = vouching(vectors, vectors[own], self.hoods["movies"], count, pool, own, view)
        near, place = np.zeros((len(own), len(movies)), np.float32), self._place(movies)[index]
        for row, at, vouched in zip(near, place, weight, strict=True):
            row[at[at >= 0]] = vouched[at >= 0]
        return (rows.stars[:, source] > self.split.ratings.like).astype(np.float32) @ near

    def _place(self, movies):
        """Position of each movie among `movies`, or -1."""
        place = np.full(self.split.ratings.shape[1], -1)
        place[movies] = np.arange(len(movies))
        return place

    def liked_by_nearest(self, person, movies):
        """(how many of the person's nearest users like each of the movies, how many those are)."""
        (liker, liked), (index, weight) = self._likes, self.nearest(person)
        near = np.isin(liker, index[0, weight[0] > 0])
        return np.bincount(liked[near], minlength=self.split.ratings.shape[1])[movies], np.count_nonzero(weight)

    def stars(self, person, movies):
        """Predicted stars of these movies on the data's scale, or None where the model predicts none."""
        found = self.raw_stars(person, movies)
        return None if found is None else np.clip(found, *self.split.ratings.scale)

    def raw_stars(self, person, movies):
        """The same before they are cut to the scale."""
        if not self.hoods:
            known = person.user is not None
            if not (self.model.predicts_ratings if known else self.model.predicts_strangers):
                return None
            given, who = person.rows.matrix(self.split.ratings.shape[1]), 0
            if self.model.wants_users and known:
                given, who = self.split.known, person.user
            return self.model.predict(given, np.full(len(movies), who), movies)
        if self.space.biases is None or (person.user is None and not self.takes_strangers):
            return None
        codes = self._codes(person, person.rows)
        return self.space.stars(codes, movies, self._deviation(person, person.rows), [person.user])[0]

    def _deviation(self, person, rows):
        """How far the stars of each row lie above what is expected of their movies, damped, (n,)."""
        fitted, options = self.space.biases, self.run.config["options"]
        if fitted is None or not options["baseline"]:
            return 0.0
        if person.user is not None and rows is person.rows:
            return fitted.user[[person.user]]
        observed = rows.stars != 0
        left = np.where(observed, rows.stars - fitted.mean - fitted.movie[rows.movies], 0)
        return biases.deviation(left.sum(axis=1), observed.sum(axis=1), options["user_damping"])

    # -- everyone --------------------------------------------------------------------------------------------------

    def scorer(self, way):
        """Score function of (given, users), CSR rows and indices, for many of the run's own users at once."""
        if way == "model":
            return self.model.score
        if way == "decoder":
            return self._decoded
        liked = likes(self.split.known, self.split.ratings.like)
        if way == "movies":
            return strategies.by_movies(self.space, self.hoods["movies"], liked)
        return strategies.by_neighbours(self.space, self.hoods["neighbours"], liked, self.split.trained_users)

    def stars_of(self, given, users, rows, movies):
        """Predicted stars, float32, one a pair (rows[i], movies[i]); given: CSR rows of the users of these indices.
        None where the model predicts none."""
        found = self.raw_stars_of(given, users, rows, movies)
        return None if found is None else np.clip(found, *self.split.ratings.scale)

    def raw_stars_of(self, given, users, rows, movies):
        """The same before they are cut to the scale."""
        if not self.hoods:
            if not self.model.predicts_ratings:
                return None
            given, rows = (self.split.known, users[rows]) if self.model.wants_users else (given, rows)
            return self.model.predict(given, rows, movies)
        if self.space.biases is None:
            return None
        return self.space.stars(self.space.users[users], slice(None), self.space.biases.user[users], users)[
            rows, movies
        ]

    def _decoded(self, given, users):
        deviation = 0.0 if self.space.biases is None else self.space.biases.user[users]
        found = self.space.scores(self.space.users[users], slice(None), deviation, users)
        return self._linear.mix_with_decoder(given, found) if self._linear else found
