"""How a blend weighs its parts, learned on ratings that no part has seen (stacking, Wolpert 1992). No Keras here."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from utils.runs.run_folder import Run
from utils.scoring.protocols import Floats, Indices

OFFSET = 2  # the higher, the more alike the first few ranks count
FEWEST = 50  # ratings, or users with hidden likes; with fewer, all parts count alike
ALPHAS = np.logspace(-2, 6, 17)  # penalties that ridge regression chooses from by leaving one rating out
COUNTED = (5, 90)  # percentiles of the counts between which weights depend on them; some users keep few


def standardised(scores: Floats) -> Floats:
    """Replace scores of movies, (n, n_movies), by -log(rank + OFFSET) within their row; the best has rank 1, equal ones
    share their mean rank. So parts with different scales and tails are comparable, as if each gave the probability of a
    like by Zipf's law. (With mean 0 and deviation 1 the tails of EASE drown all others.)"""
    result = np.empty(scores.shape, np.float32)
    for row, score in zip(result, scores, strict=True):
        order = np.argsort(-score, kind="stable")
        first = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)  # where another score begins
        ends = np.append(first[1:], len(score))
        row[order] = np.repeat(-np.log((first + 1 + ends) / 2 + OFFSET), ends - first)
    return result


class Stars:
    """Weights for predicted stars, by ridge regression or non-negative least squares, both scikit-learn's. With
    `by_count` what they leave over is explained by weights that are linear in the logarithms of how many ratings user
    and movie have (feature-weighted linear stacking, Sill et al. 2009): parts that need many ratings count where there
    are many. These have a penalty of their own, since they are many and bring little, and stay as they are where counts
    are lower or higher than most: in few ratings little was learned about them. The first coefficients are the weights
    of the parts for a user and a movie with an average number of ratings."""

    arrays = ("centre", "coefficients", "count_range", "count_mean", "count_spread", "learned")
    centre = np.float64(0)
    count_range, count_mean, count_spread = np.zeros((2, 2)), np.zeros(2), np.ones(2)

    def __init__(self, kind: str, by_count: bool) -> None:
        self.kind, self.by_count = kind, by_count

    def fit(self, predicted: NDArray, stars: NDArray, counts: NDArray) -> None:
        """Learn the weights. predicted: (n, parts) stars; stars: (n,) true ones; counts: (n, 2) ratings of the user and
        of the movie."""
        from sklearn.linear_model import LinearRegression, RidgeCV

        n, n_parts = predicted.shape
        self.learned = np.bool_(n >= FEWEST)
        if not self.learned:
            self.coefficients = np.zeros(self._features(predicted[:1], counts[:1]).shape[1])
            self.coefficients[:n_parts] = 1 / n_parts
            return
        self.count_range = np.percentile(counts, COUNTED, axis=0)
        logs, self.centre = self._logs(counts), np.mean(stars, dtype=np.float64)
        self.count_mean, self.count_spread = logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-9)
        features, left = self._features(predicted, counts), stars - self.centre
        own = RidgeCV(ALPHAS, fit_intercept=False)
        if self.kind == "nnls":
            own = LinearRegression(positive=True, fit_intercept=False)
        self.coefficients = own.fit(features[:, :n_parts], left).coef_
        if self.by_count:
            left = left - own.predict(features[:, :n_parts])
            by_count = RidgeCV(ALPHAS, fit_intercept=False).fit(features[:, n_parts:], left)
            self.coefficients = np.append(own.coef_, by_count.coef_)

    def _logs(self, counts: NDArray) -> NDArray[np.float64]:
        return np.log1p(np.clip(counts, *self.count_range))

    def _features(self, predicted: NDArray, counts: NDArray) -> NDArray[np.float64]:
        """Return what the coefficients multiply: each prediction, and with `by_count` also each times each count. The
        counts themselves are no features: they would say something of those with few ratings for themselves, where the
        parts agree."""
        residual = predicted - self.centre
        if not self.by_count:
            return residual
        counts = (self._logs(counts) - self.count_mean) / self.count_spread
        return np.concatenate([residual, residual * counts[:, :1], residual * counts[:, 1:]], axis=1)

    def blend(self, predicted: NDArray, counts: NDArray) -> Floats:
        """Blend predictions, (n, parts), into stars, (n,)."""
        return (self.centre + self._features(predicted, counts) @ self.coefficients).astype(np.float32)


class Likes:
    """Weights of 0 or more for standardised scores: those under which the hidden likes are most probable when one movie
    after the other is drawn with probability softmax(blended score) (conditional logit, McFadden 1974). A user with
    many hidden likes weighs as much as one with few."""

    arrays = ("coefficients", "learned")

    def fit(self, scores: list[Floats], liked: NDArray[np.bool_], candidates: NDArray[np.bool_]) -> None:
        """Learn the weights. scores: standardised, (n, n_movies) for each part; liked, candidates: (n, n_movies)."""
        from scipy.optimize import minimize
        from scipy.special import logsumexp, softmax

        self.coefficients = np.full(len(scores), 1 / len(scores))
        users = np.flatnonzero(liked.any(axis=1))
        self.learned = np.bool_(len(users) >= FEWEST)
        if not self.learned:
            return
        parts = np.stack([part[users] for part in scores], axis=2)
        count = liked[users].sum(axis=1, keepdims=True)
        liked, candidates = liked[users] & candidates[users], candidates[users]

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            blended = np.where(candidates, parts @ weights.astype(np.float32), -np.inf)
            normalised = np.where(liked, blended, 0) - liked * logsumexp(blended, axis=1, keepdims=True)
            slope = (liked - count * softmax(blended, axis=1)) / count
            gradient = np.tensordot(slope.astype(np.float32), parts, axes=((0, 1), (0, 1)))
            return -(normalised / count).sum() / len(users), -gradient.astype(np.float64) / len(users)

        optimum = minimize(loss, self.coefficients, jac=True, bounds=[(0, None)] * len(scores), method="L-BFGS-B")
        if optimum.x.any():
            self.coefficients = optimum.x


class Weights:
    """The weights of a blend's parts, learned for two groups of them: "all", for the users that were trained on, and
    "open", the parts that serve others, too.

    starred, open_: indices of the parts that predict stars, and of the open ones, of n. rated: how many ratings each
    movie has, (n_movies,)."""

    rated: Indices

    def __init__(self, kind: str, by_count: bool, n: int, starred: Iterable[int], open_: Iterable[int]) -> None:
        self.groups = {"all": list(range(n)), "open": list(open_)}
        self.starred = {group: [i for i in parts if i in starred] for group, parts in self.groups.items()}
        by_count = by_count and kind == "ridge"
        self.stars = {group: Stars(kind, by_count) for group, parts in self.starred.items() if parts}
        self.likes = {group: Likes() for group, parts in self.groups.items() if parts}

    def fit_stars(self, predicted: dict[int, NDArray], stars: NDArray, counts: NDArray) -> None:
        """Learn the weights for stars. predicted: {part: (n,) stars}; the others as in `Stars.fit`."""
        for group, weights in self.stars.items():
            weights.fit(np.stack([predicted[i] for i in self.starred[group]], axis=1), stars, counts)

    def fit_likes(self, scores: list[Floats], liked: NDArray[np.bool_], candidates: NDArray[np.bool_]) -> None:
        """Learn the weights for likes. scores: one array for each part, as in `Likes.fit`."""
        for group, weights in self.likes.items():
            weights.fit([scores[i] for i in self.groups[group]], liked, candidates)

    def blended_stars(
        self, known: bool, predict: Callable[[int], NDArray | None], counts: Indices, movies: Indices
    ) -> Floats | None:
        """Blend the stars of pairs, (n,); None where no part predicts any for such users.

        known: whether users were trained on. predict: function of a part's index -> its stars, (n,). counts: how many
        ratings the user of each pair has. movies: of each pair."""
        group = "all" if known else "open"
        if group not in self.stars:
            return None
        predicted = np.stack([np.asarray(predict(i)) for i in self.starred[group]], axis=1)
        return self.stars[group].blend(predicted, np.stack([counts, self.rated[movies]], axis=1))

    def blended_scores(self, known: bool, score: Callable[[int], Floats]) -> Floats:
        """Blend standardised scores, (n, n_movies). score: function of a part's index -> its scores."""
        group, total = "all" if known else "open", np.zeros((), np.float32)
        for i, weight in zip(self.groups[group], self.likes[group].coefficients, strict=True):
            if weight > 0:
                total = total + np.float32(weight) * standardised(score(i))
        return total

    def of_parts(self) -> list[dict[str, float]]:
        """Return [{"stars": weight, "likes": weight}, ...] of "all", a part each, without what a part does not do."""
        weights: list[dict[str, float]] = [{} for _ in self.groups["all"]]
        for kind, parts in (("stars", self.starred["all"]), ("likes", self.groups["all"])):
            for place, i in enumerate(parts):
                weights[i][kind] = round(float(getattr(self, kind)["all"].coefficients[place]), 4)
        return weights

    def _entries(self) -> Iterator[tuple[str, Stars | Likes, str]]:
        """Yield (name in a file, object, attribute) of everything that is learned."""
        for kind, groups in (("stars", self.stars), ("likes", self.likes)):
            for group, weights in groups.items():
                for name in weights.arrays:
                    yield f"{kind}_{group}_{name}", weights, name

    def arrays(self) -> dict[str, Any]:
        """Return everything as named arrays, as a run holds it in weights.npz."""
        stored = {"rated": self.rated, "open": np.array(self.groups["open"]), "starred": np.array(self.starred["all"])}
        return stored | {name: getattr(weights, attribute) for name, weights, attribute in self._entries()}

    @classmethod
    def load(cls, run: Run) -> Self:
        """Read the weights of the run of a blend."""
        options, n, stored = run.config["options"], len(run.json("parts.json")), run.arrays("weights.npz")
        new = cls(options["weigh"], options["by_count"], n, stored["starred"].tolist(), stored["open"].tolist())
        new.rated = stored["rated"]
        for name, weights, attribute in new._entries():
            setattr(weights, attribute, stored[name])
        return new
