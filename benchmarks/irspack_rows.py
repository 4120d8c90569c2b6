"""Models of other libraries under our contract, as far as the benchmarks need it."""

import json
import sys
from pathlib import Path

import irspack
import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from utils.data.ratings import likes
from utils.evaluation.holdout_metrics import judged_users
from utils.scoring.ranking import hide_seen


class Irspack:
    """A model of irspack; command: irspack CLASS and its options, name=value."""

    blends = False

    def __init__(self, command, like):
        _, self.name, *options = command.split()
        self.options = {name: json.loads(value) for name, value in (option.split("=") for option in options)}
        self.like = like

    def fit(self, matrix, _validation, _training):
        """Train it on the likes; nothing is chosen, the options are given."""
        self.model = getattr(irspack, self.name)(sp.csr_matrix(likes(matrix, self.like)), **self.options).learn()

    def score(self, given, _users):
        """See `Recommender.score`."""
        return self.model.get_score_cold_user(sp.csr_matrix(likes(given, self.like))).astype(np.float32)

    def check(self, test, found):
        """Stop where irspack's evaluator finds another NDCG@100 for the same scores."""
        users = judged_users(test)
        scores = hide_seen(self.score(test.given[users], users), test.given[users])
        if test.candidates is not None:
            scores[:, ~test.candidates] = -np.inf
        evaluator = irspack.Evaluator(sp.csr_matrix(likes(test.hidden, test.like)[users]), cutoff=100)
        theirs = evaluator.get_score_from_score_matrix(scores)["ndcg"]
        if abs(theirs - found["ndcg@100"].value) > 1e-4:  # iALS solves for a user by iteration, each time anew
            raise SystemExit(f"irspack finds NDCG@100 {theirs}, we {found['ndcg@100'].value}")
