"""Train with several workers, on one machine or on many. Ray starts them, and all of them again after one dies;
TensorFlow's MultiWorkerMirroredStrategy adds up their gradients.

Every worker runs `utils.training.fit` on the ratings of its own users (`shards`) and the same batches as one process
(`batch_share`). The first writes the checkpoints: all resume from them after a fault, and the process that asked for
the training reads the weights from the last. They lie beside the run folder, on storage that all machines see."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial, reduce
from multiprocessing.pool import AsyncResult, ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.data.splits import Subset
from utils.distributed import cluster, shards
from utils.errors import UserError
from utils.runs.paths import is_file
from utils.training.checkpoint import progress
from utils.training.display import bar
from utils.training.training import Training

if TYPE_CHECKING:
    from keras import Model
    from scipy.sparse import csr_array

    from utils.data.splits import Split
    from utils.scoring.protocols import TrainableModel
    from utils.training.batches import ColumnSampler

Step: TypeAlias = "Callable[[Any, Any], Any]"  # (the worker's share of a batch, what is judged of it) -> loss
Gram: TypeAlias = "Callable[[csr_array], NDArray[np.float64]]"  # a matrix of ratings to its gram matrix

SHARDS_A_WORKER = 4
FAULTS = 10  # deaths of workers after which the training ends
FAILED = "failed"  # file in which a worker writes why it gave up
GONE = ("Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "Internal")  # errors: another worker is gone


class Workers:
    """The training of the model `name` by `n` workers. folder: of the shards, deleted afterwards. restore:
    `models.restore`, with which a worker builds the model."""

    def __init__(self, name: str, n: int, folder: Path, restore: Callable[[dict[str, Any]], TrainableModel]) -> None:
        self.name, self.n, self.folder, self.restore = name, n, folder.resolve(), restore
        self.parts: Sequence[Subset] = (Subset.TRAIN,)  # of the split, whose ratings `gram` takes

    @contextlib.contextmanager
    def sharded(self, split: Split) -> Iterator[None]:
        """Write the `Split` into shards, and delete them at the end."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shards.write(self.folder, split, SHARDS_A_WORKER * self.n)
        try:
            yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def train(self, model: TrainableModel, training: Training, refit: bool) -> None:
        """Let the workers train; `model.fit` and `model.refit` then find the checkpoints of a finished training."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer

        if training.checkpoints is None:
            raise ValueError("what workers have learned is read from checkpoints")
        (self.folder / FAILED).unlink(missing_ok=True)
        job = {
            "restore": self.restore,
            "about": {"model": self.name, "options": asdict(model.config), "seed": model.seed},
            "refit": refit,
            "shards": str(self.folder),
            "checkpoints": str(training.checkpoints.resolve()),
            "checkpoint_every": training.checkpoint_every,
            "signature": training.signature,
        }
        failures, storage = FailureConfig(max_failures=FAULTS), str(self.folder / "ray")
        config = RunConfig(storage_path=storage, failure_config=failures)
        scaling = ScalingConfig(num_workers=self.n)
        trainer = TensorflowTrainer(work, train_loop_config=job, scaling_config=scaling, run_config=config)
        try:
            fitted = ThreadPool(1).apply_async(trainer.fit)  # in a daemon thread, which Ctrl-C does not wait for
            _show(fitted, training, model.config.epochs)
            fitted.get()
        except Exception as error:  # Ray's, about the error of the last worker
            raise UserError(f"the workers failed: {str(error).splitlines()[0]}") from None
        training.show = False  # reading the weights needs no progress bar
        if is_file(self.folder / FAILED):
            reason = (self.folder / FAILED).read_text(encoding="utf-8")
            raise (RuntimeError if reason.startswith("Traceback") else UserError)(reason)

    def gram(self, gram: Gram) -> NDArray[np.float64]:
        """Return the sum of the gram matrices of all shards; each worker computes that of its own."""
        import ray

        remote = ray.remote(_gram)
        jobs = [remote.remote(self.folder, rank, self.n, self.parts, gram) for rank in range(self.n)]
        with cluster.ray_errors():
            return reduce(np.add, map(ray.get, jobs))


def _show(fitted: AsyncResult[Any], training: Training, epochs: int) -> None:
    """Show a progress bar for each phase of the training until `fitted` is ready; epochs: the most of the first."""
    with contextlib.ExitStack() as last:
        bars = {"train": last.enter_context(bar(training, "train", epochs))}
        while not fitted.ready():
            fitted.wait(1)
            phases = progress(training.checkpoints) if training.checkpoints else {}
            for phase, state in phases.items():
                if phase not in bars:
                    last.close()  # the bar of the phase before
                    bars[phase] = last.enter_context(bar(training, phase, state["epochs"]))
                n, row = len(state["history"]), state["history"][-1]
                figures = [f"{name} {value:.4f}" for name, value in row.items() if name not in ("epoch", "seconds")]
                bars[phase](n, "  ".join([f"epoch {n}/{state['epochs']}", *figures]))


def _gram(folder: Path, rank: int, n: int, parts: Sequence[Subset], gram: Gram) -> NDArray[np.float64]:
    """Compute the gram matrix of the ratings in a worker's shards that belong to these parts of the split."""
    split, _ = shards.read_own(folder, rank, n)
    return gram(split.ratings.matrix(np.isin(split.part, parts)))


def work(job: dict[str, Any]) -> None:
    """Train on the ratings of the worker's own users; this is what Ray runs in each worker."""
    import ray.train
    import tensorflow as tf

    folder, context = Path(job["shards"]), ray.train.get_context()
    if is_file(folder / FAILED):  # it would fail again
        return
    rank, n = context.get_world_rank(), context.get_world_size()
    try:
        split, candidates = shards.read_own(folder, rank, n)
        ratings = split.ratings
        model = job["restore"](job["about"] | {"shape": ratings.shape, "scale": ratings.scale, "like": ratings.like})
        checkpoints, every = Path(job["checkpoints"]), job["checkpoint_every"]
        training = Training(checkpoints, every, signature=job["signature"], worker=Worker(rank, n))
        model.fit(split.train, replace(split.validation, candidates=candidates), training)
        if job["refit"] and not training.failed:
            model.refit(split.refit, training)
    except Exception as error:
        if not isinstance(error, tuple(getattr(tf.errors, f"{name}Error") for name in GONE)):
            reason = str(error) if isinstance(error, UserError) else traceback.format_exc()
            (folder / FAILED).write_text(reason, encoding="utf-8")
        raise


class Worker:
    """One of `n` workers, which add up their numbers and gradients."""

    def __init__(self, rank: int, n: int) -> None:
        import tensorflow as tf

        self.first, self.n = rank == 0, n
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._sum = tf.function(self._added, autograph=False)

    def summed(self, values: ArrayLike) -> NDArray:
        """Return the sum of each number over the workers."""
        return self._sum(np.asarray(values)).numpy()

    def _added(self, tensors: Any) -> Any:
        """Sum tensors over the workers."""
        return self.strategy.run(_all_reduce, args=(tensors,))

    def step(self, network: Model, sampler: ColumnSampler | None, on_columns: Callable[..., Step]) -> Step:
        """Make the function that trains a compiled network on a batch of which each worker has a share, as `shared` of
        `utils.training.batches` gives it. sampler: chooses the columns that a batch is computed on; all where None.
        on_columns: `models.networks.training_step.on_columns`."""
        import tensorflow as tf
        from keras import tree

        network.optimizer.build(network.trainable_variables)
        step = self._on_columns(network, sampler, on_columns) if sampler else self._on_all(network)
        given, judged = ((None,), (None,)) if sampler else (network.input_shape[1:], network.output_shape[1:])
        number, places = tf.TensorSpec((), tf.int32), tf.TensorSpec((None,), tf.int32)
        specs = [tf.TensorSpec((None, *given)), places, number, *([places, number, number] if sampler else [])]

        @tf.function(input_signature=[specs, tf.TensorSpec((None, *judged))], autograph=False)
        def update(x: Any, targets: Any) -> Any:
            return step(x, targets)

        return lambda x, targets: update(tree.flatten(x), targets)

    def _loss(self, network: Model, **batch: Any) -> Any:
        """Return this worker's share of loss and penalties. Every worker adds the penalties of regularizers whole, and
        they count once; other layers add `batch_share.share_of` theirs."""
        layers = [layer for layer in network._flatten_layers() if getattr(layer, "kernel_regularizer", None)]
        penalties = sum(layer.kernel_regularizer(layer.kernel) for layer in layers)
        return network.compute_loss(**batch) - penalties * (1 - 1 / self.n)

    def _on_all(self, network: Model) -> Step:
        import tensorflow as tf

        from utils.distributed import batch_share

        weights = network.trainable_variables

        def step(x: Any, targets: Any) -> Any:
            inputs, at, rows = x
            with tf.GradientTape() as tape, batch_share.sharing(rows, at, self.n):
                loss = self._loss(network, x=inputs, y=targets, y_pred=network(inputs, training=True), training=True)
            loss, *slopes = self._added([loss, *tape.gradient(loss, [weight.value for weight in weights])])
            network.optimizer.apply(slopes, weights)
            return loss

        return step

    def _on_columns(self, network: Model, sampler: ColumnSampler, on_columns: Callable[..., Step]) -> Step:
        """Make the step on the columns that occur in the whole batch, which the workers tell each other, and a sample
        of others. Of weights that have a row for each column the workers send the gradients of these rows."""
        import tensorflow as tf

        from utils.distributed import batch_share

        def choose(occurs: NDArray, epoch: Any, step: Any) -> tuple[NDArray, ...]:
            return sampler.with_sample(occurs > 0, int(epoch), int(step)).arrays

        own_step = on_columns(network, sampler.n, partial(self._loss, network), network.optimizer, summed=self._added)
        blocks = network.input_shape[1] // sampler.n

        def step(x: Any, targets: Any) -> Any:
            inputs, at, rows, own, epoch, number = x
            occurs = tf.scatter_nd(own[:, None], tf.ones(tf.shape(own)), [sampler.n])
            types = (tf.int32, tf.float32, tf.float32)
            arrays = tf.numpy_function(choose, [self._added(occurs), epoch, number], types)
            for array in arrays:
                array.set_shape((None,))
            place = tf.scatter_nd(own[:, None], tf.range(1, tf.size(own) + 1), [sampler.n])
            spread = partial(_spread, place=tf.gather(place, arrays[0]))
            with batch_share.sharing(rows, at, self.n):
                return own_step((spread(inputs, blocks), *arrays), spread(targets, 1))

        return step


def _spread(rows: Any, blocks: int, place: Any) -> Any:
    """Put rows of blocks of own columns, (n, blocks x m), into blocks of the columns of the batch. place: of each of
    these among the own, from 1; 0 where it is not one of them, and its cells are 0."""
    import tensorflow as tf

    n, m = tf.shape(rows)[0], tf.shape(rows)[1] // blocks
    padded = tf.pad(tf.reshape(rows, (n, blocks, m)), ((0, 0), (0, 0), (1, 0)))
    return tf.reshape(tf.gather(padded, place, axis=2), (n, blocks * tf.size(place)))


def _all_reduce(values: Any) -> Any:
    """Sum tensors over the workers."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce("sum", tf.nest.map_structure(tf.identity, values))
