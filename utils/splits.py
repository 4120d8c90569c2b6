"""Who or what is held out. Each protocol is one function from the rating table to one label a rating, so that training,
validation and test are disjoint and complete by construction, and the run folder records a split as one small array."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import scipy.sparse as sp

from utils.ratings import Ratings


class Part(IntEnum):
    """What a rating is used for."""

    TRAIN = 0
    VALIDATION = 1  # hidden while options and epochs are chosen; after that the model may learn from it
    TEST = 2  # hidden from everything until the one evaluation


@dataclass(frozen=True)
class Holdout:
    """Two CSR matrices of the users x movies shape: `given` is shown to the model, `hidden` is judged."""

    given: sp.csr_array
    hidden: sp.csr_array


@dataclass(frozen=True)
class Split:
    """The rating table with one `Part` a rating (int8 array `part`), and the matrices that follow from it."""

    ratings: Ratings
    part: np.ndarray

    @property
    def train(self):
        """What a model is fitted on while anything is still being chosen."""
        return self.ratings.matrix(self.part == Part.TRAIN)

    @property
    def validation(self):
        """The hold-out that chooses epochs, options and methods."""
        return Holdout(self.train, self.ratings.matrix(self.part == Part.VALIDATION))

    @property
    def refit(self):
        """Training and validation ratings together: what the final model is fitted on once everything is chosen."""
        return self.ratings.matrix(self.part != Part.TEST)

    @property
    def test(self):
        """The hold-out that is read once. Validation ratings are given: by then they are known like any other."""
        return Holdout(self.refit, self.ratings.matrix(self.part == Part.TEST))


def random(ratings, seed, test=0.1, validation=0.05):
    """Protocol `random`: `test` of all ratings, and `validation` of the rest, drawn without regard to user or movie.
    Returns int8 labels, one a rating; the same table and seed give the same labels on every machine."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    n_test = round(test * len(ratings))
    n_validation = round(validation * (len(ratings) - n_test))
    part = np.full(len(ratings), Part.TRAIN, np.int8)
    part[order[:n_test]] = Part.TEST
    part[order[n_test : n_test + n_validation]] = Part.VALIDATION
    return part


PROTOCOLS = {"random": random}


def split(ratings, protocol, seed):
    """The `Split` of a rating table by the protocol of that name."""
    return Split(ratings, PROTOCOLS[protocol](ratings, seed))
