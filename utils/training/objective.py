"""What tune.py asks of a model: how well the options of a trial do on validation. The test is never read."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import optuna

from utils.data.datasets import about_likes
from utils.errors import UserError, out_of_memory
from utils.evaluation import holdout_metrics
from utils.training import search_space
from utils.training.training import DivergedError, Training

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.data.splits import Split
    from utils.scoring.protocols import TrainableModel
    from utils.training.search_space import Space


class OutOfTimeError(Exception):
    """The time for the search is over in the middle of a trial."""


class Objective:
    """A function from an Optuna trial to its figure, by which `higher` is better or not:

    - rmse, of the validation ratings, where a model predicts stars and ranks by them
    - ndcg@100, of the validation likes, where it learns only likes, and where only likes of held-out users are hidden
    - ndcg@100 - rmse, in stars of five, where it does both: what `joint` chooses its epochs by

    all of the model as `train.py` would use it, with the weights of its best epoch, before it is trained again on
    validation ratings, too. What can't be trained (a loss that is no number, too little memory) is given up.

    build: function from a Config to the untrained model."""

    def __init__(
        self,
        build: Callable[[Any], TrainableModel],
        config: Any,
        spaces: Mapping[str, Space],
        data: Dataset,
        split: Split,
    ) -> None:
        self.build, self.config, self.spaces, self.data, self.split = build, config, spaces, data, split
        self.deadline = np.inf
        self.trained: TrainableModel | None = None
        self.succeeded = False  # whether any trial has come to its end: before, what goes wrong is the data's fault
        self.model = model = build(config)  # untrained
        ranks = model.learns_likes
        stars = model.predicts_ratings and not (ranks and split.holds_users_out)
        self.figure = " - ".join(["ndcg@100"] * ranks + ["rmse"] * stars)
        self.higher = ranks

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
        try:
            return self._tried(trial)
        finally:
            if self.trained:
                release(self.trained)
            self.trained = None

    def _tried(self, trial: optuna.Trial) -> float:
        """Train with the options of the trial and return the figure."""
        drawn = {name: space.draw(trial, name) for name, space in self.spaces.items()}
        trial.set_user_attr("options", {name: search_space.as_text(value) for name, value in drawn.items()})
        epochs: list[float] = []
        training = Training(on_metric=self._judging(trial, epochs))
        start = time.perf_counter()
        try:
            model = self._fitted(trial, drawn, training)
        finally:
            trial.set_user_attr("epochs", len(epochs))
            trial.set_user_attr("seconds", round(time.perf_counter() - start, 1))
        if training.interrupted and not training.failed:
            raise KeyboardInterrupt
        if training.failed:
            self._give_up(trial, training.failed)
        value = self.value(model)
        if not np.isfinite(value):
            self._give_up(trial, f"its figure is {value}")
        self.succeeded = True
        trial.set_user_attr("figure", round(value, 5))
        return value

    def _judging(self, trial: optuna.Trial, epochs: list[float]) -> Callable[[float], None]:
        """Return what is called with the figure of each epoch: it notes it in `epochs` and ends what leads nowhere."""

        def judged(figure: float) -> None:
            epochs.append(figure)
            trial.report(figure, len(epochs))
            if time.perf_counter() > self.deadline:
                raise OutOfTimeError
            if trial.should_prune():
                self._give_up(trial, f"behind the median at epoch {len(epochs)}")

        return judged

    def _fitted(self, trial: optuna.Trial, drawn: dict[str, Any], training: Training) -> TrainableModel:
        """Build and fit the model with these options; what can't be trained is given up."""
        try:
            try:
                asked = replace(self.config, **drawn)
            except ValueError as error:  # options that do not go together
                self._give_up(trial, str(error))
            model = self.trained = self.build(asked)
            model.fit(self.split.train, self.split.validation, training)
            return model
        except UserError as error:
            if not self.succeeded and not isinstance(error, DivergedError):
                raise
            self._give_up(trial, str(error))
        except optuna.TrialPruned:
            raise
        except Exception as error:
            if not out_of_memory(error):
                raise
            self._give_up(trial, "too little memory")

    def _give_up(self, trial: optuna.Trial, why: str) -> NoReturn:
        trial.set_user_attr("why", why)
        raise optuna.TrialPruned(why)

    def value(self, model: TrainableModel) -> float:
        """Compute the figure of a trained model."""
        validation, scale, ndcg = self.split.validation, self.data.ratings.scale, 0.0
        if self.higher:
            ndcg = holdout_metrics.ranking_metrics(model.score, validation)["ndcg@100"].value
        if "rmse" not in self.figure:
            return float(ndcg)
        rmse = float(holdout_metrics.rating_metrics(model.predict, validation, scale)["rmse"].value)
        return float(ndcg) - rmse / self.model.star if self.higher else rmse


def release(model: Any) -> None:
    """Give the memory of the networks that a model is made of back, after which it can't be used: TensorFlow keeps what
    a compiled function computes with as long as the process runs (github.com/tensorflow/tensorflow/issues/62854)."""
    if "keras" not in sys.modules:
        return
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        networks = [one for one in vars(model).values() if isinstance(one, keras.Model)]
        optimizers = [getattr(one, "optimizer", None) for one in networks]
        for part in networks + [one for one in optimizers if one]:
            for weight in part.variables:
                handle, nothing = weight.value.handle, tf.zeros((), weight.dtype)
                tf.raw_ops.AssignVariableOp(resource=handle, value=nothing, validate_shape=False)
    keras.backend.clear_session()
