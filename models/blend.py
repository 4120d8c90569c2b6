"""Blend: other models as parts, weighed by what they predict for ratings they have not seen (stacking, Wolpert 1992).

The training ratings are divided into folds. Each part is trained without the first fold, its epochs chosen on the
validation ratings as ever, and predicts that fold; with `--rounds` the same for further folds. On these predictions the
weights are learned (`_stacking.py`): for stars a regression, for likes, after the scores of each part have been
standardised to logarithms of ranks, a conditional logit. Then each part is trained again on everything but the test.
Where users are held out, the validation users are people whom no part was trained on, and the weights are learned on
them.

People who were not trained on are served by the parts that can, with weights learned for these parts alone."""

import contextlib
import json
import sys
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models import load
from models.base import Recommender
from models.ensemble import blend_parts
from models.ensemble.blended import read_weights
from models.ensemble.stacking import Weights, standardised
from utils.data.ratings import likes
from utils.errors import UserError, out_of_memory
from utils.evaluation.holdout_metrics import judged_users

MOST = 1000  # users with hidden likes that the weights are learned on


@dataclass(frozen=True)
class Config:
    """Options of `blend`."""

    parts: str = "joint,autorec --rows movies,bayesfm,ease --l2 200 --dropout 0.5"
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

    def __post_init__(self):
        blend_parts.split(self.parts)
        if not 1 <= self.rounds <= self.folds or self.folds < 2:
            raise ValueError("folds must be 2 or more, rounds from 1 to as many")


class Model(Recommender):
    """`parts`: the models of what was `said`; `learned`: their weights."""

    blends = wants_users = learns_likes = True
    parts = said = ()

    def know(self, data):
        """See `Recommender.know`: builds the parts."""
        self._build()
        for part, model in zip(self.said, self.parts, strict=True):
            with _naming(part.said):
                model.know(data)

    def _build(self):
        self.said = self._read()
        self.parts = [blend_parts.build(part, self) for part in self.said]

    def _read(self):
        return [
            blend_parts.read(words, signed=self.config.signed or None) for words in blend_parts.split(self.config.parts)
        ]

    @property
    def predicts_ratings(self):
        """Whether any part does."""
        return any(model.predicts_ratings for model in self.parts)

    @property
    def takes_new_users(self):
        """Whether any part does."""
        return any(model.takes_new_users for model in self.parts)

    @property
    def predicts_strangers(self):
        """Whether any part does."""
        return any(model.predicts_strangers for model in self.parts)

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix, validation, training):
        """See `Recommender.fit`. Afterwards the parts are those of the last round, which lack its fold; `refit` trains
        them on all."""
        if not self.parts:
            self._build()
        self.kept, self.first = blend_parts.Kept(training.finished), {}
        people = validation.candidates is not None  # users are held out
        if people:
            rounds = [(train_matrix, validation)]
            for part, model in zip(self.said, self.parts, strict=True):
                if not model.takes_new_users:
                    raise UserError(
                        f"part {part.said} knows only users it is trained on: leave it out where users are held out"
                    )
        else:
            rounds = list(self._rounds(train_matrix, validation))
        history, seen = [], []
        for number, (matrix, holdout) in enumerate(rounds):
            found = []
            for i, part in enumerate(self.said):
                stage = "training" if people else f"without fold {number + 1}"
                rows, predicted = self._train(i, training, stage, matrix, None if number else validation, holdout)
                history += [{"part": part.said, "stage": stage, **row} for row in rows]
                found.append(predicted)
            seen.append((holdout, found))
        self._weigh(seen, people)
        self.learned.rated = np.bincount(train_matrix.indices, minlength=self.shape[1])
        return history

    def refit(self, matrix, training):
        """See `Recommender.refit`; the weights stay."""
        self.learned.rated, history = np.bincount(matrix.indices, minlength=self.shape[1]), []
        for i, part in enumerate(self.said):
            rows, _ = self._train(i, training, "on all", matrix)
            history += [{"part": part.said, "stage": "on all", **row} for row in rows]
        return history

    def _rounds(self, matrix, validation):
        """(matrix without one fold, `Holdout` of that fold) of each round."""
        cells = matrix.tocoo()
        fold = np.random.default_rng(self.seed).integers(self.config.folds, size=matrix.nnz)
        for number in range(self.config.rounds):
            kept, hidden = (_cells(cells, chosen) for chosen in (fold != number, fold == number))
            yield kept, replace(validation, given=kept, hidden=hidden)

    def _train(self, i, training, stage, matrix, validation=None, holdout=None):
        """Train part i, or take it up where it was finished before: (history, what it predicts for the holdout). With
        `validation` it is fitted, and again otherwise with what `fit` chose."""
        part, model = self.said[i], self.parts[i]
        judged = [matrix, *(known.hidden for known in (validation, holdout) if known)]
        place = self.kept.place(part, model, [stage, self.first.get(i)], *judged)
        if place:
            self.first.setdefault(i, place.name)  # what `fit` chose decides what `refit` does
        name, history = f"part {i + 1} of {len(self.parts)}, {part.said}, {stage}", []
        found = self.kept.load(place, model)
        if training.show:
            print(name + ("" if found is None else ": finished before"), file=sys.stderr, flush=True)
        if found is not None:
            history = json.loads(str(found.pop("history")))
        else:
            own = blend_parts.without(training, f"{i + 1}-{stage.replace(' ', '-')}")
            with _naming(part.said):
                if validation:
                    history = model.fit(matrix, replace(validation, given=holdout.given), own)
                else:
                    history = model.refit(matrix, own)
                if own.failed:
                    raise UserError(own.failed)
                if own.interrupted:
                    raise KeyboardInterrupt
                model.remember(matrix)
                found = self._predicted(model, holdout) if holdout else {}
            history = history or []
            self.kept.save(place, part, model, history=json.dumps(history), **found)
        return history, found

    def _predicted(self, model, holdout):
        """What a part says of a `Holdout`: stars of its ratings, standardised scores for its users with likes."""
        hidden, users, found = holdout.hidden.tocoo(), judged_users(holdout, MOST), {}
        if model.predicts_ratings:
            found["stars"] = model.predict(holdout.given, hidden.row, hidden.col)
        found["scores"] = standardised(model.score(holdout.given[users], users))
        return found

    def _weigh(self, seen, people):
        """Learn the weights from [(`Holdout`, what each part says of it), ...]. people: of users held out only likes
        are hidden, which says nothing about stars."""
        config, parts = self.config, self.parts
        starred = [i for i, model in enumerate(parts) if model.predicts_ratings]
        open_ = [i for i, model in enumerate(parts) if model.takes_new_users]
        self.learned = Weights(config.weigh, config.by_count, len(parts), starred, open_)
        stars, counts, liked, candidates = [], [], [], []
        for holdout, _ in seen:
            cells, users = holdout.hidden.tocoo(), judged_users(holdout, MOST)
            stars.append(cells.data)
            rated = np.bincount(holdout.given.indices, minlength=self.shape[1])
            counts.append(np.stack([np.diff(holdout.given.indptr)[cells.row], rated[cells.col]], axis=1))
            liked.append(likes(holdout.hidden[users], self.like).toarray() > 0)
            new = holdout.given[users].toarray() == 0
            candidates.append(new if holdout.candidates is None else new & holdout.candidates)
        said = {i: np.concatenate([found[i]["stars"] for _, found in seen]) for i in starred}
        use = slice(0 if people else None)  # none of them, or all
        stars, counts = np.concatenate(stars)[use], np.concatenate(counts)[use]
        self.learned.fit_stars({i: of[use] for i, of in said.items()}, stars, counts)
        scores = [np.concatenate([found[i]["scores"] for _, found in seen]) for i in range(len(parts))]
        self.learned.fit_likes(scores, np.concatenate(liked), np.concatenate(candidates))

    def weights(self):
        """{part: {"stars": weight, "likes": weight}} for users who were trained on, without what a part does not do."""
        return dict(zip([part.said for part in self.said], self.learned.of_parts(), strict=True))

    def notes(self):
        """See `Recommender.notes`: the weights."""
        said = "; ".join(
            f"{part} " + ", ".join(f"{kind} {weight:.2f}" for kind, weight in of.items())
            for part, of in self.weights().items()
        )
        alike = [kind for kind in ("stars", "likes") if not getattr(self.learned, kind)["all"].learned]
        few = [f"too little was hidden to learn weights of {kind} from: all parts count alike" for kind in alike]
        of_parts = [
            f"{part.said}: {note}" for part, own in zip(self.said, self.parts, strict=True) for note in own.notes()
        ]
        return [f"weights: {said}", *few, *of_parts]

    # -- using ---------------------------------------------------------------------------------------------------

    def remember(self, known):
        """See `Recommender.remember`."""
        for model in self.parts:
            model.remember(known)

    def score(self, given, users=None):
        """Weighed sum of the parts' standardised scores, float32 (n, n_movies). Where `users` are not said the rows are
        strangers', as long as there are parts for these."""
        known = users is not None or not self.takes_new_users
        return self.learned.blended_scores(known, lambda i: self.parts[i].score(given, users))

    def predict(self, given, users, movies):
        """Predicted stars of each pair."""
        known, counts = given.shape[0] == self.shape[0], np.diff(given.indptr)[users]
        of_part = lambda i: self.parts[i].predict(given, users, movies)  # noqa: E731
        stars = self.learned.blended_stars(known, of_part, counts, movies)
        if stars is None:
            raise ValueError("no part predicts stars for users that it was not trained on")
        return stars

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder):
        """A folder a part, weights.npz, and parts.json to read."""
        np.savez(folder / "weights.npz", **self.learned.arrays())
        (folder / "parts.json").write_text(json.dumps(self.weights(), indent=1), encoding="utf-8")
        for i, (part, model) in enumerate(zip(self.said, self.parts, strict=True), 1):
            blend_parts.save(folder / f"part{i}", part, model)

    def load(self, run):
        """Read them back."""
        self.said = self._read()
        self.parts = [load(run.part(f"part{i}")) for i in range(1, len(self.said) + 1)]
        self.learned = read_weights(run)


def _cells(cells, chosen):
    """CSR matrix of some cells of a COO matrix."""
    return type(cells)((cells.data[chosen], (cells.row[chosen], cells.col[chosen])), cells.shape).tocsr()


@contextlib.contextmanager
def _naming(said):
    """Where a failure names the part."""
    try:
        yield
    except UserError as error:
        raise UserError(f"part {said}: {error}") from None
    except Exception as error:
        if out_of_memory(error):
            raise UserError(f"part {said} does not fit into memory") from None
        error.add_note(f"in part {said} of the blend")
        raise
