"""What the autoencoders of likes share: rows of 0 and 1, the multinomial loss, choosing epochs by NDCG, saving."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import keras
import numpy as np
import scipy.sparse as sp
from keras import KerasTensor
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import History, check_liked
from models.networks import export
from models.networks.columns import FromColumns, ToColumns
from models.networks.latent_model import LatentModel, check_options
from models.networks.layers import Activation, DenseLayers, Hide, Unit, plain_layers, sparse_where_few_are_filled
from models.networks.losses import multinomial
from models.networks.training_step import PRECISIONS, Adam, Count, Loss, Network, Step, any_width, on_columns
from utils.command_line.options import Sizes, UsualInt
from utils.data.ratings import likes
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import judged_users, of_sample, ranking_metrics
from utils.scoring import encoders
from utils.training import batches
from utils.training.fit import train
from utils.training.search_space import Choice, Range, tuned
from utils.training.training import EarlyStoppingCriterion, Training

USUAL_BATCH = 100


@dataclass(frozen=True)
class Config:
    """Options that all autoencoders of likes have."""

    hidden: Sizes = tuned((200,), Choice((100,), (200,), (400,), (600, 200)))
    """sizes of the hidden layers up to the latent one; the decoder mirrors them"""
    activation: Activation = tuned("tanh", Choice("tanh", "relu", "linear"))
    """of the hidden layers"""
    dropout: float = tuned(0.5, Range(0.1, 0.8))
    """share of the input hidden while training, 0 <= p < 1"""
    signed: bool = False
    """movies rated without being liked are inputs, too (default under strong-ratings: on)"""
    l2: float = 0.0
    """weight of the sum of the squared kernels in the loss"""
    learning_rate: float = tuned(1e-3, Range(2e-4, 5e-3, log=True))
    """step size of Adam"""
    batch_size: UsualInt = tuned(None, Choice(None, 50, 100, 200, 500))
    """users in a training step (default: 100, from 20,000 users on 250)"""
    epochs: int = 200
    """most epochs; of more than 75,000 users an epoch is a part of a pass over them, of about 50,000"""
    patience: int = 20
    """epochs without a better validation NDCG@100 before training stops"""
    average: float = 0.0
    """after each epoch judge and keep a moving average of the weights, in which the epochs before have this share,
    such as 0.9; 0: the weights as they are"""
    precision: PRECISIONS = "float32"
    """what the matrix products of training are computed in; bfloat16 is faster only where the processor has it"""
    sample: UsualInt = None
    """movies that a training step is computed on beside those that its users rated, which estimates the loss; 0: all
    (default: all up to 10,000 movies, 1,000 beyond)"""
    score_share: float = 1.0
    """share of the movies whose scores a training step computes, much liked ones more often; the loss is estimated from
    them. Quicker where the last layer is large, up to 10,000 movies (1: all, or those that --sample says)"""

    def __post_init__(self) -> None:
        check_options(self)
        if self.score_share is None or not 0 < self.score_share <= 1:
            raise ValueError(f"score-share must be above 0 and at most 1, got {self.score_share}")
        if self.score_share < 1 and self.sample:
            raise ValueError("sample must be 0, or not given, beside a score-share below 1")


class LikesAutoencoder(LatentModel):
    """An architecture gives `coders`; the rest is here, and what it does once it is trained in `LatentModel`.

    The input is a row of 0 and 1, what a user liked, with `signed` two of them side by side, divided by its length; the
    decoder gives logits of all movies."""

    predicts_ratings = False
    learns_likes = True
    loss: Loss = staticmethod(multinomial)

    def coders(self, unit: KerasTensor, *more: KerasTensor) -> tuple[KerasTensor, keras.Model]:
        """Build the layers: (latent tensor, decoder: a Keras model from latent vector to logits).

        unit: the input rows, divided by their length. more: the tensors of `_more_inputs`."""
        raise NotImplementedError

    def _more_inputs(self) -> list[KerasTensor]:
        """Create Keras inputs beside the rows."""
        return []

    def _hide(self, unit: KerasTensor) -> KerasTensor:
        """Hide a share of the input rows while training."""
        return Hide(self.config.dropout, seed=self.seed, name="hide")(unit)

    def _dense(
        self, units: int, activation: str, name: str, kind: type[FromColumns | ToColumns] | None = None
    ) -> keras.layers.Layer:
        """Create a dense layer, of the class `kind` where its inputs or outputs are columns, with the penalty of the
        config."""
        if kind:
            return kind(units, activation, self.config.l2, name=name)
        l2 = keras.regularizers.L2(self.config.l2) if self.config.l2 else None
        return keras.layers.Dense(units, activation, kernel_regularizer=l2, name=name)

    def _down(self, features: KerasTensor, sizes: Sequence[int]) -> KerasTensor:
        """Put dense layers of these sizes on top of a tensor."""
        for i, units in enumerate(sizes):
            kind = FromColumns if i == 0 else None
            features = self._dense(units, self.config.activation, f"encoder_{i}", kind)(features)
        return features

    def _up(self, sizes: Sequence[int]) -> keras.Model:
        """Build the decoder: dense layers of these sizes, and one to the logits."""
        decoder = keras.Sequential([keras.Input((self.config.hidden[-1],), name="latent")], name="decoder")
        for i, units in enumerate(sizes):
            decoder.add(self._dense(units, self.config.activation, f"decoder_{i}"))
        decoder.add(self._dense(self.shape[1], "linear", "logits", ToColumns))
        return decoder

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """Train with early stopping on NDCG@100 of the validation likes; see `Recommender.fit`."""
        self._build()

        judged, most = (validation, None) if training.worker else of_sample(validation)

        def ndcg() -> float:
            self._copies = {}  # the weights stand still while they are judged
            metric = ranking_metrics(self.score, judged, most)["ndcg@100"]
            self._copies = None
            total, count = training.summed([metric.total.sum(), metric.count.sum()])
            return total / count

        judge = (
            EarlyStoppingCriterion(ndcg, "val_ndcg", higher=True)
            if training.summed(len(judged_users(validation)))
            else None
        )
        history = self._train(train_matrix, self.config, training, "train", judge)
        self.chosen = self._choose(history, judge)
        return history

    def _train(
        self,
        matrix: csr_array,
        config: Any,
        training: Training,
        phase: str,
        judge: EarlyStoppingCriterion | None = None,
    ) -> History:
        """Train the network on the likes of a matrix of stars; phase: the name of its checkpoint."""
        self._copies = None
        given, judged, trained = self._network_rows(matrix), likes(matrix, self.like), np.arange(matrix.shape[0])
        check_liked(int(training.summed(judged.nnz)), self.like)

        def inputs(index: NDArray, dense: NDArray) -> Any:
            return self._inputs(given, index, trained, dense)

        step: Callable[[], Step | None] = self._step
        count: Count | None = None
        size, n = batches.size(config.batch_size, len(trained), USUAL_BATCH), self.shape[1]
        drawn = given[np.flatnonzero(np.diff(judged.indptr))]
        sampler: batches.ColumnSampler | batches.ScoreSampler | None
        if (share := getattr(config, "score_share", 1)) < 1:
            sampler = batches.ScoreSampler(judged, share, self.seed)
        else:
            sampler = batches.sampler(config, drawn, n, size, self.seed, counts_all=True, summed=training.summed)
        columns = n if sampler else 0
        if training.worker:
            if isinstance(sampler, batches.ScoreSampler):
                raise ValueError("score_share is for a training by one process")
            filled = training.summed(np.diff(judged.indptr))
            epoch = batches.shared(given, judged, filled, size, self.seed, inputs, columns)
            step = partial(training.worker.step, self.network, sampler, on_columns)
            count = lambda x, _: x[2]  # users of the whole batch  # noqa: E731
        else:
            epoch = batches.rows(given, judged, size, self.seed, inputs, sampler)
        self.training_notes = batches.describe(size, len(trained), sampler)
        sparse_where_few_are_filled(self.encoder, given)
        precision = getattr(config, "precision", "float32")
        all_given = sampler is not None and sampler.all_given
        self.network.compile(
            self._optimizer(config), step, count, precision, columns, all_given=all_given, loss=self.loss
        )
        history = train(
            self.network, self._batches(epoch.in_parts(len(trained))), config, training, phase, judge, self._callbacks()
        )
        self._copies = {}
        return history

    def _optimizer(self, config: Any) -> keras.optimizers.Optimizer:
        return Adam(config.learning_rate)

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        """Create the callbacks that a training has beside those of all."""
        return []

    def _batches(self, epoch: batches.Epochs) -> batches.Epochs:
        """Make the batches of an epoch from those of one pass over all rows."""
        return epoch

    def _step(self) -> Step | None:
        """Make the function that trains on a batch; None for a step along the gradients."""
        return None

    def _build(self, matrix: csr_array | None = None) -> None:
        """See `LatentModel`; what is liked plays no part in it."""
        self._copies = None
        keras.utils.set_random_seed(self.seed)
        given = keras.Input((self.shape[1] * (2 if self.config.signed else 1),), name="given")
        unit = Unit(name="unit")(given)
        inputs = [given, *self._more_inputs()]
        latent, self.decoder = self.coders(unit, *inputs[1:])
        inputs = inputs if len(inputs) > 1 else given
        self.encoder = keras.Model(inputs, latent, name="encoder")
        self.network = Network(inputs, self.decoder(latent), name="autoencoder")
        any_width(self.encoder, self.network)

    # -- using ---------------------------------------------------------------------------------------------------

    def _network_rows(self, stars: csr_array) -> csr_array:
        return likes(stars, self.like, self.config.signed)

    def _plain_encoder(self) -> encoders.OfLikes | None:
        layers = self._plain_layers()
        return encoders.OfLikes(layers, self.shape[1], self.like, self.config.signed) if layers else None

    def _plain_layers(self, *passing: type) -> DenseLayers | None:
        """Return the dense layers of the encoder; None where it has others, apart from those of classes `passing`."""
        return plain_layers(self.encoder, Unit, Hide, *passing)

    def _column_vectors(self) -> NDArray[np.float32]:
        """Return the latent vectors of all movies: that of a user who liked only the movie, less that of a user who
        liked none."""
        alone = sp.eye_array(self.shape[1], format="csr", dtype=np.float32)
        alone.data[:] = self.like + 1
        return self._encode(alone) - self._encode(cast(csr_array, sp.csr_array((1, self.shape[1]), dtype=np.float32)))

    def exported(self, stars: KerasTensor) -> dict[str, KerasTensor]:
        """Compute logits and latent vectors in Keras operations; see `Recommender.exported`."""
        given = export.inputs(stars, self.like, self.config.signed)
        latent = self.encoder(self._stranger(given), training=False)
        return {"scores": self.decoder(latent, training=False), "latent": latent}

    def _stranger(self, given: KerasTensor) -> KerasTensor | list[KerasTensor]:
        """Return the inputs of the encoder for rows of people who were not trained on."""
        return given
