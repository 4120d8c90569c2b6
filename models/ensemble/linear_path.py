"""The linear path of `joint`: EASE mixed with the logits of a decoder. Nothing here needs Keras."""

from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from models import ease
from models.base import Recommender
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend.strategies import MOST, ndcg
from utils.scoring.linear_scorer import LinearPath
from utils.scoring.protocols import Floats, Indices, ScoreFunction

SHARES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # tried on validation


def config(options: Any) -> ease.Config:
    """Make the `ease.Config` from the `Config` of `joint`."""
    if not 0 <= options.linear_dropout < 1 or not 0 < options.linear_l2 < np.inf:
        raise ValueError("linear-dropout must be in [0, 1) and linear-l2 above 0")
    return ease.Config(options.linear_l2, options.linear_dropout, options.signed)


class Linear(ease.Model):
    """EASE with the share that the decoder's logits get when both are mixed (`LinearPath`). The share is chosen on
    validation, since both have learned to explain the same likes."""

    arrays = (*ease.Model.arrays, "share")
    share = np.float32(0.5)  # where validation has no likes to choose it by

    @classmethod
    def of(cls, joint: Recommender) -> Self:
        """Make the untrained linear path of a `joint` model."""
        return cls(joint.shape, config(joint.config), 0, joint.scale, joint.like)

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

        def ndcg_of(share: float) -> float:
            def mixed(_: csr_array, block: Indices) -> Floats:
                rows = np.searchsorted(users, block)
                return linear[rows] + np.float32(share) * logits[rows]

            return ndcg(mixed, validation)

        self.share = np.float32(max(SHARES, key=ndcg_of))
