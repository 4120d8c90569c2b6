"""Features of movies: their products are the kernel, and a ridge regression on them is one with the kernel."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from models.ensemble.kernel_features import KernelFeatures
from utils.scoring.linear_scorer import ridge


def kernel(x, y, length):
    """x'y + 4 l^2 + 2 l^2 exp(-|x - y|^2 / l^2), in scikit-learn's terms."""
    return x @ y.T + 4 * length**2 + 2 * length**2 * rbf_kernel(x, y, gamma=1 / length**2)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


def test_with_all_as_landmarks_products_are_the_kernel(vectors):
    features = KernelFeatures.of(vectors, 100)
    length = np.sqrt((vectors.astype(float) ** 2).sum() / 30)
    assert features.length == pytest.approx(length)
    others = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    found = features(vectors)
    assert found.dtype == np.float32
    assert found.shape == (30, 4 + 1 + 30)
    np.testing.assert_array_equal(found[:, :4], vectors)
    np.testing.assert_allclose(found @ found.T, kernel(vectors, vectors, length), atol=2e-3)
    np.testing.assert_allclose(features(others) @ found.T, kernel(others, vectors, length), atol=2e-3)


@pytest.mark.parametrize("n", [12, 50])  # fewer and more than there are features
def test_a_ridge_regression_on_them_is_a_kernel_ridge_regression(n, vectors):
    features, rng = KernelFeatures.of(vectors, 30), np.random.default_rng(2)
    rated, stars = np.resize(vectors, (n, 4)), rng.normal(size=n)
    weights = ridge(features(rated), stars.astype(np.float32), [np.float32(3)])[0]
    length = float(features.length)
    oracle = KernelRidge(alpha=3, kernel="precomputed").fit(kernel(rated, rated, length), stars)
    expected = oracle.predict(kernel(vectors, rated, length))
    np.testing.assert_allclose(features(vectors) @ weights, expected, atol=1e-3)


def test_few_landmarks_are_some_of_the_vectors_and_come_near(vectors):
    many = np.repeat(vectors, 4, axis=0) + np.random.default_rng(3).normal(scale=0.05, size=(120, 4)).astype(np.float32)
    features, again = KernelFeatures.of(many, 30), KernelFeatures.of(many, 30)
    assert features(many).shape == (120, 35)
    assert (features.landmarks[:, None] == many).all(axis=2).any(axis=1).all()
    groups = {int(np.flatnonzero((row == many).all(axis=1))[0]) // 4 for row in features.landmarks}
    assert len(groups) > 25  # of 30 groups: spread over all
    error = features(many) @ features(many).T - kernel(many, many, float(features.length))
    assert np.abs(error).max() < 0.02 * features.length**2 * 2
    np.testing.assert_array_equal(features(many), again(many))


@pytest.mark.parametrize("noise", [0, 1e-5])
def test_the_same_vector_many_times_is_one_feature(noise):
    """Directions in which landmarks hardly differ would be noise, enlarged."""
    vectors = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    vectors += np.float32(noise) * np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    found = KernelFeatures.of(vectors, 20)(vectors)
    assert found.shape == (30, 3 + 1 + 3)
    np.testing.assert_allclose(found @ found.T, kernel(vectors, vectors, 1.0), atol=1e-3)


def test_vectors_of_nothing_have_features_of_nothing():
    found = KernelFeatures.of(np.zeros((3, 2), np.float32), 2)(np.zeros((4, 2), np.float32))
    np.testing.assert_allclose(found, 0, atol=1e-5)
