"""The linear path of `joint`: EASE mixed with the logits of a decoder. Nothing here needs Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models import ease
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend.strategies import MOST, ndcg
from utils.scoring.linear_scorer import LinearPath

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.data.splits import Holdout
    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Floats, Indices, ScoreFunction

SHARES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # tried on validation


def config(options: dict[str, Any]) -> ease.Config:
    """Make the `ease.Config` from the options of `joint`."""
    if not 0 <= options["linear_dropout"] < 1 or not 0 < options["linear_l2"] < np.inf:
        raise ValueError("linear-dropout must be in [0, 1) and linear-l2 above 0")
    return ease.Config(*(options[name] for name in ("linear_l2", "linear_dropout", "signed")))


def load(run: Run) -> Linear | None:
    """Read the linear path of a run; None where its model has none."""
    if not run.has_file("weights.npz"):
        return None
    about = run.config
    linear = Linear(about["shape"], config(about["options"]), 0, about["scale"], about["like"])
    linear.load(run)
    return linear


class Linear(ease.Model):
    """EASE with the share that the decoder's logits get when both are mixed (`LinearPath`). The share is chosen on
    validation, since both have learned to explain the same likes."""

    arrays = (*ease.Model.arrays, "share")
    share = np.float32(0.5)  # where validation has no likes to choose it by

    @property
    def path(self) -> LinearPath:
        """The weights and the share as what mixes scores with them."""
        return LinearPath(self.scorer, self.share)

    def choose(self, validation: Holdout, score: ScoreFunction) -> None:
        """Choose the share that ranks the validation hold-out best. score: the decoder's logits as a score function."""
        users = judged_users(validation, MOST)
        if not len(users):
            return
        given = validation.given[users]
        linear, logits = self.path.log_scores(given), score(given, users)

        def of(share: float) -> float:
            def both(_: csr_array, some: Indices) -> Floats:
                index = np.searchsorted(users, some)
                return linear[index] + np.float32(share) * logits[index]

            return ndcg(both, validation)

        self.share = np.float32(max(SHARES, key=of))
