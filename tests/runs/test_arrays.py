"""Arrays that are read in part are what was written, or an error; ratings by user are those of the split."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from conftest import random_ratings
from scipy.sparse import csr_array

from utils.data import splits
from utils.data.splits import Split, Subset
from utils.errors import UserError
from utils.runs import arrays, run_folder
from utils.runs.user_ratings import UserRatings

RNG = np.random.default_rng(0)
LARGE = RNG.normal(size=(3000, 60)).astype(np.float32)  # 44 blocks
WRITTEN = {
    "number": np.float32(2.5),
    "text": np.array(["é", "longer"]),
    "rows": LARGE,
    "columns": np.asfortranarray(LARGE.T * 2),
    "flat": np.arange(200_000, dtype=np.int32),
    "cube": RNG.integers(0, 9, (500, 20, 30)),
    "empty": np.empty((0, 7), np.float32),
}


def opened(folder, verified=True):
    about = json.loads(json.dumps(arrays.describe(folder)))["some.npz"]
    return arrays.File(folder / "some.npz", about, verified, nullcontext)


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "some.npz", **WRITTEN)
    return opened(tmp_path)


KEYS = {
    "rows": [[5], np.array([2999, 0, 5]), slice(10, 20), slice(2995, 4000), 7, slice(None), (slice(None), [3, 1])],
    "columns": [(slice(None), [5, 2999, 5]), (slice(None), slice(3, 9)), (slice(None), 4), [1, 0], (3, 4)],
    "flat": [
        slice(70, 90),
        np.array([[3, 199_999], [0, 1]]),
        slice(9, 3),
        -1,
        np.arange(200_000) % 7 == 0,
        slice(0, 9, 2),
    ],
    "cube": [[499, 3], slice(1, 2), (slice(None), 3, slice(2)), np.array([[1], [2]]), ...],
    "empty": [slice(0, 3), slice(None), (slice(None), [1])],
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in KEYS.items() for key in keys], ids=str)
def test_what_is_picked_is_what_numpy_picks(name, key, file):
    picked = file.arrays[name][key]
    assert picked.dtype == WRITTEN[name].dtype
    np.testing.assert_array_equal(picked, WRITTEN[name][key], strict=True)


def test_what_is_read_in_several_chunks_is_compared_with_its_own_checksums(file, monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK", 2 * arrays.BLOCK)
    for start, end in ((0, file.size), (arrays.BLOCK + 5, 6 * arrays.BLOCK + 7)):
        assert file.read(start, end).tobytes() == file.path.read_bytes()[start:end]


def test_all_of_an_array_is_what_was_written(file):
    for name, expected in WRITTEN.items():
        array = file.arrays[name]
        np.testing.assert_array_equal(array.whole, expected, strict=True)
        assert array.whole.ctypes.data % arrays.ALIGNED == 0 or not array.nbytes
    rows, columns = file.arrays["rows"], file.arrays["columns"]
    assert (len(rows), rows.shape, rows.nbytes) == (3000, (3000, 60), LARGE.nbytes)
    np.testing.assert_array_equal(LARGE[:2] @ columns, LARGE[:2] @ WRITTEN["columns"])
    np.testing.assert_allclose(csr_array(LARGE[:2]) @ columns, LARGE[:2] @ WRITTEN["columns"], atol=1e-4)
    np.testing.assert_array_equal((rows == LARGE[0]).any(axis=1), (LARGE[0] == LARGE).any(axis=1))
    np.testing.assert_array_equal(rows.T, LARGE.T)


def test_a_few_rows_or_columns_are_read_without_the_rest(file, monkeypatch):
    read, of_file = [], arrays.File.read
    monkeypatch.setattr(arrays.File, "read", lambda self, *ends: read.append(ends[1] - ends[0]) or of_file(self, *ends))
    _ = file.arrays["rows"][[3, 2000]], file.arrays["columns"][:, [7]], file.arrays["flat"][100:200]
    assert read == [240, 240, 240, 400]
    _ = file.arrays["rows"][np.arange(0, 3000, 2)]  # which is most blocks
    _ = file.arrays["rows"][[4]]
    assert read[4:] == [LARGE.nbytes]


def test_a_flipped_bit_is_an_error_where_it_is_used_and_only_there(file, tmp_path):
    content = file.path.read_bytes()
    offset = file.arrays["rows"].offset
    for row, bit in zip(RNG.integers(0, 3000, 40).tolist(), RNG.integers(0, 8 * 240, 40).tolist(), strict=True):
        damaged = bytearray(content)
        damaged[offset + 240 * row + bit // 8] ^= 1 << bit % 8
        file.path.write_bytes(damaged)
        rows = arrays.File(file.path, file_about(content, tmp_path), True, nullcontext).arrays["rows"]
        with pytest.raises(ValueError, match="is not what was written"):
            rows[[row]]
        with pytest.raises(ValueError, match="is not what was written"):
            rows[row : row + 1]
        with pytest.raises(ValueError, match="is not what was written"):
            np.asarray(rows)
        far = (row + 1500) % 3000  # in another block
        np.testing.assert_array_equal(rows[[far]], LARGE[[far]])


def file_about(content, folder):
    """What describes a file of this content."""
    (folder / "whole").mkdir(exist_ok=True)
    (folder / "whole" / "some.npz").write_bytes(content)
    return arrays.describe(folder / "whole")["some.npz"]


def test_a_file_of_another_size_is_refused_compared_or_not(file, tmp_path):
    content = file.path.read_bytes()
    about = file_about(content, tmp_path)
    for other in (content[:-1], content[: arrays.BLOCK], b"", content + b"\0"):
        file.path.write_bytes(other)
        for verified in (True, False):
            with pytest.raises(ValueError, match="another size"):
                arrays.File(file.path, about, verified, nullcontext)
    file.path.write_bytes(content)
    late = arrays.File(file.path, about, False, nullcontext)
    file.path.write_bytes(content[: arrays.BLOCK])  # cut after it was opened
    with pytest.raises(EOFError):
        np.asarray(late.arrays["rows"])


def test_what_can_not_be_read_in_part_is_not_described(tmp_path):
    np.savez_compressed(tmp_path / "some.npz", a=LARGE)
    with pytest.raises(ValueError, match="is compressed"):
        arrays.describe(tmp_path)
    np.savez(tmp_path / "some.npz", a=np.array([{}]))
    with pytest.raises(ValueError, match="Python objects"):
        arrays.describe(tmp_path)


@pytest.mark.parametrize("name", ["arrays.json", "ratings.npz", "latent.npz"])
def test_damage_is_named_when_the_array_is_used(name, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "WHOLE", 0)
    folder = tmp_path / "run"
    shutil.copytree(run_of("autorec", "--hidden", "8", "--epochs", "2"), folder)
    content = bytearray((folder / name).read_bytes())
    if name == "ratings.npz":
        content[run_folder.Run(folder).ratings.movie.offset] ^= 1
    else:
        content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    run = run_folder.Run(folder)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        _ = run.arrays("latent.npz"), run.ratings.of_user(0)


# -- ratings by user ---------------------------------------------------------------------------------------------------

TABLE = replace(random_ratings(seed=3), timestamp=np.random.default_rng(1).integers(8e8, 1.5e9, 500))  # in no order


@pytest.mark.parametrize("protocol", ["cold", "strong-ratings"])
@pytest.mark.parametrize("times", [None, 0, -1_000_000_000, 5_000_000_000])
def test_ratings_by_user_are_those_of_the_split(protocol, times):
    table = replace(TABLE, timestamp=None if times is None else TABLE.timestamp + times)
    split = splits.split(table, protocol, splits.Options(test_share=0.3, held_out=2))
    ratings = UserRatings.of(split)
    known, dense = split.known.toarray(), table.matrix().toarray()
    assert ratings.shape == table.shape
    for user in range(len(dense)):
        movies, stars, is_known = ratings.of_user(user)
        assert movies.tolist() == np.flatnonzero(dense[user]).tolist()
        np.testing.assert_array_equal(stars, dense[user][movies])
        assert movies[is_known].tolist() == np.flatnonzero(known[user]).tolist()
    np.testing.assert_array_equal(ratings.user_known, (known > 0).sum(axis=1))
    np.testing.assert_array_equal(ratings.movie_known, (known > 0).sum(axis=0))
    np.testing.assert_array_equal(ratings.user_likes, (known > 3.5).sum(axis=1))
    np.testing.assert_array_equal(ratings.movie_likes, (known > 3.5).sum(axis=0))
    assert np.flatnonzero(ratings.user_trained).tolist() == split.trained_users.tolist()
    place, movies = ratings.known_likes(np.array([7, 3]))
    expected = [(i, m) for i, user in enumerate((7, 3)) for m in np.flatnonzero(known[user] > 3.5)]
    assert list(zip(place.tolist(), movies.tolist(), strict=True)) == expected
    again = ratings.split()
    assert again.fingerprint() == split.fingerprint()
    assert (again.train != split.train).nnz == (again.test.hidden != split.test.hidden).nnz == 0
    if times is not None:
        order = np.lexsort((table.movie, table.user))
        np.testing.assert_array_equal(again.ratings.timestamp, table.timestamp[order], strict=True)


def test_the_twin_has_exactly_these_known_ratings():
    split = splits.split(TABLE, "cold", splits.Options(test_share=0.3))
    ratings, known = UserRatings.of(split), split.known
    for user in range(40):
        row = known[[user]]
        expected = next(i for i in range(40) if (known[[i]] != row).nnz == 0)
        assert ratings.twin(row.indices, row.data) == expected
        if row.nnz:
            assert ratings.twin(row.indices[1:], row.data[1:]) in (-1, *np.flatnonzero(ratings.user_known == 0))
            assert ratings.twin(row.indices, row.data % 5 + 0.5) == -1
    colliding = replace(ratings, user_hash=np.full(40, ratings.user_hash[7]))  # the hash alone decides nothing
    assert colliding.twin(known[[7]].indices, known[[7]].data) == 7
    assert replace(ratings, user_hash=ratings.user_hash + np.uint64(1)).twin(known[[7]].indices, known[[7]].data) == -1


def test_many_values_of_stars_are_kept_exactly():
    stars = np.linspace(0.5, 5, 500, dtype=np.float32)
    table = replace(TABLE, rating=stars)
    ratings = UserRatings.of(Split(table, np.full(500, Subset.TRAIN, np.int8)))
    assert ratings.star.dtype == np.uint16
    assert ratings.split().ratings.fingerprint() == table.fingerprint()


def test_users_of_one_hash_are_told_apart_by_movies_and_stars(monkeypatch):
    monkeypatch.setattr("utils.runs.user_ratings._hash", lambda movie, _: np.zeros(len(movie), np.uint64))
    user, movie = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 0, 1, 0, 2], np.int32)
    stars = np.array([3, 4, 3, 5, 3, 5], np.float32)
    table = replace(random_ratings(3, 4, 6), user=user, movie=movie, rating=stars)
    ratings = UserRatings.of(Split(table, np.zeros(6, np.int8)))
    for movies, stars, twin in (([0, 1], [3, 5], 1), ([0, 2], [3, 5], 2), ([0, 1], [5, 3], -1), ([1, 2], [3, 5], -1)):
        assert ratings.twin(np.array(movies), np.array(stars, np.float32)) == twin
