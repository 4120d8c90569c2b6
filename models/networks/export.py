"""A trained model as one graph for other programs: rows of stars in, scores of all movies and latent vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.data.ratings import like_blocks
from utils.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import tensorflow as tf
    from keras import KerasTensor

    from models.base import Recommender

OPSET = 18  # of ONNX
MOST = 1_900_000_000  # bytes of constants in a graph, as Protocol Buffers have it


def save(model: Recommender, to: str, folder: Path) -> None:
    """Write the graph of a trained model into a folder, as model.onnx where `to` is "onnx", otherwise as a SavedModel
    in 1/, a version as TensorFlow Serving wants it.

    Its input `ratings` is (n, n_movies) float32, stars and 0 where not rated; its outputs are `scores`, (n, n_movies),
    what the model ranks by, and with a latent space `latent`, (n, latent). A `UserError` where it would be too large or
    packages are missing."""
    import tensorflow as tf

    if (held := getattr(model, "held", 0)) > MOST:
        raise UserError(f"{held / 1e9:.1f} GB of weights are more than a graph holds; an autoencoder can be exported")
    spec = tf.TensorSpec((None, model.shape[1]), tf.float32, name="ratings")
    answer = tf.function(model.exported, input_signature=[spec], autograph=False)
    if to == "onnx":
        try:
            import tf2onnx
        except ImportError:
            raise UserError("ONNX takes more packages: pip install -r requirements-scale.txt") from None
        tf2onnx.convert.from_function(answer, [spec], opset=OPSET, output_path=str(folder / "model.onnx"))
        return
    module = tf.Module()
    module.answer, module.kept = answer, _variables(answer)
    tf.saved_model.save(module, str(folder / "1"), {"serving_default": answer})


def inputs(stars: KerasTensor, like: float, signed: bool) -> KerasTensor:
    """Compute `utils.data.ratings.likes` of dense rows in Keras operations: float32, (n, n_movies) or twice as wide.

    stars: (n, n_movies), 0 = not rated."""
    from keras import ops

    return ops.cast(ops.concatenate(like_blocks(stars, like, signed), axis=1), "float32")


def _variables(answer: tf.types.experimental.PolymorphicFunction) -> list[tf.Variable]:
    """Return the variables that a `tf.function` uses, which the module that holds it must hold, too."""
    return list(answer.get_concrete_function().graph.variables)
