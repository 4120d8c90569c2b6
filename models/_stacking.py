"""How a blend weighs its parts, learned on ratings that no part has seen (stacking, Wolpert 1992). No Keras here."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

FEWEST = 50  # ratings, or users with hidden likes; with fewer, all parts count alike
ALPHAS = np.logspace(-2, 5, 15)  # penalties that ridge regression chooses from by leaving one rating out


def standardised(scores):
    """Scores of movies, (n, n_movies), with mean 0 and deviation 1 in each row, float32: what parts say on different
    scales becomes comparable. A row of equal scores becomes 0."""
    spread = scores.std(axis=1, keepdims=True)
    return ((scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)).astype(np.float32)


class Stars:
    """Weights for predicted stars, by ridge regression or non-negative least squares, both scikit-learn's. With
    `by_count` the weights are linear in the logarithms of how many ratings user and movie have (feature-weighted linear
    stacking, Sill et al. 2009): parts that need many ratings count where there are many."""

    arrays = ("centre", "coefficients", "count_mean", "count_spread")

    def __init__(self, kind, by_count):
        self.kind, self.by_count = kind, by_count

    def fit(self, predicted, stars, counts):
        """predicted: (n, parts) stars; stars: (n,) what they should have been; counts: (n, 2) ratings of the user and
        of the movie."""
        from sklearn.linear_model import LinearRegression, RidgeCV

        n, n_parts = predicted.shape
        self.count_mean, self.count_spread = np.zeros(2), np.ones(2)
        if n < FEWEST:
            self.centre = np.float64(0)
            self.coefficients = np.zeros(self._features(predicted[:1], counts[:1]).shape[1])
            self.coefficients[:n_parts] = 1 / n_parts
            return
        logs = np.log1p(counts)
        self.centre, self.count_mean = np.mean(stars, dtype=np.float64), logs.mean(axis=0)
        self.count_spread = np.maximum(logs.std(axis=0), 1e-9)
        least = LinearRegression(positive=True, fit_intercept=False) if self.kind == "nnls" else None
        least = least or RidgeCV(ALPHAS, fit_intercept=False)
        self.coefficients = least.fit(self._features(predicted, counts), stars - self.centre).coef_

    def _features(self, predicted, counts):
        """What the coefficients multiply: each part's prediction, and with `by_count` also each times each count."""
        own = predicted - self.centre
        if not self.by_count:
            return own
        counts = (np.log1p(counts) - self.count_mean) / self.count_spread
        return np.concatenate([own, own * counts[:, :1], own * counts[:, 1:], counts], axis=1)

    def of(self, predicted, counts):
        """Blended stars (n,), float32."""
        return (self.centre + self._features(predicted, counts) @ self.coefficients).astype(np.float32)

    def weights(self, n_parts):
        """The weight of each part, for a user and a movie with an average number of ratings."""
        return self.coefficients[:n_parts]


class Likes:
    """Weights for standardised scores, none below 0: those under which the hidden likes are most probable when one
    movie after the other is chosen with probability softmax(blended score) (conditional logit, McFadden 1974). A user
    with many hidden likes counts as much as one with few."""

    arrays = ("coefficients",)

    def fit(self, scores, liked, candidates):
        """scores: list of (n, n_movies), standardised, one a part; liked, candidates: bool (n, n_movies)."""
        self.coefficients = np.full(len(scores), 1 / len(scores))
        count = liked.sum(axis=1)
        judged = np.flatnonzero(count)
        if len(judged) < FEWEST:
            return
        parts = np.stack([part[judged] for part in scores], axis=2)
        liked, candidates, count = liked[judged] & candidates[judged], candidates[judged], count[judged, None]

        def loss(weights):
            blended = np.where(candidates, parts @ weights.astype(np.float32), -np.inf)
            normalised = np.where(liked, blended, 0) - liked * logsumexp(blended, axis=1, keepdims=True)
            slope = (liked - count * softmax(blended, axis=1)) / count
            gradient = np.tensordot(slope.astype(np.float32), parts, axes=((0, 1), (0, 1)))
            return -(normalised / count).sum() / len(judged), -gradient.astype(np.float64) / len(judged)

        found = minimize(loss, self.coefficients, jac=True, bounds=[(0, None)] * len(scores), method="L-BFGS-B")
        if found.x.any():
            self.coefficients = found.x

    def weights(self, n_parts):
        """The weight of each part."""
        return self.coefficients
