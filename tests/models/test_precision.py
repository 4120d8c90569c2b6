"""Training with matrix products in bfloat16, which must hardly show in anything but time."""

import keras
import numpy as np
import pytest
from trained import TABLE, train_on, trained

from models.networks.training_step import computed_in

NAMES = ["autorec", "cdae", "deeprec", "glocalk", "joint", "multdae", "multvae", "recvae", "sparsefc"]
KNOWN = np.arange(TABLE.shape[0])


def test_products_are_bfloat16_in_the_step_alone():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    network.layers[0].set_weights([np.full((3, 2), 1 / 3, np.float32)])
    rows = np.eye(3, dtype=np.float32)
    step = computed_in("bfloat16", lambda given, judged: network(given), network)
    found = keras.ops.convert_to_numpy(keras.ops.cast(step(rows, None), "float32"))
    assert found[0, 0] == 0.333984375  # 1/3 with 8 bits
    assert keras.ops.convert_to_numpy(network(rows))[0, 0] == np.float32(1 / 3)
    assert computed_in("float32", step, network) is step


def test_a_step_that_fails_leaves_the_network_as_it_was():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ZeroDivisionError):
        computed_in("bfloat16", lambda given, judged: 1 / 0, network)(None, None)
    assert network.layers[0].compute_dtype == "float32"


def test_ratings_are_centred_in_float32():
    network = trained("glocalk")[0].network
    within = computed_in(
        "bfloat16", lambda *_: [(one.name, one.compute_dtype) for one in network._flatten_layers()], network
    )
    lower = {name for name, dtype in within(None, None) if dtype == "bfloat16"}
    assert lower == {"encoder_0", "residual"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_trained_so_answers_in_float32_and_hardly_differs(name):
    (whole, split), (lower, _) = trained(name), trained(name, precision="bfloat16")
    assert {layer.compute_dtype for layer in lower.network._flatten_layers()} == {"float32"}
    expected, found = (model.score(split.train, KNOWN) for model in (whole, lower))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.05 * np.ptp(expected)


@pytest.mark.parametrize(
    "name", ["autorec", "multdae", pytest.param("recvae", marks=pytest.mark.slow)]
)  # three kinds of steps
def test_a_step_that_is_compiled_computes_so_too(name):
    model, split = train_on(TABLE, name, compiled=True, precision="bfloat16")
    expected, found = (one.score(split.train, KNOWN) for one in (trained(name)[0], model))
    assert np.abs(found - expected).mean() > 3e-6  # compiling alone makes a tenth of that
    assert np.abs(found - expected).max() < 0.05 * np.ptp(expected)


@pytest.mark.parametrize("options", [{"loss": "logistic"}, {"loss": "squared"}, {"sample": 5}], ids=str)
def test_every_loss_takes_it(options):
    (whole, split), (lower, _) = trained("multdae", **options), trained("multdae", precision="bfloat16", **options)
    expected, found = (model.score(split.train) for model in (whole, lower))
    assert 0 < np.abs(found - expected).max() < 0.05 * np.ptp(expected)
