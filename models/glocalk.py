"""GLocal-K: SparseFC on ratings that a global kernel has spread to neighbours (Han et al., CIKM 2021).

First the kernelised network of `sparsefc` is trained. Then its output, averaged over the columns, weighs learned 3 x 3
kernels into one, the matrix is convolved with it, and the same network is trained on with the convolved rows as input.
The convolution mixes each cell with its neighbours, so the order of movies and users matters: ascending ids, as in the
authors' code. What a shuffle of them costs is a row of the benchmark.

Here the kernel is the mean over movies, where the authors' is the sum times a factor; the average output is computed
once, between the stages, where the authors compute it with its gradient in every step; and the kernel starts as the
identity, so that the second stage begins where the first ended. `--dropout` hides ratings of the row itself, not of the
rows beside it."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from models.base import History
from models.networks import kernels
from models.networks.layers import GlobalKernel
from utils.data.splits import Holdout
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Range, tuned
from utils.training.training import DivergedError, EarlyStoppingCriterion, Training


@dataclass(frozen=True)
class Config(kernels.Config):
    """Options of `glocalk`."""

    rows: Literal["movies"] = "movies"
    """what a row of the input is: a movie's ratings (so it takes no new users)"""
    global_epochs: int = 50
    """most epochs of the second stage; 0 leaves it out"""
    global_rate: float = tuned(3e-4, Range(1e-4, 1e-3, log=True))
    """step size of the optimiser in the first epoch of the second stage"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample:
            raise ValueError("sample must be 0: the convolution mixes all columns")
        if self.global_epochs < 0 or not 0 < self.global_rate < np.inf:
            raise ValueError("global-epochs must be 0 or more, and global-rate above 0")


class Model(kernels.Kernelised):
    """A movie's row goes in with the two rows beside it in the matrix: the input is those three, one behind another."""

    config: Config
    rows_in = 3
    second_begun = True  # whether `fit` finished an epoch of the second stage, which an interruption may prevent

    def _centre(self, damping: float) -> GlobalKernel:
        return GlobalKernel(self.shape[1], damping, *self._centring(), name="centre")

    def _inputs(self, rows: csr_array, index: Indices, who: Indices | None = None, dense: Floats | None = None) -> Any:
        inputs = super()._inputs(rows, index, who, dense)
        ratings, *side = inputs if self.config.side else [inputs]
        before, after = self._rows_at(rows, index - 1, who), self._rows_at(rows, index + 1, who)
        three = np.concatenate([before, ratings, after], axis=1)
        return [three, *side] if side else three

    def _rows_at(self, matrix: csr_array, index: Indices, who: Indices | None) -> Floats:
        """Return these rows of `matrix`, dense; empty where there is none, as beside a stranger's."""
        rows = matrix[np.clip(index, 0, matrix.shape[0] - 1)].toarray()
        rows[(index < 0) | (index >= matrix.shape[0]) | (who is None)] = 0
        return rows

    def _sampler(self, rows: csr_array, size: int) -> None:
        """All columns: the convolution mixes those beside each other."""

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """See `Autoencoder.fit`."""
        history = super().fit(train_matrix, validation, training)
        self.second_begun = any(row["stage"] == 2 for row in history)
        return history

    def _train(
        self,
        matrix: csr_array,
        config: Config,
        training: Training,
        phase: str,
        judge: EarlyStoppingCriterion | None = None,
    ) -> History:
        centre = self.encoder.get_layer("centre")
        centre.spread.trainable = False
        history = [{"stage": 1, **row} for row in super()._train(matrix, config, training, phase, judge)]
        if training.interrupted or not config.global_epochs:
            return history
        rows = self._rows(matrix)
        centre.pooled.assign(self._apply(self.network, rows, np.arange(rows.shape[0])).mean(axis=1))
        centre.spread.trainable = True
        second = replace(config, epochs=config.global_epochs, learning_rate=config.global_rate)
        before = self.network.get_weights()
        try:
            later = super()._train(matrix, second, training, f"{phase}-global-{len(history)}", judge)
        except (KeyboardInterrupt, DivergedError) as error:  # in its first epoch: the result is that of the first stage
            training.stop(error)
            later = []
        history += [{"stage": 2, **row} for row in later]
        if not later or (judge and not self._choose(history, judge)["global_epochs"]):
            self.network.set_weights(before)
            self._copies = {}
        return history

    def _choose(self, history: History, judge: EarlyStoppingCriterion | None) -> dict[str, int]:
        """Return the best epoch of each stage; no second stage where none of its epochs was better."""
        first, second = ([row for row in history if row["stage"] == stage] for stage in (1, 2))
        better = second and (not judge or judge.best(history)["stage"] == 2)
        later = super()._choose(second, judge)["epochs"] if better else 0
        return super()._choose(first, judge) | {"global_epochs": later}

    def notes(self) -> list[str]:
        """See `Recommender.notes`: whether the second stage counts."""
        if self.second_begun and self.config.global_epochs and self.chosen.get("global_epochs") == 0:
            return ["no epoch of the second stage was better on validation, so the global kernel is left out: what is "
                    "saved is the network of sparsefc"]  # fmt: skip
        return super().notes()
