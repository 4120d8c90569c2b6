"""A trained model as one graph for other programs: rows of stars in, scores of all movies and latent vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.command_line.quiet import quietly
from utils.data.ratings import like_blocks
from utils.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from keras import KerasTensor

    from models.base import Recommender

OPSET = 18  # of ONNX
MAX_BYTES = 1_900_000_000  # of constants in a graph; Protocol Buffers hold 2 GB


def save(model: Recommender, to: str, folder: Path) -> None:
    """Write the graph of a trained model into a folder: as model.onnx where `to` is "onnx", otherwise as a SavedModel
    in 1/, as TensorFlow Serving names a version. A `UserError` where it is too large or packages are missing.

    The input `ratings` is (n, n_movies) float32, stars and 0 where not rated. The outputs are `scores`, (n, n_movies),
    by which the model ranks, and with a latent space `latent`, (n, latent)."""
    with quietly():  # no model imports it that needs no Keras
        import tensorflow as tf

    if (n_bytes := getattr(model, "held", 0)) > MAX_BYTES:
        raise UserError(
            f"{n_bytes / 1e9:.1f} GB of weights are more than a graph holds; an autoencoder can be exported"
        )
    spec = tf.TensorSpec((None, model.shape[1]), tf.float32, name="ratings")
    graph = tf.function(model.exported, input_signature=[spec], autograph=False)
    traced = graph.get_concrete_function()  # a model that is no graph is refused before a package is asked for
    if to == "onnx":
        try:
            import tf2onnx
        except ImportError:
            raise UserError("ONNX needs more packages: pip install -r requirements-scale.txt") from None
        tf2onnx.convert.from_function(graph, [spec], opset=OPSET, output_path=str(folder / "model.onnx"))
        return
    module = tf.Module()
    module.graph, module.variables_used = graph, list(traced.graph.variables)
    tf.saved_model.save(module, str(folder / "1"), {"serving_default": graph})


def inputs(stars: KerasTensor, like: float, signed: bool) -> KerasTensor:
    """Compute `utils.data.ratings.likes` in Keras operations, float32, (n, n_movies) or twice as wide, from stars,
    (n, n_movies), 0 = not rated."""
    from keras import ops

    return ops.cast(ops.concatenate(like_blocks(stars, like, signed), axis=1), "float32")
