"""The linear path of `joint`: EASE beside the logits of a decoder. Nothing here needs Keras."""

import numpy as np

from models import ease
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend.strategies import MOST, ndcg

LEAST = 0.03  # EASE's scores, about the probability of a like, may be negative
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
    """Scores are log max(EASE, LEAST) + share * logits. Both are, up to a constant of the user's, logarithms of what is
    likely; the share is chosen on validation, since both have learned to explain the same likes. In small data most of
    EASE's scores lie below LEAST, and the decoder alone ranks these movies."""

    arrays = (*ease.Model.arrays, "share")
    share = np.float32(0.5)  # where validation has no likes to choose it by

    def logits(self, given):
        """EASE's own part, float32 (n, n_movies), for CSR rows of stars."""
        return np.log(np.maximum(self.score(given), np.float32(LEAST)))

    def beside_rows(self, rows, logits, movies):
        """What `beside` gives the movies of these indices for `utils.scoring.profile_rows.Rows`; logits: the decoder's of those."""
        return np.log(np.maximum(self.score_rows(rows, movies), np.float32(LEAST))) + self.share * logits

    def beside(self, given, logits):
        """The scores, float32 (n, n_movies), for CSR rows of stars and the decoder's logits of them."""
        return self.logits(given) + self.share * logits

    def choose(self, validation, score):
        """Take the share that ranks the `Holdout` validation best; score: the decoder's logits as a score function."""
        users = judged_users(validation, MOST)
        if not len(users):
            return
        given = validation.given[users]
        own, logits = self.logits(given), score(given, users)

        def of(share):
            def both(_, some):
                index = np.searchsorted(users, some)
                return own[index] + np.float32(share) * logits[index]

            return ndcg(both, validation)

        self.share = np.float32(max(SHARES, key=of))
