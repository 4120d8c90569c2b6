"""What tune.py optimizes: how well the options of a trial do on validation. The test is never read."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from utils.data.datasets import about_likes
from utils.errors import UserError, out_of_memory
from utils.evaluation import holdout_metrics
from utils.training import search_space
from utils.training.training import DivergedError, Training

if TYPE_CHECKING:
    from utils.data.splits import Split
    from utils.scoring.protocols import TrainableModel
    from utils.training.search_space import Space

    Build = Callable[[Any], TrainableModel]


class OutOfTimeError(Exception):
    """The time for the search is over in the middle of a trial."""


class Objective:
    """A function from an Optuna trial to its figure, a metric on the validation set:

    - rmse, where a model predicts stars and ranks by them
    - ndcg@100, where it learns only likes, and where only likes of held-out users are hidden
    - ndcg@100 - rmse, with stars of five, where it does both: the metric that `joint` chooses its epochs by

    The model is the one that `train.py` would use, with the weights of its best epoch, before it is trained again on
    validation ratings, too. Options that can't be trained (a loss that is no number, too little memory) are pruned.

    build: makes the untrained model. config: its options, of which `spaces` are searched. defaults: these, as text.
    figure: name of the metric. higher: whether a higher one is better."""

    def __init__(self, build: Build, config: Any, spaces: Mapping[str, Space], split: Split) -> None:
        self.build, self.config, self.spaces, self.split = build, config, spaces, split
        self.defaults = {name: search_space.as_text(getattr(config, name)) for name in spaces}
        self.deadline = np.inf
        self.trained: TrainableModel | None = None
        self.succeeded = False  # whether any trial is complete: before, an error is the data's fault
        self.model = model = build(config)  # untrained
        self.higher = model.learns_likes
        self.figure = "rmse"
        if self.higher:
            stars = model.predicts_ratings and not split.holds_users_out
            self.figure = "ndcg@100 - rmse" if stars else "ndcg@100"

    def check(self) -> None:
        """Refuse data without anything to judge options by."""
        validation = self.split.validation
        likes = not self.higher or len(holdout_metrics.judged_users(validation))
        if not validation.hidden.nnz or not likes:
            what = "likes" if validation.hidden.nnz else "ratings"
            more = ["a higher --validation-share (--held-out, of users) sets aside some"]
            hint = (about_likes(self.split.ratings) if not likes else []) or more
            raise UserError(f"there are no validation {what} to judge options by; {hint[0]}")

    def __call__(self, trial: optuna.Trial) -> float:
        """Train with the options of the trial and return the figure."""
        try:
            value = self._evaluate(trial)
        except optuna.TrialPruned as reason:
            trial.set_user_attr("why", str(reason))
            raise
        finally:
            if self.trained:
                release(self.trained)
            self.trained = None
        self.succeeded = True
        trial.set_user_attr("figure", round(value, 5))
        return value

    def _evaluate(self, trial: optuna.Trial) -> float:
        values = {name: space.draw(trial, name) for name, space in self.spaces.items()}
        trial.set_user_attr("options", {name: search_space.as_text(value) for name, value in values.items()})
        epochs: list[float] = []

        def on_metric(figure: float) -> None:
            epochs.append(figure)
            trial.report(figure, len(epochs))
            if time.perf_counter() > self.deadline:
                raise OutOfTimeError
            if trial.should_prune():
                raise optuna.TrialPruned(f"behind the median at epoch {len(epochs)}")

        training, start = Training(on_metric=on_metric), time.perf_counter()
        try:
            model = self._fit(values, training)
        finally:
            trial.set_user_attr("epochs", len(epochs))
            trial.set_user_attr("seconds", round(time.perf_counter() - start, 1))
        if training.failed:
            raise optuna.TrialPruned(training.failed)
        if training.interrupted:
            raise KeyboardInterrupt
        value = self.value(model)
        if not np.isfinite(value):
            raise optuna.TrialPruned(f"its figure is {value}")
        return value

    def _fit(self, values: dict[str, Any], training: Training) -> TrainableModel:
        """Build and fit the model with these options."""
        try:
            config = replace(self.config, **values)
        except ValueError as error:  # options that do not go together
            raise optuna.TrialPruned(str(error)) from None
        try:
            self.trained = self.build(config)
            self.trained.fit(self.split.train, self.split.validation, training)
        except UserError as error:
            if not self.succeeded and not isinstance(error, DivergedError):
                raise
            raise optuna.TrialPruned(str(error)) from None
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise optuna.TrialPruned("too little memory") from None
        return self.trained

    def value(self, model: TrainableModel) -> float:
        """Compute the figure of a trained model."""
        validation, ndcg = self.split.validation, 0.0
        if self.higher:
            ndcg = float(holdout_metrics.ranking_metrics(model.score, validation)["ndcg@100"].value)
        if "rmse" not in self.figure:
            return ndcg
        metrics = holdout_metrics.rating_metrics(model.predict, validation, self.split.ratings.scale)
        rmse = float(metrics["rmse"].value)
        return ndcg - rmse / self.model.star if self.higher else rmse


def release(model: Any) -> None:
    """Free the memory of a model's networks, which can't be used afterwards: TensorFlow keeps what a compiled function
    computes with as long as the process runs (github.com/tensorflow/tensorflow/issues/62854)."""
    if "keras" not in sys.modules:
        return
    import keras
    import tensorflow as tf

    networks = [network for network in vars(model).values() if isinstance(network, keras.Model)]
    optimizers = [network.optimizer for network in networks if getattr(network, "optimizer", None)]
    for part in [*networks, *optimizers]:
        for weight in part.variables:
            empty = tf.zeros((), weight.dtype)
            tf.raw_ops.AssignVariableOp(resource=weight.value.handle, value=empty, validate_shape=False)
    keras.backend.clear_session()
