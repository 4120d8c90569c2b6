"""What is linear, in numpy: scores by the weights of a linear autoencoder, stars by ridge regression on vectors of
movies; and both mixed with what a decoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import index_of, like_blocks, likes
from utils.scoring.biases import Biases
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import CSR, Floats, Indices

if TYPE_CHECKING:
    from utils.runs.run_folder import Run
    from utils.scoring.profile_rows import ProfileRows

ROWS = 128  # scored at a time
PAIRS = 8192  # of user and movie, predicted at a time
LEAST = 0.03  # EASE's scores, about the probability of a like, may be negative


class SparseRows(NamedTuple):
    """The arrays of a CSR matrix, to be read without scipy."""

    data: NDArray
    indices: NDArray
    indptr: NDArray
    shape: Any


@dataclass(frozen=True)
class LinearScorer:
    """Weights from likes (and, with `signed`, ratings that are no likes) to every movie.

    inputs: indices of the columns of the input that have weights, those of the second block being n_movies higher.
    outputs: indices of the movies that have scores; all others score 0. weights: (inputs, outputs) float32, sparse (a
    CSR matrix or its `SparseRows`) in large catalogues; or, with fewer users than inputs, (inputs, users), to be
    multiplied by right_factor, (users, outputs), with diagonal_correction, (outputs,), times the input itself on top;
    else these two are empty."""

    ARRAYS: ClassVar[tuple[str, ...]] = ("inputs", "outputs", "weights", "right_factor", "diagonal_correction")

    n_movies: int
    like: float
    signed: bool
    inputs: NDArray
    outputs: NDArray
    weights: Any
    right_factor: NDArray
    diagonal_correction: NDArray

    def score(self, given: CSR) -> Floats:
        """Return the scores of all movies, (n, n_movies), for CSR rows of stars."""
        scores = np.zeros((given.shape[0], self.n_movies), np.float32)
        given, weights = likes(given, self.like, self.signed)[:, self.inputs], self.weights
        if isinstance(weights, SparseRows):
            from scipy.sparse import csr_array

            weights = csr_array(weights[:3], shape=tuple(weights.shape))

        def score(rows: slice) -> None:
            block = given[rows] @ weights
            block = block if isinstance(block, np.ndarray) else block.toarray()
            if len(self.right_factor):
                corrected = given[rows, : len(self.diagonal_correction)].multiply(self.diagonal_correction)
                block = block @ self.right_factor + corrected.toarray()
            scores[rows, self.outputs] = block

        parallel_rows(score, len(scores), ROWS)
        return scores

    def score_rows(self, rows: ProfileRows, movies: Indices) -> Floats:
        """Return what `score` gives the movies of these indices, (n, len(movies)), without scipy."""
        blocks = like_blocks(rows.stars, self.like, self.signed)
        inputs = np.concatenate([rows.movies + i * self.n_movies for i in range(len(blocks))])
        row, column = index_of(self.inputs, inputs), index_of(self.outputs, movies)  # of the weights
        has_weights, has_scores = row >= 0, column >= 0
        given = np.concatenate(blocks, axis=1)[:, has_weights].astype(np.float32)
        row, column = row[has_weights], column[has_scores]
        if len(self.right_factor):
            products, right = given @ self.weights[row], self.right_factor
            is_few = 2 * len(column) < right.shape[1]  # to take columns is to copy them
            products = products @ right[:, column] if is_few else (products @ right)[:, column]
            products += given @ np.where(row[:, None] == column, self.diagonal_correction[column], 0)
        elif hasattr(self.weights, "indptr"):
            products = self._sparse_products(given, row)[:, column]
        else:
            products = given @ self.weights[row][:, column]
        scores = np.zeros((len(given), len(movies)), np.float32)
        scores[:, has_scores] = products
        return scores

    def _sparse_products(self, given: NDArray, row: Indices) -> NDArray:
        """Return given @ weights[row], (n, outputs), of sparse weights."""
        products, weights = np.zeros((len(given), len(self.outputs)), np.float32), self.weights
        for i, start, end in zip(range(len(row)), weights.indptr[row], weights.indptr[row + 1], strict=True):
            products[:, weights.indices[start:end]] += given[:, i, None] * weights.data[start:end]
        return products


@dataclass(frozen=True)
class LinearPath:
    """EASE beside a decoder of likes: log max(EASE, LEAST) + share * logits. In small data most of EASE's scores lie
    below LEAST, and the decoder alone ranks these movies, as it does those that have no score."""

    scorer: LinearScorer
    share: np.float32

    def log_scores(self, given: CSR) -> Floats:
        """Return EASE's own part, (n, n_movies), for CSR rows of stars."""
        scores = self.scorer.score(given)
        return np.log(np.maximum(scores, np.float32(LEAST), out=scores), out=scores)

    def mix_with_decoder(self, given: CSR, logits: Floats) -> Floats:
        """Return the scores, (n, n_movies), for CSR rows of stars and the decoder's logits of them."""
        return self.log_scores(given) + self.share * logits

    def mix_rows(self, rows: ProfileRows, logits: Floats, movies: Indices) -> Floats:
        """Return the same for the movies of these indices, without scipy; logits: those of these movies."""
        return np.log(np.maximum(self.scorer.score_rows(rows, movies), np.float32(LEAST))) + self.share * logits

    @classmethod
    def load(cls, run: Run) -> LinearPath | None:
        """Read it from a run of a model with a decoder; None where that has none."""
        if not run.has_file("weights.npz"):
            return None
        config, stored = run.config, cast("dict[str, Any]", run.arrays("weights.npz", r"weights(\.data|\.indices)?"))
        if "weights" not in stored:
            stored["weights"] = SparseRows(*(stored[f"weights.{field}"] for field in SparseRows._fields))
        arrays = (stored[name] for name in LinearScorer.ARRAYS)
        scorer = LinearScorer(config["shape"][1], config["like"], config["options"]["signed"], *arrays)
        return cls(scorer, np.float32(stored["share"]))


def ridge(vectors: Floats, left: Floats, penalties: Sequence[np.float32]) -> Floats:
    """Regress: return for each penalty l2 the w, (len(penalties), k), that minimises (left - V w)^2 + l2 w^2.

    vectors: V, (n, k) float32. left: (n,)."""
    n, k = vectors.shape
    gram = vectors @ vectors.T if n < k else vectors.T @ vectors  # V'(VV' + l2 I)^-1 e is (V'V + l2 I)^-1 V'e
    right, one = left if n < k else vectors.T @ left, np.eye(min(n, k), dtype=np.float32)
    found = np.stack([np.linalg.solve(gram + l2 * one, right) for l2 in penalties])
    return found @ vectors if n < k else found


@dataclass(frozen=True)
class StarPath:
    """Stars by ridge regression beside those of a decoder: what a person's ratings leave over the bias baseline is
    regressed on the vectors of the movies rated. A movie gets its own vector times the weights above the baseline.

    vectors: (n_movies, k) float32, with features of them. weights: (n_users, k), of the users trained on, with the
    ratings that the vectors know; anybody else's are made of their ratings. share: the weight of these stars; those of
    the decoder weigh 1 - share."""

    vectors: Floats
    weights: Floats
    l2: np.float32
    share: np.float32

    def of_users(self, base: Biases, users: Indices, movies: Indices) -> Floats:
        """Return the stars of the pairs (trained user, movie) by regression alone, (n,). base: the baseline."""
        wanted, place = np.unique(users, return_inverse=True)
        vectors = self.vectors if len(wanted) == 1 else np.asarray(self.vectors)  # for one user read in part
        weights, stars = self.weights[wanted], base.predict(users, movies)
        for start in range(0, len(users), PAIRS):
            pairs = slice(start, start + PAIRS)
            stars[pairs] += (vectors[movies[pairs]] * weights[place[pairs]]).sum(axis=1)
        return stars

    def regressed(self, given: CSR | SparseRows, base: Biases, rows: Indices, movies: Indices) -> Floats:
        """Return the stars of the pairs (row of `given`, movie) by regression alone, (n,), of people who were not
        trained on. base: the baseline, with the deviations of these rows."""
        wanted, place = np.unique(rows, return_inverse=True)
        order, ends = np.argsort(place, kind="stable"), np.append(0, np.cumsum(np.bincount(place)))
        vectors = self.vectors if len(wanted) == 1 else np.asarray(self.vectors)  # for one person read in part
        stars = base.predict(rows, movies)
        for i, row in enumerate(wanted):
            cells, pairs = slice(*given.indptr[row : row + 2]), order[ends[i] : ends[i + 1]]
            rated = given.indices[cells]
            if len(rated):
                left = given.data[cells] - base.predict(row, rated)
                stars[pairs] += vectors[movies[pairs]] @ ridge(vectors[rated], left, [self.l2])[0]
        return stars

    def mix(self, stars: Floats, regressed: Floats) -> Floats:
        """Mix stars of a decoder, (n,), with those of the regression."""
        return stars + self.share * (regressed - stars)

    @classmethod
    def load(cls, run: Run) -> StarPath | None:
        """Read it from a run, the vectors in part; None where that has none."""
        if not run.has_file("stars.npz"):
            return None
        stored = run.arrays("stars.npz", "vectors|weights")
        numbers = (np.float32(stored[name]) for name in ("l2", "share"))
        return cls(stored["vectors"], stored["weights"], *numbers)
