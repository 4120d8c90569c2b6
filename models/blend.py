"""Blend: other models as parts, weighed by what they predict for ratings they have not seen (stacking, Wolpert 1992).

The training ratings are divided into folds. Each part is trained without the first fold, its epochs chosen on the
validation ratings as usual, and predicts that fold; with `--rounds` the same for further folds. The weights are learned
on these predictions (`models/ensemble/stacking.py`): for stars by regression; for likes by a conditional logit, after
the scores of each part have been standardised to logarithms of ranks. Then each part is trained again on everything but
the test. Where users are held out, no part is trained on the validation users, and the weights are learned on them.

New users are served by the parts that can, with weights learned for these parts alone."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from models import load
from models.base import History, Recommender
from models.ensemble import blend_parts
from models.ensemble.blend_parts import errors_about
from models.ensemble.stacking import Weights, standardised
from utils.data.ratings import likes
from utils.data.splits import Holdout
from utils.errors import UserError
from utils.evaluation.holdout_metrics import judged_users
from utils.runs.run_folder import Run
from utils.scoring.protocols import Floats, Indices
from utils.training.training import Training

if TYPE_CHECKING:
    from utils.data.datasets import Dataset

Predictions = dict[str, Floats]  # of a part: {"stars": (n,), "scores": (n users, n_movies)}
MOST = 1000  # users with hidden likes that the weights are learned on
FEW = 20  # ratings; some users keep fewer while weights are learned, so that these are learned for such users, too
NEW = 10  # one user in so many, in each round


@dataclass(frozen=True)
class Config:
    """Options of `blend`."""

    parts: str = "joint,sparsefc,bayesfm,ease --l2 200 --dropout 0.5"
    """models, each with its options, separated by commas; `--seed 1` behind one starts it from other weights"""
    folds: int = 10
    """the training ratings are divided into so many folds"""
    rounds: int = 1
    """of which so many are predicted by parts that have not seen them; each takes another training of every part"""
    weigh: Literal["ridge", "nnls"] = "ridge"
    """how predicted stars are weighed: ridge regression, or least squares with no weight below 0"""
    by_count: bool = True
    """weights of predicted stars depend on how many ratings user and movie have (with ridge)"""
    signed: bool = False
    """the --signed of all parts that have it (default under strong-ratings: on)"""

    def __post_init__(self) -> None:
        blend_parts.split(self.parts)
        if not 1 <= self.rounds <= self.folds or self.folds < 2:
            raise ValueError("folds must be 2 or more, rounds from 1 to as many")


@dataclass(frozen=True)
class Round:
    """A training of all parts on `matrix`, to predict `holdout`. With `validation` they are fitted, otherwise refitted
    with what `fit` chose.

    stars: the ratings to predict with `holdout`: those that it hides, and those of users who keep few."""

    name: str
    matrix: csr_array
    holdout: Holdout | None = None
    validation: Holdout | None = None
    stars: csr_array | None = None

    @property
    def judged(self) -> coo_array:
        """`stars` as pairs."""
        return cast(csr_array, self.stars).tocoo()


class Model(Recommender):
    """`texts`: what `--parts` says of each part; `parts`: their models; `learned`: their weights."""

    config: Config
    blends = wants_users = learns_likes = True
    learned: Weights

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.texts = blend_parts.split(self.config.parts)
        self.parts = [blend_parts.build(text, self) for text in self.texts]
        self.predicts_ratings = any(part.predicts_ratings for part in self.parts)
        self.takes_new_users = any(part.takes_new_users for part in self.parts)

    def attach_data(self, data: "Dataset") -> None:
        """Give the data to the parts."""
        for text, part in self.named_parts():
            with errors_about(f"part {text}"):
                part.attach_data(data)

    def named_parts(self) -> list[tuple[str, Recommender]]:
        """Return (its text in `--parts`, model) of each part."""
        return list(zip(self.texts, self.parts, strict=True))

    @property
    def predicts_strangers(self) -> bool:
        """Whether any part does."""
        return any(part.predicts_strangers for part in self.parts)

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """Train the parts on folds and learn their weights.

        Afterwards the parts are those of the last round, which lack its fold; `refit` trains them on all ratings."""
        self.cache, self.first_folder = blend_parts.PartCache(training.finished), dict[int, str]()
        users_held_out = validation.candidates is not None
        unable = [text for text, part in self.named_parts() if not part.takes_new_users]
        if users_held_out and unable:
            able = ",".join(text for text in self.texts if text not in unable)
            unable_text = ", ".join(unable)
            raise UserError(f"users are held out, and {unable_text} can't serve new users; give --parts '{able}'")
        if users_held_out:
            rounds = [Round("training", train_matrix, validation, validation, validation.hidden)]
        else:
            rounds = self._rounds(train_matrix, validation)
        results = [self._train(round_, training) for round_ in rounds]
        self._learn_weights(rounds, [predictions for _, predictions in results], users_held_out)
        self.learned.rated = np.bincount(train_matrix.indices, minlength=self.shape[1])
        return [row for history, _ in results for row in history]

    def refit(self, matrix: csr_array, training: Training) -> History:
        """Train the parts again on all ratings; the weights stay."""
        self.learned.rated = np.bincount(matrix.indices, minlength=self.shape[1])
        return self._train(Round("on all", matrix), training)[0]

    def _rounds(self, matrix: csr_array, validation: Holdout) -> list[Round]:
        """Return the rounds, each without one fold. Where weights depend on counts each user is new in one of NEW
        rounds, or as many as there are folds: there they keep 0 to FEW - 1 ratings, fewer more often, since a second
        rating says more than a tenth. Their ratings of that fold are predicted, too, but no weights of likes are
        learned on them."""
        cells, random = matrix.tocoo(), np.random.default_rng(self.seed)
        fold = random.integers(self.config.folds, size=matrix.nnz)
        new_in = np.full(len(matrix.indptr) - 1, -1)
        kept = np.ones(matrix.nnz, bool)  # by those who are new
        if self.config.by_count and self.config.weigh == "ridge":
            new_in = random.integers(max(self.config.folds, NEW), size=len(new_in))
            most = np.expm1(random.uniform(0, np.log1p(FEW), len(new_in))).astype(int)
            order = np.lexsort((random.random(matrix.nnz), cells.row))
            place = np.arange(matrix.nnz) - matrix.indptr[cells.row[order]]
            kept[order] = place < most[cells.row[order]]

        def pick(where: NDArray[np.bool_]) -> csr_array:
            return csr_array((cells.data[where], (cells.row[where], cells.col[where])), matrix.shape)

        rounds = []
        for number in range(self.config.rounds):
            is_new = new_in[cells.row] == number
            hidden, given = fold == number, pick((fold != number) & (kept | ~is_new))
            holdout = replace(validation, given=given, hidden=pick(hidden & ~is_new))
            fitted_on = None if number else replace(validation, given=given)  # later rounds refit
            rounds.append(Round(f"without fold {number + 1}", given, holdout, fitted_on, pick(hidden)))
        return rounds

    def _train(self, round_: Round, training: Training) -> tuple[History, list[Predictions]]:
        """Train all parts, or read those that were finished before: (history, predictions of each)."""
        history, predictions = History(), []
        for i, (text, part) in enumerate(self.named_parts()):
            hidden = [holdout.hidden for holdout in (round_.validation, round_.holdout) if holdout]
            hidden += [round_.stars] if round_.stars is not None else []
            folder = self.cache.folder_of(part, [round_.name, self.first_folder.get(i)], round_.matrix, *hidden)
            if folder:
                self.first_folder.setdefault(i, folder.name)  # what `fit` chose decides what `refit` does
            predicted = self.cache.load(folder, part)
            if training.show:
                finished = "" if predicted is None else ": finished before"
                name = f"part {i + 1} of {len(self.parts)}, {text}, {round_.name}"
                print(name + finished, file=sys.stderr, flush=True)
            if predicted is None:
                part_training = blend_parts.training_in(training, f"{i + 1}-{round_.name.replace(' ', '-')}")
                with errors_about(f"part {text}"):
                    rows, predicted = _train_part(part, round_, part_training)
                self.cache.save(folder, part, history=json.dumps(rows), **predicted)
            else:
                rows = json.loads(str(predicted.pop("history")))
            history += [{"part": text, "stage": round_.name, **row} for row in rows]
            predictions.append(predicted)
        return history, predictions

    def _learn_weights(self, rounds: list[Round], predictions: list[list[Predictions]], users_held_out: bool) -> None:
        """Learn the weights from the predictions of each round, a `Predictions` for each part.

        users_held_out: then only likes are hidden, from which no weights of stars can be learned."""
        truth = _concatenated([self._truth(round_) for round_ in rounds])
        predicted = [_concatenated(of_part) for of_part in zip(*predictions, strict=True)]
        n_stars = 0 if users_held_out else len(truth["stars"])
        starred = [i for i, part in enumerate(self.parts) if part.predicts_ratings]
        open_ = [i for i, part in enumerate(self.parts) if part.takes_new_users]
        self.learned = Weights(self.config.weigh, self.config.by_count, len(self.parts), starred, open_)
        stars = {i: predicted[i]["stars"][:n_stars] for i in starred}
        self.learned.fit_stars(stars, truth["stars"][:n_stars], truth["counts"][:n_stars])
        self.learned.fit_likes([scores["scores"] for scores in predicted], truth["liked"], truth["candidates"])

    def _truth(self, round_: Round) -> dict[str, NDArray]:
        """Return what weights are learned from beside predictions: the arguments of `Stars.fit` and `Likes.fit`."""
        judged, holdout = round_.judged, cast(Holdout, round_.holdout)
        users = judged_users(holdout, MOST)
        by_user, by_movie = np.diff(holdout.given.indptr), np.bincount(holdout.given.indices, minlength=self.shape[1])
        unseen = holdout.given[users].toarray() == 0
        return {
            "stars": judged.data,
            "counts": np.stack([by_user[judged.row], by_movie[judged.col]], axis=1),
            "liked": likes(holdout.hidden[users], self.like).toarray() > 0,
            "candidates": unseen if holdout.candidates is None else unseen & holdout.candidates,
        }

    def weights(self) -> dict[str, dict[str, float]]:
        """Return {part: {"stars": weight, "likes": weight}} for users who were trained on; a part that does not
        predict one of them has no weight for it."""
        return dict(zip(self.texts, self.learned.of_parts(), strict=True))

    def notes(self) -> list[str]:
        """Return the weights as a sentence, and the notes of the parts."""
        weights = [
            f"{text} " + ", ".join(f"{kind} {weight:z.2f}" for kind, weight in of_part.items())
            for text, of_part in self.weights().items()
        ]
        notes = [f"weights: {'; '.join(weights)}"]
        for kind, groups in (("stars", self.learned.stars), ("likes", self.learned.likes)):
            if "all" in groups and not groups["all"].learned:
                notes.append(f"too little was hidden to learn weights of {kind} from: all parts count alike")
        return notes + [f"{text}: {note}" for text, part in self.named_parts() for note in part.notes()]

    def encode_all(self, known: csr_array) -> None:
        """Let every part encode users and movies."""
        for part in self.parts:
            part.encode_all(known)

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Compute the weighted sum of the parts' standardised scores, (n, n_movies). Where `users` is None the rows are
        those of new users, as long as some part takes these."""
        known = users is not None or not self.takes_new_users
        return self.learned.blended_scores(known, lambda i: self.parts[i].score(given, users))

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair. A `ValueError` where no part takes such users."""
        known, counts = given.shape[0] == self.shape[0], np.diff(given.indptr)[users]
        stars = self.learned.blended_stars(known, lambda i: self.parts[i].predict(given, users, movies), counts, movies)
        if stars is None:
            raise ValueError("no part predicts stars for users that it was not trained on")
        return stars

    def save(self, folder: Path) -> None:
        """Write a folder a part, weights.npz, and parts.json to read."""
        np.savez(folder / "weights.npz", **self.learned.arrays())
        (folder / "parts.json").write_text(json.dumps(self.weights(), indent=1), encoding="utf-8")
        for i, part in enumerate(self.parts, 1):
            blend_parts.save(folder / f"part{i}", part)

    def load(self, run: Run) -> None:
        """Read what `save` wrote."""
        self.parts = [load(run.part(f"part{i}")) for i in range(1, len(self.texts) + 1)]
        self.learned = Weights.load(run)


def _train_part(part: Recommender, round_: Round, training: Training) -> tuple[History, Predictions]:
    """Train a part: (history, its predictions of the holdout's stars and, for users with likes, its scores)."""
    holdout, predicted = round_.holdout, Predictions()
    if round_.validation:
        history = part.fit(round_.matrix, round_.validation, training)
    else:
        history = part.refit(round_.matrix, training) or []
    if training.failed:
        raise UserError(training.failed)
    if training.interrupted:
        raise KeyboardInterrupt
    part.encode_all(round_.matrix)
    if holdout:
        judged, users = round_.judged, judged_users(holdout, MOST)
        if part.predicts_ratings:
            predicted["stars"] = part.predict(holdout.given, judged.row, judged.col)
        predicted["scores"] = standardised(part.score(holdout.given[users], users))
    return history, predicted


def _concatenated(rounds: Sequence[dict[str, NDArray]]) -> dict[str, NDArray]:
    return {name: np.concatenate([arrays[name] for arrays in rounds]) for name in rounds[0]}
