"""Cosine neighbours against scikit-learn, neighbour scores against a literal loop."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from utils.scoring import encoders, latent
from utils.scoring.profile_rows import ProfileRows


@pytest.fixture
def vectors():
    found = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    found[7] = 0
    return found


def test_cosine_is_scikit_learns_zero_vectors_included(vectors):
    np.testing.assert_allclose(latent.cosine(vectors, vectors[:5]), cosine_similarity(vectors, vectors[:5]), atol=1e-6)


def test_nearest_are_scikit_learns_neighbours_without_oneself(vectors):
    vectors = np.delete(vectors, 7, axis=0)
    vectors -= vectors.mean(axis=0)
    index, near = latent.near(vectors, vectors[[4, 9]], 5, np.arange(39), [4, 9], 0.0)
    distance, expected = NearestNeighbors(metric="cosine", n_neighbors=6).fit(vectors).kneighbors(vectors[[4, 9]])
    np.testing.assert_array_equal(index, expected[:, 1:])
    np.testing.assert_allclose(near, 1 - distance[:, 1:], atol=1e-6)


def test_directions_that_hardly_vary_are_not_blown_up(vectors):
    vectors = np.delete(vectors, 7, axis=0) * np.float32([1, 1, 1, 1, 1e-5, 0])
    left = vectors.astype(np.float64) - vectors.mean(axis=0)
    variance, directions = np.linalg.eigh(left.T @ left / 38)
    expected = cosine_similarity(left @ (directions * np.maximum(variance, 1e-6 * variance.max()) ** -0.5))
    found = latent.Whitening.of(vectors, np.arange(39), 0.5).cosines(vectors, vectors)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(cosine_similarity(left @ (directions * np.maximum(variance, 1e-30) ** -0.5)) - expected).max() > 0.01


def test_blocks_of_queries_find_what_each_finds_alone(vectors, monkeypatch):
    pool, own, likes = np.arange(0, 40, 3), np.arange(40)[::-1], np.arange(1, 41)
    neighbourhoods = [latent.Neighbourhood(size=4, power=2, shrink=shrink) for shrink in (0.0, 5.0)]
    queries = vectors[own]
    one = [
        [latent.weighted_neighbours(vectors, queries[[i]], neighbourhood, likes, pool, own[[i]]) for i in range(40)]
        for neighbourhood in neighbourhoods
    ]
    monkeypatch.setattr(latent, "BLOCK", 12)
    monkeypatch.setattr(latent, "ROWS", 5)
    for neighbourhood, alone in zip(neighbourhoods, one, strict=True):
        index, weight = latent.weighted_neighbours(vectors, queries, neighbourhood, likes, pool, own)
        assert not (index[weight > 0] == np.broadcast_to(own[:, None], index.shape)[weight > 0]).any()
        for i, (expected, weighs) in enumerate(alone):
            np.testing.assert_allclose(weight[i], weighs[0], atol=1e-6)
            there = weighs[0] > 0
            assert index[i, there].tolist() == expected[0, there].tolist()


def test_asking_for_more_neighbours_than_there_are_gives_all_others(vectors):
    index, near = latent.near(vectors, vectors[[4]], 100, np.arange(40), [4], 0.25)
    assert sorted(index[0, :-1].tolist()) == [u for u in range(40) if u != 4]
    assert (index[0, -1], near[0, -1]) == (4, -np.inf)


@pytest.mark.parametrize("shrink", [0.0, 3.0])
def test_neighbour_scores_are_the_literal_sum(shrink, vectors):
    likes = (np.random.default_rng(1).random((40, 25)) < 0.2).astype(np.float32)
    neighbourhood = latent.Neighbourhood(size=8, power=2, shrink=shrink, whiten=0.25)
    count, users = likes.sum(axis=1), np.array([3, 7, 11])
    index, weight = latent.weighted_neighbours(vectors, vectors[users], neighbourhood, count, np.arange(40), users)
    found = (latent.vote_matrix(index, weight, 40) @ sp.csr_array(likes)).toarray()
    whitened = PCA(whiten=True).fit(vectors)  # which divides by the deviation, the variance ** .5
    half = whitened.transform(vectors) * whitened.explained_variance_**0.25
    near = cosine_similarity(half)
    for row, user in enumerate([3, 7, 11]):
        weights = {v: max(near[user, v], 0) ** 2 * count[v] / (count[v] + shrink) for v in range(40) if v != user}
        expected = sum(weights[v] * likes[v] for v in sorted(weights, key=weights.get)[-8:])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_a_single_user_has_no_neighbours_and_no_error():
    one = np.ones((1, 3), np.float32)
    index, weight = latent.weighted_neighbours(
        one, one, latent.Neighbourhood(), np.array([4]), np.array([0]), np.array([0])
    )
    assert (latent.vote_matrix(index, weight, 1) @ sp.csr_array(np.ones((1, 4)))).toarray().tolist() == [[0, 0, 0, 0]]


def test_nobody_asked_about_is_no_error(vectors):
    index, near = latent.near(vectors, vectors[:0], 5, np.arange(40), np.array([], int), 0.25)
    assert index.shape == near.shape == (0, 5)


def test_only_the_pool_can_be_neighbours(vectors):
    index, _ = latent.near(vectors, vectors[[2, 3]], 4, np.array([3, 8, 20, 31, 39]), np.array([2, 3]), 0.25)
    assert set(index.ravel()) <= {3, 8, 20, 31, 39}
    assert sorted(index[1]) == [8, 20, 31, 39]  # user 3, of the pool, is left out for themselves


def test_the_two_of_a_pair_point_opposite_ways_and_are_neighbours_all_the_same():
    pair = np.array([[1, 2], [3, 5]], np.float32)
    index, near = latent.near(pair, pair, 1, np.arange(2), np.arange(2), 0.0)
    assert index.tolist() == [[1], [0]]
    np.testing.assert_allclose(near, -1, atol=1e-6)


def test_a_query_that_is_nobodys_is_seen_as_the_vectors_are(vectors):
    pool, query = np.arange(5, 40), np.ones((1, 6), np.float32)
    found = PCA().fit(vectors[pool])
    see = lambda x: found.transform(x) / found.explained_variance_**0.25  # noqa: E731
    whitening = latent.Whitening.of(vectors, pool, 0.25)
    np.testing.assert_allclose(
        whitening.cosines(vectors, query), cosine_similarity(see(query), see(vectors)), atol=1e-5
    )
    index, _ = latent.near(vectors, query, 3, pool, [-1], whitening)
    assert index[0].tolist() == sorted(pool, key=lambda i: -cosine_similarity(see(query), see(vectors[[i]]))[0, 0])[:3]


@pytest.mark.parametrize("equal", [0, 1500])
def test_faiss_finds_what_is_found_without(equal, monkeypatch):
    pytest.importorskip("faiss", reason="requirements-scale.txt is not installed")
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(60, 16))[rng.integers(0, 60, 4000)] + rng.normal(size=(4000, 16))).astype(np.float32)
    vectors[:equal] = vectors[0]  # as those of all users without a like are
    pool, likes = np.arange(0, 4000, 2), rng.integers(1, 50, 4000)
    for shrink in (0.0, 3.0):
        arguments = vectors, vectors, latent.Neighbourhood(size=30, shrink=shrink), likes, pool, np.arange(4000)
        monkeypatch.setattr(latent, "MANY", 50_000)
        _, weight = latent.weighted_neighbours(*arguments)
        monkeypatch.setattr(latent, "MANY", 1000)
        index, found = latent.weighted_neighbours(*arguments)
        np.testing.assert_allclose(found[equal:], weight[equal:], atol=1e-4 if not shrink else 0.05)
        assert not (index == np.arange(4000)[:, None]).any()
        assert set(index.ravel()) <= set(pool)


@pytest.mark.parametrize("columns", [[4, 0, 3, 1], [2], slice(1, 3)])
def test_some_outputs_in_any_order_are_those_of_all_however_they_are_kept(columns):
    rng = np.random.default_rng(3)
    layers = [(rng.normal(size=(3, 4)), rng.normal(size=4), "tanh"), (rng.normal(size=(4, 5)), np.arange(5.0), "selu")]
    codes = rng.normal(size=(6, 3))
    whole = latent.forward(layers, codes)
    picked = columns if isinstance(columns, slice) else np.array(columns)
    np.testing.assert_allclose(latent.decode(layers, codes, picked), whole[:, columns])
    kept = latent.by_output(layers)
    np.testing.assert_allclose(latent.decode(kept, codes, picked), whole[:, columns])
    assert kept[-1][0].flags.f_contiguous
    rows, cells = np.array([5, 0, 5, 2]), np.array([1, 4, 0, 3])
    np.testing.assert_allclose(latent.decode_cells(layers, codes, rows, cells), whole[rows, cells], rtol=1e-6)


@pytest.mark.parametrize(("queries", "pool", "by_faiss"), [(40, 40, True), (40, 20, False), (20, 40, False)])
def test_faiss_is_asked_where_queries_and_pool_are_many(queries, pool, by_faiss, vectors, monkeypatch):
    monkeypatch.setattr(latent, "MANY", 39)
    monkeypatch.setattr(latent, "find_spec", lambda _: True)
    monkeypatch.setattr(latent, "_near_by_faiss", lambda *_: "faiss")
    found = latent.near(vectors, vectors[:queries], 3, np.arange(pool), np.full(queries, -1), 0.0)
    assert (found == "faiss") is by_faiss


def test_an_encoder_divides_what_is_left_over_the_baseline_by_a_star_and_the_root_of_the_count():
    stars, row, movie = np.array([8.0, 3.0, 10.0], np.float32), np.array([0, 0, 1]), np.array([1, 0, 2])
    column, options = np.array([0.5, -0.5, 1.0], np.float32), {"baseline": True, "implicit": True, "normalise": True}
    encoder = encoders.Centred([], mean=6.0, column=column, damping=2.0, like=None, star=2.0, **options)
    left, rated = encoder.features(stars, row, movie, 2)
    over = stars - 6 - column[movie]
    user = np.array([over[:2].sum() / 4, over[2] / 3])
    np.testing.assert_allclose(left, (over - user[row]) / 2 / np.sqrt([2, 2, 1]), rtol=1e-6)
    np.testing.assert_allclose(rated, 1 / np.sqrt([2, 2, 1]), rtol=1e-6)


def test_the_rows_of_a_profile_are_in_the_order_of_the_movies_and_each_variant_lacks_one():
    rows = ProfileRows.of([7, 2, 5], [1.0, 4.5, 3.0])
    assert (rows.movies.tolist(), rows.stars.tolist()) == ([2, 5, 7], [[4.5, 3.0, 1.0]])
    variants = rows.without_each()
    assert variants.stars.tolist() == [[4.5, 3, 1], [0, 3, 1], [4.5, 0, 1], [4.5, 3, 0]]
    assert rows.stars.tolist() == [[4.5, 3.0, 1.0]]
    dense = np.zeros((4, 9), np.float32)
    dense[:, [2, 5, 7]] = variants.stars
    np.testing.assert_array_equal(variants.matrix(9).toarray(), dense)
    assert variants.matrix(9).nnz == 9
