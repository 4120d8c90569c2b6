"""What the autoencoders of likes share: rows of 0 and 1, the multinomial loss, choosing epochs by NDCG, saving."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import keras
import numpy as np
import scipy.sparse as sp

from models.base import Recommender, check_liked
from models.networks import export, sampled_softmax
from models.networks.layers import Hide, dense_layers, plain_layers
from models.networks.losses import multinomial
from models.networks.optimizers import PRECISIONS, Adam, computed_in
from utils.command_line.options import Sizes
from utils.data.ratings import likes, signed_likes
from utils.evaluation.holdout_metrics import judged_users, ranking_metrics
from utils.scoring import encoders
from utils.scoring.latent import ACTIVATIONS, LatentSpace
from utils.training import batches
from utils.training.loop import DivergedError, Judge, own_step, train
from utils.training.search_space import Among, Between, tuned

BLOCK = 512  # rows made dense at a time outside training


@dataclass(frozen=True)
class Config:
    """Options that all autoencoders of likes have."""

    hidden: Sizes = tuned((200,), Among((100,), (200,), (400,), (600, 200)))
    """sizes of the hidden layers up to the latent one; the decoder mirrors them"""
    activation: Literal[ACTIVATIONS] = tuned("tanh", Among("tanh", "relu", "linear"))
    """of the hidden layers"""
    dropout: float = tuned(0.5, Between(0.1, 0.8))
    """share of the input hidden while training, 0 <= p < 1"""
    signed: bool = False
    """movies rated without being liked are inputs, too (default under strong-ratings: on)"""
    l2: float = 0.0
    """weight of the sum of the squared kernels in the loss"""
    learning_rate: float = tuned(1e-3, Between(2e-4, 5e-3, log=True))
    """step size of Adam"""
    batch_size: int = tuned(100, Among(50, 100, 200, 500))
    """users in a training step"""
    epochs: int = 200
    """most epochs"""
    patience: int = 20
    """epochs without a better validation NDCG@100 before training stops"""
    precision: PRECISIONS = "float32"
    """what the matrix products of training are computed in; bfloat16 is faster only where the processor has it"""

    def __post_init__(self):
        check(self)
        if not 0 <= self.l2 < np.inf:
            raise ValueError("l2 must not be negative")


@dataclass(frozen=True)
class Sampled(Config):
    """Options of those whose loss can be estimated from a sample of the movies."""

    sample: int = 0
    """movies computed with in a training step beside those that occur in it, for catalogues of 50,000 movies and more;
    0: all of them"""

    def __post_init__(self):
        super().__post_init__()
        if self.sample < 0:
            raise ValueError(f"sample must not be negative, got {self.sample}")


def check(config):
    """Refuse values that no autoencoder of likes can be trained with."""
    if not config.hidden or min(config.hidden) < 1:
        raise ValueError(f"hidden sizes must be 1 or more, got {config.hidden}")
    if not 0 <= config.dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {config.dropout}")
    if min(config.batch_size, config.epochs, config.patience) < 1:
        raise ValueError("batch-size, epochs and patience must be 1 or more")
    if not 0 < config.learning_rate < np.inf:
        raise ValueError("learning-rate must be above 0")


class LikesAutoencoder(Recommender):
    """An architecture gives `coders`; the rest is here.

    Three Keras models share their layers: `encoder` (what a user liked -> latent vector), `decoder` (latent vector ->
    logits of all movies) and `network` (what a user liked -> logits). What goes in is a row of 0 and 1, with `signed`
    two of them side by side, divided by its length."""

    predicts_ratings = False
    learns_likes = True
    has_latent_space = True
    loss = staticmethod(multinomial)
    encoder = decoder = network = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.chosen = {}  # the options that `fit` chose

    def coders(self, unit, *more):
        """(latent tensor made of the tensors of the inputs, decoder: a Keras model from latent to logits)."""
        raise NotImplementedError

    def _more_inputs(self):
        """Keras inputs beside the rows, which `coders` gets, too."""
        return []

    def _hide(self, unit):
        """The input rows, a share of them hidden while training."""
        return Hide(self.config.dropout, seed=self.seed, name="hide")(unit)

    def _dense(self, units, activation, name, kind=keras.layers.Dense):
        l2 = keras.regularizers.L2(self.config.l2) if self.config.l2 else None
        return kind(units, activation, kernel_regularizer=l2, name=name)

    def _down(self, features, sizes):
        for i, units in enumerate(sizes):
            kind = sampled_softmax.FromMovies if i == 0 else keras.layers.Dense
            features = self._dense(units, self.config.activation, f"encoder_{i}", kind)(features)
        return features

    def _up(self, sizes):
        decoder = keras.Sequential([keras.Input((self.config.hidden[-1],), name="latent")], name="decoder")
        for i, units in enumerate(sizes):
            decoder.add(self._dense(units, self.config.activation, f"decoder_{i}"))
        decoder.add(self._dense(self.shape[1], "linear", "logits", sampled_softmax.ToMovies))
        return decoder

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix, validation, training):
        """See `Recommender.fit`: early stopping on NDCG@100 of the validation likes."""
        self._build()

        def ndcg():
            found = ranking_metrics(self.score, validation)["ndcg@100"]
            total, count = training.summed([found.total.sum(), found.count.sum()])
            return total / count

        judge = Judge(ndcg, "val_ndcg", higher=True) if training.summed(len(judged_users(validation))) else None
        history = self._train(train_matrix, self.config, training, "train", judge)
        self.chosen = {"epochs": judge.best(history)["epoch"] if judge else len(history)}
        return history

    def refit(self, matrix, training):
        """See `Recommender.refit`: as many epochs as were best for `fit`. Interrupted, what `fit` left is kept."""
        kept, history = (self.encoder, self.decoder, self.network), []
        self._build()
        try:
            history = self._train(matrix, replace(self.config, **self.chosen), training, "refit")
        except (KeyboardInterrupt, DivergedError) as error:  # before its first epoch was over
            training.stop(error)
        if training.interrupted:
            self.encoder, self.decoder, self.network = kept
        return history

    def _train(self, matrix, config, training, phase, judge=None):
        given, judged = self._given(matrix), likes(matrix, self.like)
        check_liked(training.summed(judged.nnz), self.like)
        inputs = partial(self._inputs, given, np.arange(matrix.shape[0]))
        self.network.compile(self._optimizer(config), loss=self.loss, jit_compile=False)
        if training.worker:
            filled = training.summed(np.diff(judged.indptr))
            epoch = batches.shared(judged, filled, config.batch_size, self.seed, inputs)
            step = training.worker.step(self.network, self.loss)
        else:
            epoch = self._batches(batches.rows(judged, config.batch_size, self.seed, inputs))
            step = self._step()
            if getattr(config, "sample", 0):
                epoch, step = (
                    sampled_softmax.sampling(epoch, config.sample, self.seed),
                    sampled_softmax.step(self.network),
                )
        step = computed_in(getattr(config, "precision", "float32"), step, self.network)
        counted = (lambda x, _: x[2]) if training.worker else None  # users of the whole batch, of all workers
        return train(
            self.network, epoch, config.epochs, training, phase, judge,
            patience=config.patience, step=step, counted=counted,
        )  # fmt: skip

    def _optimizer(self, config):
        return Adam(config.learning_rate)

    def _batches(self, epoch):
        """What an epoch trains on, from one pass over all rows."""
        return epoch

    def _step(self):
        """The function (given, judged) -> loss that trains on a batch."""
        return own_step(self.network)

    def _build(self):
        """Fresh networks from the seed."""
        keras.utils.set_random_seed(self.seed)
        given = keras.Input((self.shape[1] * (2 if self.config.signed else 1),), name="given")
        unit = keras.layers.UnitNormalization(name="unit")(given)
        inputs = [given, *self._more_inputs()]
        latent, self.decoder = self.coders(unit, *inputs[1:])
        inputs = inputs if len(inputs) > 1 else given
        self.encoder = keras.Model(inputs, latent, name="encoder")
        self.network = keras.Model(inputs, self.decoder(latent), name="autoencoder")

    # -- using ---------------------------------------------------------------------------------------------------

    def score(self, given, users=None):
        """Logits of every movie, float32 (n, n_movies)."""
        return self._apply(self.decoder, given, users)

    def encode(self, given, users=None):
        """Latent vectors of users, float32 (n, latent)."""
        return self._apply(lambda codes, **_: codes, given, users)

    def movie_vectors(self):
        """Latent vectors of all movies, float32 (n_movies, latent): where a user lands who liked only that movie, less
        where one lands who liked none."""
        return self.latent.movies

    def _given(self, matrix):
        return (signed_likes if self.config.signed else likes)(matrix, self.like)

    def _inputs(self, given, users, index):
        """What encoder and network take for the rows `index` of the CSR matrix `given`, those of the users `users` of
        the training matrix, or of strangers where that is None."""
        return given[index].toarray()

    def _apply(self, last, given, users):
        given, found = self._given(given), []
        for start in range(0, max(given.shape[0], 1), BLOCK):
            index = np.arange(start, min(start + BLOCK, given.shape[0]))
            codes = self.encoder(self._inputs(given, users, index), training=False)
            found.append(keras.ops.convert_to_numpy(last(codes, training=False)))
        return np.concatenate(found)

    def exported(self, stars):
        """See `Recommender.exported`."""
        given = export.inputs(stars, self.like, self.config.signed)
        latent = self.encoder(self._stranger(given), training=False)
        return {"scores": self.decoder(latent, training=False), "latent": latent}

    def _stranger(self, given):
        """What the encoder takes for rows, as a tensor, of those who were not trained on."""
        return given

    def remember(self, known):
        """Encode users and movies."""
        alone = sp.eye_array(self.shape[1], format="csr", dtype=np.float32) * (self.like + 1)
        nothing = sp.csr_array((1, self.shape[1]), dtype=np.float32)
        movies = self.encode(alone) - self.encode(nothing)
        users = self.encode(known, np.arange(self.shape[0]))
        self.latent = LatentSpace(users, movies, None, dense_layers(self.decoder), "users")

    # -- saving --------------------------------------------------------------------------------------------------

    def _plain_layers(self, *passing):
        """The dense layers of the encoder; None where it is more than these."""
        return plain_layers(self.encoder, keras.layers.UnitNormalization, keras.layers.Dropout, Hide, *passing)

    def save(self, folder):
        """encoder.keras and decoder.keras; latent.npz and, of most models, encoder.npz, which answer without Keras."""
        self.encoder.save(folder / "encoder.keras")
        self.decoder.save(folder / "decoder.keras")
        self.latent.save(folder / "latent.npz")
        if layers := self._plain_layers():
            plain = encoders.OfLikes(layers, self.shape[1], self.like, self.config.signed)
            encoders.save(folder / "encoder.npz", plain)

    def load(self, run):
        """Read them back; `.keras` in safe mode, so that no code comes with the weights."""
        self.encoder = keras.models.load_model(run.path("encoder.keras"), safe_mode=True)
        self.decoder = keras.models.load_model(run.path("decoder.keras"), safe_mode=True)
        self.latent = LatentSpace.load(run)
