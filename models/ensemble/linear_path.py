"""The linear path of `joint`: EASE beside the logits of a decoder. Nothing here needs Keras."""

import numpy as np

from models import ease
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend.strategies import MOST, ndcg
from utils.scoring.linear_scorer import LinearPath

SHARES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # tried on validation


def config(options):
    """The `ease.Config` that the options of `joint`, a dictionary, come to."""
    if not 0 <= options["linear_dropout"] < 1 or not 0 < options["linear_l2"] < np.inf:
        raise ValueError("linear-dropout must be in [0, 1) and linear-l2 above 0")
    return ease.Config(*(options[name] for name in ("linear_l2", "linear_dropout", "signed")))


def load(run):
    """The linear path of a `utils.runs.run_folder.Run`, None where its model has none."""
    if not run.holds("weights.npz"):
        return None
    about = run.config
    linear = Linear(about["shape"], config(about["options"]), 0, about["scale"], about["like"])
    linear.load(run)
    return linear


class Linear(ease.Model):
    """EASE with the share that the decoder's logits have beside it (`LinearPath`), which is chosen on validation: both
    have learned to explain the same likes."""

    arrays = (*ease.Model.arrays, "share")
    share = np.float32(0.5)  # where validation has no likes to choose it by

    @property
    def path(self) -> LinearPath:
        """The weights and the share as what mixes scores with them."""
        return LinearPath(self.scorer, self.share)

    def choose(self, validation, score):
        """Take the share that ranks the `Holdout` validation best; score: the decoder's logits as a score function."""
        users = judged_users(validation, MOST)
        if not len(users):
            return
        given = validation.given[users]
        own, logits = self.path.log_scores(given), score(given, users)

        def of(share):
            def both(_, some):
                index = np.searchsorted(users, some)
                return own[index] + np.float32(share) * logits[index]

            return ndcg(both, validation)

        self.share = np.float32(max(SHARES, key=of))
