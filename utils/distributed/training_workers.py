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
from functools import reduce
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
        self._sum = tf.function(lambda values: self.strategy.run(_all_reduce, args=(values,)), autograph=False)

    def summed(self, values: ArrayLike) -> NDArray:
        """Return the sum of each number over the workers."""
        return self._sum(np.asarray(values)).numpy()

    def step(self, network: Model, loss_of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Make the function that trains a compiled network on a batch of which each worker has a share. It takes
        ((inputs, places of the worker's rows in the batch, rows of the batch), targets) and returns the loss."""
        import tensorflow as tf

        from utils.distributed import batch_share

        weights = network.trainable_variables
        network.optimizer.build(weights)
        regularized = [layer for layer in network._flatten_layers() if getattr(layer, "kernel_regularizer", None)]

        def gradients(inputs: Any, at: Any, rows: Any, targets: Any) -> list[Any]:
            with tf.GradientTape() as tape, batch_share.sharing(rows, at, self.n):
                loss = loss_of(targets, network(inputs, training=True))
                penalties = [layer.kernel_regularizer(layer.kernel) for layer in regularized]
                # every worker adds these whole, and they count once; other layers add `batch_share.share_of` theirs
                loss = tf.add_n([loss, *network.losses]) - sum(penalties) * (1 - 1 / self.n)
            return _all_reduce([loss, *tape.gradient(loss, [weight.value for weight in weights])])

        inputs_spec, targets_spec = (tf.TensorSpec((None, s[1])) for s in (network.input_shape, network.output_shape))
        places_spec, rows_spec = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)

        @tf.function(input_signature=[inputs_spec, places_spec, rows_spec, targets_spec], autograph=False)
        def update(inputs: Any, at: Any, rows: Any, targets: Any) -> Any:
            loss, *slopes = self.strategy.run(gradients, args=(inputs, at, rows, targets))
            network.optimizer.apply(slopes, weights)
            return loss

        return lambda x, targets: update(*x, targets)


def _all_reduce(values: Any) -> Any:
    """Sum tensors over the workers."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce("sum", tf.nest.map_structure(tf.identity, values))
