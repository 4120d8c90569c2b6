"""What tune.py asks of a model: how well the options of a trial do on validation. The test is never read."""

import sys
import time
from dataclasses import asdict, replace

import numpy as np
import optuna

import models
from utils import evaluation, tuned
from utils.errors import UserError, out_of_memory
from utils.ratings import LIKE
from utils.training import DivergedError, Training


class OutOfTimeError(Exception):
    """The time for the search is over in the middle of a trial."""


class Objective:
    """A function from an Optuna trial to its figure, by which `higher` is better or not:

    - rmse, of the validation ratings, where a model predicts stars and ranks by them
    - ndcg@100, of the validation likes, where it learns only likes, and where only likes of held-out users are hidden
    - ndcg@100 - rmse, in stars of five, where it does both: what `joint` chooses its epochs by

    all of the model as `train.py` would use it, with the weights of its best epoch, before it is trained again on
    validation ratings, too. What can't be trained (a loss that is no number, too little memory) is given up."""

    def __init__(self, name, config, spaces, data, split, seed):
        self.name, self.config, self.spaces, self.data, self.split, self.seed = name, config, spaces, data, split, seed
        self.deadline = np.inf
        self.model = model = self._build(config)  # untrained
        ranks = hasattr(config, "like")  # learns what is liked
        stars = model.predicts_ratings and not (ranks and split.holds_users_out)
        self.figure = " - ".join(["ndcg@100"] * ranks + ["rmse"] * stars)
        self.higher = ranks

    def _build(self, config):
        model = models.build(self.name, self.data.ratings.shape, models.resolved(config, self.data.ratings), self.seed)
        model.know(self.data)
        return model

    def __call__(self, trial):
        start = time.perf_counter()
        drawn = {name: space.draw(trial, name) for name, space in self.spaces.items()}
        trial.set_user_attr("options", {name: tuned.as_text(value) for name, value in drawn.items()})
        epochs = []

        def judged(figure):
            epochs.append(figure)
            trial.report(figure, len(epochs))
            if time.perf_counter() > self.deadline:
                raise OutOfTimeError
            if trial.should_prune():
                self._give_up(trial, f"behind the median at epoch {len(epochs)}")

        try:
            model = self._build(replace(self.config, **drawn))
            training = Training(judged=judged)
            model.fit(self.split.train, self.split.validation, training)
        except (UserError, ValueError) as error:  # options that do not go together; a loss that is no number
            if trial.number == 0 and not isinstance(error, DivergedError):
                raise  # the defaults: it is the data
            self._give_up(trial, str(error))
        except Exception as error:
            if not out_of_memory(error):
                raise
            self._give_up(trial, "too little memory")
        finally:
            trial.set_user_attr("epochs", len(epochs))
            trial.set_user_attr("seconds", round(time.perf_counter() - start, 1))
            if "keras" in sys.modules:
                sys.modules["keras"].backend.clear_session()  # or each trial's graphs stay in memory
        if training.interrupted and not training.failed:
            raise KeyboardInterrupt
        if training.failed:
            self._give_up(trial, training.failed)
        value = self.value(model)
        trial.set_user_attr("figure", round(value, 5))
        return value

    def _give_up(self, trial, why):
        trial.set_user_attr("why", why)
        raise optuna.TrialPruned(why)

    def value(self, model):
        """The figure of a trained model."""
        validation, scale, ndcg = self.split.validation, self.data.ratings.scale, 0.0
        if self.higher:
            ndcg = evaluation.ranking_metrics(model.score, validation)["ndcg@100"].value
        if "rmse" not in self.figure:
            return float(ndcg)
        rmse = float(evaluation.rating_metrics(model.predict, validation, scale)["rmse"].value)
        return float(ndcg) - rmse / (self.data.ratings.like / LIKE) if self.higher else rmse


def options_of(name, config, values):
    """{"model", "options"} as `train.py --config` takes them: what differs from the model's defaults."""
    usual, chosen = asdict(models.module(name).Config()), asdict(config) | values
    return {"model": name, "options": {key: value for key, value in chosen.items() if value != usual[key]}}
