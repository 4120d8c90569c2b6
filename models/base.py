"""The contract every model keeps, closed form and Keras alike. Nothing here needs Keras."""

import numpy as np

from utils.data.ratings import default_like
from utils.errors import UserError


class Recommender:
    """A model of a users x movies rating matrix.

    `given` is always a CSR matrix of stars, one row a user. For a model with `takes_new_users` those may be anybody's
    rows; one without it knows only the users it was trained on, and row i must be user `users[i]` of the training
    matrix (all of them in order when `users` is None).
    """

    predicts_ratings = True  # `predict` gives stars
    learns_likes = False  # what it ranks by is learned from likes
    takes_new_users = True  # `score` and `predict` work for rows that were not trained on
    blends = False  # it is made of `parts`, other models with `weights()`
    wants_users = False  # `predict` serves users that were trained on from the matrix of all of them only
    shares = False  # several workers can train it
    has_latent_space = False  # `encode` and `movie_vectors` exist

    def __init__(self, shape, config, seed=0, scale=(0.5, 5.0), like=None):
        """shape: (users, movies). scale: (lowest, highest) stars of the data. like: stars above which a rating is a
        like; `utils.data.ratings.default_like` of the scale where None."""
        self.shape, self.config, self.seed, self.scale = tuple(shape), config, seed, tuple(scale)
        self.like = default_like(scale) if like is None else like

    @property
    def star(self) -> float:
        """One star of five in the stars of the data, so that what is learned does not depend on the scale."""
        return self.scale[1] / 5

    @property
    def predicts_strangers(self):
        """Whether `predict` gives stars for rows that were not trained on."""
        return self.predicts_ratings and self.takes_new_users

    def know(self, data):
        """Called before `fit` with the `Dataset`: models take of it what they use beside ratings."""

    def fit(self, train, validation, training):
        """Fit on the CSR matrix `train`; whatever has to be chosen (epochs) is chosen on the `Holdout` validation.
        Returns the history: one dict an epoch, [] where there are none."""
        self.refit(train, training)
        return []

    def refit(self, matrix, training):
        """Fit again from the start on `matrix`, with everything as `fit` chose it."""
        raise NotImplementedError

    def remember(self, known):
        """Called with the CSR matrix of all users' known ratings when a fit is over: models with a latent space encode
        users and movies for `latent`; others have nothing to do."""

    def score(self, given, users=None):
        """Float32 (n, n_movies), higher is better, on any scale; movies in `given` are not masked."""
        raise NotImplementedError

    def predict(self, given, users, movies):
        """Predicted stars, float32, one a pair (users[i], movies[i]): row of `given`, movie index. Not clipped."""
        raise NotImplementedError

    def exported(self, stars):
        """What export.py writes, in Keras operations: {"scores": (n, n_movies) as `score` gives them, "latent": (n,
        latent) vectors where there is a latent space} of a tensor of stars, (n, n_movies), 0 = not rated."""
        name = type(self).__module__.removeprefix("models.")
        raise UserError(f"{name} can't be exported: it is no function of a person's ratings that is a graph")

    def notes(self):
        """Sentences about what was trained, for the user."""
        return []

    def save(self, folder):
        """Write what `load` needs into the existing folder."""
        raise NotImplementedError

    def load(self, run):
        """Read what `save` wrote, through the `utils.runs.run_folder.Run` (which checks that the files are whole)."""
        raise NotImplementedError


def check_liked(n, like):
    """Refuse ratings of which n = 0 are likes."""
    if not n:
        raise UserError(f"no rating is above {like:g} stars, so there are no likes to learn from; see --like")


class ClosedForm(Recommender):
    """A model that is a handful of arrays, computed rather than trained: they are all there is to save."""

    arrays = ()  # names of the attributes that make up the fitted model: arrays, or CSR matrices

    def save(self, folder):
        """Write the arrays to `weights.npz`."""
        flat = {}
        for name in self.arrays:
            value = getattr(self, name)
            parts = ("data", "indices", "indptr", "shape") if hasattr(value, "indptr") else ("",)
            flat |= {f"{name}.{p}" if p else name: getattr(value, p) if p else value for p in parts}
        np.savez(folder / "weights.npz", **flat)

    def load(self, run):
        """Read the arrays from `weights.npz`."""
        stored = run.arrays("weights.npz")
        for name in self.arrays:
            if name in stored:
                setattr(self, name, stored[name])
            else:
                import scipy.sparse as sp  # a quarter of a second that recommending does without

                data, indices, indptr, shape = (stored[f"{name}.{p}"] for p in ("data", "indices", "indptr", "shape"))
                setattr(self, name, sp.csr_array((data, indices, indptr), shape=tuple(shape)))
