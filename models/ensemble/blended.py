"""A saved blend that answers for anybody, each part by its own arrays, without Keras, where it can."""

from functools import cached_property

import numpy as np

from models.ensemble.stacking import Weights
from utils.errors import UserError
from utils.recommend.saved import Saved


def read_weights(run):
    """The `Weights` of the `utils.runs.run_folder.Run` of a blend."""
    options, n = run.config["options"], len(run.json("parts.json"))
    return Weights.read(options["weigh"], options["by_count"], n, run.arrays("weights.npz"))


class Blended(Saved):
    """A run of `blend`; its one way is "model"."""

    @cached_property
    def parts(self):
        """A `Saved` a part."""
        return [Saved(self.run.part(f"part{i + 1}"), self.load) for i in self.learned.groups["all"]]

    @cached_property
    def learned(self):
        """The `Weights`."""
        return read_weights(self.run)

    def scores(self, person, way, movies, rows=None):
        """See `Saved.scores`."""
        known = person.user is not None and (rows is None or rows is person.rows)
        every = np.arange(self.split.ratings.shape[1])
        if not self.learned.group(known):
            raise UserError("all parts of this blend know their users' own ratings only, whole as they are")

        def of_part(i):
            part = self.parts[i]
            return part.scores(person, part.best, every, rows)

        return self.learned.blended_scores(known, of_part)[:, movies]

    def raw_stars(self, person, movies):
        """See `Saved.raw_stars`."""
        counts = np.full(len(movies), np.count_nonzero(person.rows.stars))
        known = person.user is not None
        return self.learned.blended_stars(known, lambda i: self.parts[i].raw_stars(person, movies), counts, movies)

    def scorer(self, way):
        """See `Saved.scorer`."""
        scorers = [part.scorer(part.best) for part in self.parts]
        return lambda given, users: self.learned.blended_scores(True, lambda i: scorers[i](given, users))

    def raw_stars_of(self, given, users, rows, movies):
        """See `Saved.raw_stars_of`."""
        counts = np.diff(given.indptr)[rows]
        of_part = lambda i: self.parts[i].raw_stars_of(given, users, rows, movies)  # noqa: E731
        return self.learned.blended_stars(True, of_part, counts, movies)
