"""Blend: other models as parts, weighed by what they predict for ratings they have not seen (stacking, Wolpert 1992).

The training ratings are divided into folds. Each part is trained without the first fold, its epochs chosen on the
validation ratings as usual, and predicts that fold; with `--rounds` the same for further folds. The weights are learned
on these predictions (`models/ensemble/stacking.py`): for stars by regression; for likes by a conditional logit, after
the scores of each part have been standardised to logarithms of ranks. Then each part is trained again on everything but
the test. Where users are held out, no part is trained on the validation users, and the weights are learned on them.

New users are served by the parts that can, with weights learned for these parts alone."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from models import load
from models.base import History, Recommender
from models.ensemble import blend_parts
from models.ensemble.blended import read_weights
from models.ensemble.stacking import Weights, standardised
from utils.data.ratings import likes
from utils.errors import UserError, out_of_memory
from utils.evaluation.holdout_metrics import judged_users

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csr_array

    from utils.data.datasets import Dataset
    from utils.data.splits import Holdout
    from utils.runs.run_folder import Run
    from utils.training.training import Training

Predictions = dict[str, NDArray[np.float32]]  # of a part: {"stars": (n,), "scores": (n users, n_movies)}
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

    def __post_init__(self) -> None:
        blend_parts.split(self.parts)
        if not 1 <= self.rounds <= self.folds or self.folds < 2:
            raise ValueError("folds must be 2 or more, rounds from 1 to as many")


class Model(Recommender):
    """`said`: the parts as `--parts` describes them; `parts`: their models; `learned`: their weights."""

    config: Config
    blends = wants_users = learns_likes = True
    parts: Sequence[Recommender] = ()
    said: Sequence[blend_parts.BlendPart] = ()
    learned: Weights

    def attach_data(self, data: "Dataset") -> None:
        """Build the parts and give them the data."""
        self._build()
        for part, model in zip(self.said, self.parts, strict=True):
            with _naming(part.said):
                model.attach_data(data)

    def _build(self) -> None:
        self.said = self._read()
        self.parts = [blend_parts.build(part, self) for part in self.said]

    def _read(self) -> list[blend_parts.BlendPart]:
        signed = self.config.signed or None
        return [blend_parts.read(words, signed=signed) for words in blend_parts.split(self.config.parts)]

    @property
    def predicts_ratings(self) -> bool:  # type: ignore[override]  # nobody sets it: it follows from the parts
        """Whether any part does."""
        return any(model.predicts_ratings for model in self.parts)

    @property
    def takes_new_users(self) -> bool:  # type: ignore[override]  # the same
        """Whether any part does."""
        return any(model.takes_new_users for model in self.parts)

    @property
    def predicts_strangers(self) -> bool:
        """Whether any part does."""
        return any(model.predicts_strangers for model in self.parts)

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix: "csr_array", validation: "Holdout", training: "Training") -> History:
        """Train the parts on folds and learn their weights.

        Afterwards the parts are those of the last round, which lack its fold; `refit` trains them on all ratings."""
        if not self.parts:
            self._build()
        self.kept, self.first = blend_parts.Kept(training.finished), dict[int, str]()
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
        history: History = []
        seen: list[tuple[Holdout, list[Predictions]]] = []
        for number, (matrix, holdout) in enumerate(rounds):
            of_parts = []
            for i, part in enumerate(self.said):
                stage = "training" if people else f"without fold {number + 1}"
                rows, predicted = self._train(i, training, stage, matrix, None if number else validation, holdout)
                history += [{"part": part.said, "stage": stage, **row} for row in rows]
                of_parts.append(predicted)
            seen.append((holdout, of_parts))
        self._weigh(seen, people)
        self.learned.rated = np.bincount(train_matrix.indices, minlength=self.shape[1])
        return history

    def refit(self, matrix: "csr_array", training: "Training") -> History:
        """Train the parts again on all ratings; the weights stay."""
        self.learned.rated, history = np.bincount(matrix.indices, minlength=self.shape[1]), History()
        for i, part in enumerate(self.said):
            rows, _ = self._train(i, training, "on all", matrix)
            history += [{"part": part.said, "stage": "on all", **row} for row in rows]
        return history

    def _rounds(self, matrix: "csr_array", validation: "Holdout") -> Iterator[tuple["csr_array", "Holdout"]]:
        """Yield (matrix without one fold, `Holdout` of that fold) for each round."""
        cells = matrix.tocoo()
        fold = np.random.default_rng(self.seed).integers(self.config.folds, size=matrix.nnz)
        for number in range(self.config.rounds):
            kept, hidden = (_cells(cells, mask) for mask in (fold != number, fold == number))
            yield kept, replace(validation, given=kept, hidden=hidden)

    def _train(
        self,
        i: int,
        training: "Training",
        stage: str,
        matrix: "csr_array",
        validation: "Holdout | None" = None,
        holdout: "Holdout | None" = None,
    ) -> tuple[History, Predictions]:
        """Train part i, or read it where it was finished before: (history, its predictions for the holdout).

        With `validation` and `holdout` it is fitted, otherwise refitted with what `fit` chose."""
        part, model = self.said[i], self.parts[i]
        judged = [matrix, *(known.hidden for known in (validation, holdout) if known)]
        place = self.kept.place(part, model, [stage, self.first.get(i)], *judged)
        if place:
            self.first.setdefault(i, place.name)  # what `fit` chose decides what `refit` does
        name = f"part {i + 1} of {len(self.parts)}, {part.said}, {stage}"
        predicted = self.kept.load(place, model)
        if training.show:
            print(name + ("" if predicted is None else ": finished before"), file=sys.stderr, flush=True)
        if predicted is not None:
            return json.loads(str(predicted.pop("history"))), predicted
        of_part = blend_parts.without(training, f"{i + 1}-{stage.replace(' ', '-')}")
        with _naming(part.said):
            if validation and holdout:
                history = model.fit(matrix, replace(validation, given=holdout.given), of_part)
            else:
                history = model.refit(matrix, of_part) or []
            if of_part.failed:
                raise UserError(of_part.failed)
            if of_part.interrupted:
                raise KeyboardInterrupt
            model.encode_all(matrix)
            predicted = self._predicted(model, holdout) if holdout else {}
        self.kept.save(place, part, model, history=json.dumps(history), **predicted)
        return history, predicted

    def _predicted(self, model: Recommender, holdout: "Holdout") -> Predictions:
        """Predict, with the model of a part, a holdout's stars and standardised scores for its users with likes."""
        hidden, users, predicted = holdout.hidden.tocoo(), judged_users(holdout, MOST), {}
        if model.predicts_ratings:
            predicted["stars"] = model.predict(holdout.given, hidden.row, hidden.col)
        predicted["scores"] = standardised(model.score(holdout.given[users], users))
        return predicted

    def _weigh(self, seen: "list[tuple[Holdout, list[Predictions]]]", people: bool) -> None:
        """Learn the weights from [(holdout, predictions of each part), ...].

        people: users are held out; then only likes are hidden, from which no weights of stars can be learned."""
        config, parts = self.config, self.parts
        starred = [i for i, model in enumerate(parts) if model.predicts_ratings]
        open_ = [i for i, model in enumerate(parts) if model.takes_new_users]
        self.learned = Weights(config.weigh, config.by_count, len(parts), starred, open_)
        hidden, counts, liked, candidates = [], [], [], []
        for holdout, _ in seen:
            cells, users = holdout.hidden.tocoo(), judged_users(holdout, MOST)
            hidden.append(cells.data)
            rated = np.bincount(holdout.given.indices, minlength=self.shape[1])
            counts.append(np.stack([np.diff(holdout.given.indptr)[cells.row], rated[cells.col]], axis=1))
            liked.append(likes(holdout.hidden[users], self.like).toarray() > 0)
            new = holdout.given[users].toarray() == 0
            candidates.append(new if holdout.candidates is None else new & holdout.candidates)
        stars = np.concatenate(hidden)
        use = np.full(len(stars), not people)
        predicted = {i: np.concatenate([of_parts[i]["stars"] for _, of_parts in seen])[use] for i in starred}
        self.learned.fit_stars(predicted, stars[use], np.concatenate(counts)[use])
        scores = [np.concatenate([of_parts[i]["scores"] for _, of_parts in seen]) for i in range(len(parts))]
        self.learned.fit_likes(scores, np.concatenate(liked), np.concatenate(candidates))

    def weights(self) -> dict[str, dict[str, float]]:
        """Return {part: {"stars": weight, "likes": weight}} for users who were trained on; a part that does not
        predict one of them has no weight for it."""
        return dict(zip([part.said for part in self.said], self.learned.of_parts(), strict=True))

    def notes(self) -> list[str]:
        """Return the weights as a sentence, and the notes of the parts."""
        sentence = "; ".join(
            f"{part} " + ", ".join(f"{kind} {weight:.2f}" for kind, weight in of.items())
            for part, of in self.weights().items()
        )
        learned = {kind: getattr(self.learned, kind).get("all") for kind in ("stars", "likes")}  # or no part does it
        alike = [kind for kind, found in learned.items() if found and not found.learned]
        few = [f"too little was hidden to learn weights of {kind} from: all parts count alike" for kind in alike]
        parts = zip(self.said, self.parts, strict=True)
        of_parts = [f"{part.said}: {note}" for part, model in parts for note in model.notes()]
        return [f"weights: {sentence}", *few, *of_parts]

    # -- using ---------------------------------------------------------------------------------------------------

    def encode_all(self, known: "csr_array") -> None:
        """Let every part encode users and movies."""
        for model in self.parts:
            model.encode_all(known)

    def score(self, given: "csr_array", users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Compute the weighted sum of the parts' standardised scores, (n, n_movies). Where `users` is None the rows are
        those of new users, as long as some part takes these."""
        known = users is not None or not self.takes_new_users
        return self.learned.blended_scores(known, lambda i: self.parts[i].score(given, users))

    def predict(
        self, given: "csr_array", users: NDArray[np.integer], movies: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Predict the stars of each pair. A `ValueError` where no part takes such users."""
        known, counts = given.shape[0] == self.shape[0], np.diff(given.indptr)[users]
        of_part = lambda i: self.parts[i].predict(given, users, movies)  # noqa: E731
        stars = self.learned.blended_stars(known, of_part, counts, movies)
        if stars is None:
            raise ValueError("no part predicts stars for users that it was not trained on")
        return stars

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write a folder a part, weights.npz, and parts.json to read."""
        arrays: dict[str, Any] = self.learned.arrays()
        np.savez(folder / "weights.npz", **arrays)
        (folder / "parts.json").write_text(json.dumps(self.weights(), indent=1), encoding="utf-8")
        for i, (part, model) in enumerate(zip(self.said, self.parts, strict=True), 1):
            blend_parts.save(folder / f"part{i}", part, model)

    def load(self, run: "Run") -> None:
        """Read what `save` wrote."""
        self.said = self._read()
        self.parts = [load(run.part(f"part{i}")) for i in range(1, len(self.said) + 1)]
        self.learned = read_weights(run)


def _cells(cells: "coo_array", mask: NDArray[np.bool_]) -> "csr_array":
    """Return the cells of a COO matrix that the mask picks, as CSR of the same shape."""
    return type(cells)((cells.data[mask], (cells.row[mask], cells.col[mask])), cells.shape).tocsr()


@contextlib.contextmanager
def _naming(said: str) -> Iterator[None]:
    """Name the part, in its own words, in what fails inside."""
    try:
        yield
    except UserError as error:
        raise UserError(f"part {said}: {error}") from None
    except Exception as error:
        if out_of_memory(error):
            raise UserError(f"part {said} does not fit into memory") from None
        error.add_note(f"in part {said} of the blend")
        raise
