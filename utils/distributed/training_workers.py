"""Training by several workers, on one machine or on many: Ray starts them and, where one dies, all of them again;
TensorFlow's MultiWorkerMirroredStrategy adds up their gradients.

Every worker goes through the loop of `utils.training.fit` with the ratings of its own users (`shards`) and the same
batches as one process alone (`batch_share`); the first writes the checkpoints, from which all go on after a fault, and
from the last of which the process that asked for the training takes what was learned. The checkpoints and shards lie
beside the run folder, on storage that all machines see."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

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
    from keras import KerasTensor, Model
    from scipy.sparse import csr_array

    from utils.data.splits import Split
    from utils.scoring.protocols import TrainableModel

SHARDS_A_WORKER = 4
FAULTS = 10  # after so many deaths of workers the training ends


class GramModel(Protocol):
    """A model that is computed from a gram matrix."""

    def gram(self, matrix: csr_array) -> NDArray[np.float64]:
        """Return the gram matrix of the ratings of some users, which add up."""


class Workers:
    """What asks for a training of the model `name` by `n` workers. folder: where shards lie while it lasts. restore:
    `models.restore`, by which a worker builds the model."""

    def __init__(self, name: str, n: int, folder: Path, restore: Callable[[dict[str, Any]], TrainableModel]) -> None:
        self.name, self.n, self.folder, self.restore = name, n, folder, restore
        self.parts: Sequence[Subset] = (Subset.TRAIN,)  # of the split, whose ratings count

    @contextlib.contextmanager
    def sharded(self, split: Split) -> Iterator[None]:
        """Keep the `Split` in shards within."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shards.write(self.folder, split, SHARDS_A_WORKER * self.n)
        try:
            yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def train(self, model: TrainableModel, training: Training, refit: bool) -> None:
        """Let them train; `model.fit` and `model.refit` then find the checkpoints of a training that is over."""
        if training.checkpoints is None:
            raise ValueError("what workers have learned is read from checkpoints")
        (self.folder / "failed").unlink(missing_ok=True)
        job = self._job(model, training, refit) | {"checkpoints": str(training.checkpoints.resolve())}
        trainer = self._trainer(job)
        try:
            done = _aside(trainer.fit)
            _show(done, training, model.config.epochs)
            done.result()
        except Exception as error:  # what Ray makes of whatever ended the last worker
            raise UserError(f"the workers failed: {str(error).splitlines()[0]}") from None
        training.show = False  # what is left is to read what they have learned
        if reason := _reason(self.folder):
            raise (RuntimeError if reason.startswith("Traceback") else UserError)(reason)

    def _job(self, model: TrainableModel, training: Training, refit: bool) -> dict[str, Any]:
        """Return what `work` is told, without the folder of the checkpoints."""
        about = {"model": self.name, "options": asdict(model.config), "seed": model.seed}
        job: dict[str, Any] = {"restore": self.restore, "about": about, "refit": refit}
        job |= {"shards": str(self.folder.resolve()), "checkpoint_every": training.checkpoint_every}
        return job | {"signature": training.signature}

    def _trainer(self, job: dict[str, Any]) -> Any:
        """Return Ray's trainer, which starts the workers and starts them again where one dies."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer

        return TensorflowTrainer(
            work,
            train_loop_config=job,
            scaling_config=ScalingConfig(num_workers=self.n),
            run_config=RunConfig(
                storage_path=str(self.folder.resolve() / "ray"), failure_config=FailureConfig(max_failures=FAULTS)
            ),
        )

    def gram(self, model: GramModel) -> NDArray[np.float64]:
        """Return the sum of `model.gram` over the shards, of which each worker adds up its own."""
        import ray

        gram, folder = ray.remote(_gram), str(self.folder.resolve())
        begun = [gram.remote(folder, rank, self.n, self.parts, model) for rank in range(self.n)]
        with cluster.ray_errors():
            return sum(ray.get(one) for one in begun)


def _aside(function: Callable[[], Any]) -> Future[Any]:
    """Return the future of a function that is called in a thread of its own, which nothing waits for: Ctrl-C ends
    both."""
    done: Future[Any] = Future()

    def call() -> None:
        try:
            done.set_result(function())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=call, daemon=True).start()
    return done


def _show(done: Future[Any], training: Training, epochs: int) -> None:
    """Show a progress bar a phase of what the workers have written, until their future is done; epochs: at most, of the
    first."""
    with contextlib.ExitStack() as last:
        bars = {"train": last.enter_context(bar(training, "train", epochs))}
        while not done.done():
            wait([done], timeout=1)
            known = progress(training.checkpoints) if training.checkpoints else {}
            for phase, written in known.items():
                if phase not in bars:
                    last.close()  # the phase before is over
                    bars[phase] = last.enter_context(bar(training, phase, written["epochs"]))
                _move(bars[phase], **written)


def _move(move: Callable[[int, str], None], epochs: int, history: list[dict[str, Any]]) -> None:
    """Move a bar to where a phase is."""
    figures = {name: value for name, value in history[-1].items() if name not in ("epoch", "seconds")}
    facts = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
    move(len(history), f"epoch {len(history)}/{epochs}  {facts}")


def _reason(folder: Path) -> str:
    """Read what a worker wrote before it gave up."""
    path = folder / "failed"
    return path.read_text(encoding="utf-8") if is_file(path) else ""


def _gram(folder: str, rank: int, n: int, parts: Sequence[Subset], model: GramModel) -> NDArray[np.float64]:
    """Compute the gram matrix of the ratings of these parts in the shards of a worker."""
    split, _ = shards.own(Path(folder), rank, n)
    return model.gram(split.ratings.matrix(np.isin(split.part, parts)))


def work(job: dict[str, Any]) -> None:
    """Do what a worker does: train on the ratings of its own users."""
    import ray.train

    folder, context = Path(job["shards"]), ray.train.get_context()
    if _reason(folder):  # it would fail again
        return
    try:
        split, candidates = shards.own(folder, context.get_world_rank(), context.get_world_size())
        worker = Worker(context.get_world_rank(), context.get_world_size())
        ratings = split.ratings
        about = {"shape": ratings.shape, "scale": ratings.scale, "like": ratings.like}
        model = job["restore"](job["about"] | about)
        training = Training(
            Path(job["checkpoints"]), job["checkpoint_every"], signature=job["signature"], worker=worker
        )
        model.fit(split.train, replace(split.validation, candidates=candidates), training)
        if job["refit"] and not training.failed:
            model.refit(split.refit, training)
    except Exception as error:
        if not _of_another(error):
            said = str(error) if isinstance(error, UserError) else traceback.format_exc()
            (folder / "failed").write_text(said, encoding="utf-8")
        raise


def _of_another(error: BaseException) -> bool:
    """Tell whether an error is that another worker is gone, after which all start again."""
    import tensorflow as tf

    gone = ("Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "Internal")
    return isinstance(error, tuple(getattr(tf.errors, f"{name}Error") for name in gone))


class Worker:
    """One of `n` workers, which add up what each has."""

    def __init__(self, rank: int, n: int) -> None:
        import tensorflow as tf

        self.first, self.n = rank == 0, n
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._sum = tf.function(self._summed)

    def _summed(self, values: KerasTensor) -> KerasTensor:
        import tensorflow as tf

        def add(values: KerasTensor) -> KerasTensor:
            return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(values))

        return self.strategy.run(add, args=(values,))

    def summed(self, values: ArrayLike) -> NDArray:
        """Return numbers, summed over the workers."""
        return self._sum(np.asarray(values)).numpy()

    def step(self, network: Model, loss_of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Make the function ((given, places of the own rows, rows of the batch), judged) -> loss that trains a compiled
        network on a batch of which all workers have a share."""
        import tensorflow as tf

        from utils.distributed import batch_share

        weights = network.trainable_variables
        network.optimizer.build(weights)

        def gradients(given: Any, at: Any, rows: Any, judged: Any) -> list[Any]:
            with tf.GradientTape() as tape, batch_share.of(rows, at):
                own = loss_of(judged, network(given, training=True))
                penalty = tf.add_n([tf.zeros(()), *_penalties(network)])
                # a penalty on the weights is among the losses of every worker, and counts once
                own = tf.add_n([own, *network.losses]) - penalty * (1 - 1 / self.n)
            found = tape.gradient(own, [weight.value for weight in weights])
            return tf.distribute.get_replica_context().all_reduce("sum", [own, *found])

        shapes = [tf.TensorSpec((None, shape[1])) for shape in (network.input_shape, network.output_shape)]

        @tf.function(
            input_signature=[shapes[0], tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32), shapes[1]]
        )
        def update(given: Any, at: Any, rows: Any, judged: Any) -> Any:
            loss, *found = self.strategy.run(gradients, args=(given, at, rows, judged))
            network.optimizer.apply(found, weights)
            return loss

        def step(x: tuple[Any, Any, Any], judged: Any) -> Any:
            given, at, rows = x
            return update(given, at, rows, judged)

        return step


def _penalties(network: Model) -> list[Any]:
    """Return what the kernel regularizers of a network's layers add to its losses."""
    layers = [layer for layer in network._flatten_layers() if getattr(layer, "kernel_regularizer", None)]
    return [layer.kernel_regularizer(layer.kernel) for layer in layers]
