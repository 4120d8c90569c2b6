"""recommend.py --like-movie and --similar-users, against scikit-learn and literal loops."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import answer
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

import models
import recommend
from utils.data.splits import KNOWN
from utils.errors import UserError
from utils.recommend import recommendations
from utils.runs import run_folder
from utils.scoring import latent

QUICK = ("--hidden", "8", "--epochs", "3")


@pytest.fixture
def folder(run_of):
    return run_of("joint", *QUICK)


def known_ratings(run):
    """{(raw user, raw movie): stars} of what is known."""
    ratings, known = run.split.ratings, np.isin(run.split.part, KNOWN)
    users, movies = ratings.user_ids[ratings.user[known]].tolist(), ratings.movie_ids[ratings.movie[known]].tolist()
    return dict(zip(zip(users, movies, strict=True), ratings.rating[known].tolist(), strict=True))


def seen(vectors, run, strategy, whiten=None):
    """The vectors as `Neighbourhood` says, from scikit-learn's principal directions; whiten: that of the run."""
    if whiten is None:
        whiten = run.json("metrics.json")["neighbourhoods"][strategy]["whiten"]
    found = PCA(whiten=False).fit(vectors)
    return found.transform(vectors) / found.explained_variance_**whiten


def test_movies_like_one_are_the_nearest_by_cosine(folder, capsys):
    found = answer(capsys, "--like-movie", "planted 3", "--run", folder, "-n", 5)
    run = run_folder.Run(folder)
    vectors = seen(latent.LatentSpace.load(run.arrays("latent.npz")).movies, run, "movies")
    own = run.movies.titles.index(found["like"][0]["title"])
    cosines = cosine_similarity(vectors[[own]], vectors)[0]
    cosines[own] = -np.inf
    expected = np.argsort(-cosines, kind="stable")[:5]
    assert [item["movieId"] for item in found["items"]] == run.movies.ids[expected].tolist()
    np.testing.assert_allclose([item["score"] for item in found["items"]], cosines[expected], atol=1e-5)


@pytest.mark.parametrize("whiten", [0.0, 0.25, 0.6])
def test_movies_are_like_one_in_the_view_that_validation_chose(whiten, folder):
    saved = models.open_run(run_folder.Run(folder))
    vectors, everything = saved.space.movies, np.arange(24)
    chosen = latent.Whitening.of(vectors, everything, whiten)
    saved.space = replace(saved.space, whitenings={"movies": chosen, "neighbours": None})
    cosines = cosine_similarity(seen(vectors, saved.run, "movies", whiten))[3]
    expected = [m for m in np.argsort(-cosines, kind="stable").tolist() if m != 3]
    items = recommendations.movies_like(saved, [3], 23)["items"]
    assert [item["movieId"] for item in items] == saved.run.movies.ids[expected].tolist()
    np.testing.assert_allclose([item["score"] for item in items], cosines[expected], atol=1e-4)


def test_movies_like_several_and_unlike_others_are_by_mean_cosine(folder, capsys):
    run = run_folder.Run(folder)
    vectors = seen(latent.LatentSpace.load(run.arrays("latent.npz")).movies, run, "movies")
    cosines = cosine_similarity(vectors)
    expected = (cosines[2] + cosines[5]) / 2 - (cosines[7] + cosines[8]) / 2
    titles = [run.movies.titles[m] for m in (2, 5, 7, 8)]
    asked = ["--like-movie", titles[0], "--like-movie", *titles[:2], "--unlike-movie", *titles[2:]]  # one of them twice
    found = answer(capsys, *asked, "--run", folder, "-n", 24)
    order = [m for m in np.argsort(-expected, kind="stable").tolist() if m not in (2, 5, 7, 8)]
    assert [item["movieId"] for item in found["items"]] == run.movies.ids[order].tolist()
    np.testing.assert_allclose([item["score"] for item in found["items"]], expected[order], atol=1e-5)
    assert [m["title"] for m in found["like"] + found["unlike"]] == titles
    recommend.main([*asked, "--run", str(folder), "-n", "1"])
    names = [run.movies.describe(m)["name"] for m in (2, 5, 7)]
    assert f"Like {names[0]} (" in (shown := capsys.readouterr().out)
    assert f", unlike {names[2]} (" in shown
    saved = models.open_run(run)
    saved.ratings = replace(saved.ratings, movie_known=np.where(np.arange(24) == 7, 0, 9))
    with pytest.raises(UserError, match=f"nobody is known to have rated {re.escape(titles[2])}"):
        recommendations.movies_like(saved, [2], 3, [7])
    with pytest.raises(UserError, match="--unlike-movie takes --like-movie"):
        recommend.main(["--user", "1", "--unlike-movie", titles[0], "--run", str(folder)])
    with pytest.raises(UserError, match="is among the movies to be like and to be unlike"):
        recommend.main(["--like-movie", *titles, "--unlike-movie", titles[1], "--run", str(folder)])


def test_users_near_by_chance_are_said(folder, capsys, monkeypatch):
    found = answer(capsys, "--similar-users", 3, "--run", folder, "-n", 4)
    shared = sorted(item["both_rated"] for item in found["items"])
    monkeypatch.setattr(recommendations, "FEW", shared[0])
    assert answer(capsys, "--similar-users", 3, "--run", folder, "-n", 4)["notes"] == []
    monkeypatch.setattr(recommendations, "FEW", shared[0] + 1)
    few = shared.count(shared[0])
    note = f"{few} of these rated fewer than {shared[0] + 1} movies that this user rated, so they may be near by chance"
    assert answer(capsys, "--similar-users", 3, "--run", folder, "-n", 4)["notes"] == [note]


def test_a_movie_is_named_by_title_or_id(folder, capsys):
    movies = run_folder.Run(folder).movies
    by_id = answer(capsys, "--like-movie", movies.ids[4].item(), "--run", folder)
    by_title = answer(capsys, "--like-movie", movies.titles[4].lower(), "--run", folder)
    assert by_id["items"] == by_title["items"]
    with pytest.raises(UserError, match="no movie is called 'qqq'"):
        recommend.main(["--like-movie", "qqq", "--run", str(folder)])


def test_movies_that_hardly_anybody_rated_are_not_named(folder, capsys, monkeypatch):
    run = run_folder.Run(folder)
    count = {m: sum(movie == m for _, movie in known_ratings(run)) for m in run.movies.ids.tolist()}
    few = sorted(count.values())[len(count) // 2]
    monkeypatch.setattr(recommendations, "FEW", few)
    most = max(count, key=count.get)
    items = answer(capsys, "--like-movie", most, "--run", folder, "-n", 100)["items"]
    assert {item["movieId"] for item in items} == {m for m in count if count[m] >= few} - {most}


def test_a_movie_with_few_ratings_is_like_others_with_as_many(folder, capsys, monkeypatch):
    run = run_folder.Run(folder)
    count = {m: sum(movie == m for _, movie in known_ratings(run)) for m in run.movies.ids.tolist()}
    monkeypatch.setattr(recommendations, "FEW", max(count.values()) + 1)
    one = sorted(count, key=count.get)[len(count) // 2]
    items = answer(capsys, "--like-movie", one, "--run", folder, "-n", 100)["items"]
    assert {item["movieId"] for item in items} == {m for m in count if count[m] >= count[one]} - {one}


def test_similar_users_and_what_they_share(folder, tmp_path, capsys):
    found = answer(capsys, "--similar-users", 3, "--run", folder, "-n", 4, "--csv", tmp_path / "a.csv")
    run = run_folder.Run(folder)
    stars, vectors = known_ratings(run), latent.LatentSpace.load(run.arrays("latent.npz")).users
    cosines = cosine_similarity(seen(vectors, run, "neighbours"))[2]
    cosines[2] = -np.inf
    expected = np.argsort(-cosines, kind="stable")[:4]
    assert [item["user"] for item in found["items"]] == run.split.ratings.user_ids[expected].tolist()
    for item, place in zip(found["items"], expected, strict=True):
        assert item["cosine"] == pytest.approx(cosines[place], abs=1e-5)
        both = [m for (user, m) in stars if user == 3 and (item["user"], m) in stars]
        liked = {m for m in both if stars[3, m] > 3.5 and stars[item["user"], m] > 3.5}
        assert item["both_rated"] == len(both)
        assert {movie["movieId"] for movie in item["both_like"]} == liked
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["user"]) for row in rows] == [item["user"] for item in found["items"]]


def test_the_tables_name_the_movie_and_the_users(folder, capsys):
    recommend.main(["--like-movie", "planted 3", "--run", str(folder), "-n", "2"])
    recommend.main(["--similar-users", "3", "--run", str(folder), "-n", "2"])
    shown = capsys.readouterr().out
    assert "Like Planted 3" in shown
    assert "Near user 3 in latent space" in shown


@pytest.mark.parametrize("asked", [("--like-movie", "planted 3"), ("--similar-users", "3")])
def test_a_model_without_a_latent_space_says_so(asked, run_of):
    with pytest.raises(UserError, match="bias has no latent space"):
        recommend.main([*asked, "--run", str(run_of("bias"))])


@pytest.mark.parametrize("asked", [(), ("--user", "1", "--like-movie", "planted 3")])
def test_one_question_at_a_time(asked, folder):
    with pytest.raises(UserError, match="one of --user, --rate"):
        recommend.main([*asked, "--run", str(folder)])


def test_both_like_what_both_rated_above_the_threshold(varied_run_of):
    run = run_folder.Run(varied_run_of("autorec", "--hidden", "8", "--epochs", "2"))
    stars, liked = run.split.known.toarray(), 0
    for user in range(5):
        for item in recommendations.users_like(models.open_run(run), user, 10)["items"]:
            other = int(np.flatnonzero(run.split.ratings.user_ids == item["user"])[0])
            both = (stars[user] > 3.5) & (stars[other] > 3.5)
            expected = {run.movies.titles[movie] for movie in np.flatnonzero(both)}
            assert {movie["title"] for movie in item["both_like"]} == expected
            at = [run.movies.ids.tolist().index(movie["movieId"]) for movie in item["both_like"]]
            assert (np.diff((stars[user] + stars[other])[at]) <= 0).all()  # what both like most comes first
            assert item["both_rated"] == np.count_nonzero((stars[user] > 0) & (stars[other] > 0))
            liked += len(expected)
    assert liked


def test_only_users_who_were_trained_on_are_near(folder):
    saved = models.open_run(run_folder.Run(folder))
    near = [item["user"] for item in recommendations.users_like(saved, 2, 5)["items"]]
    trained = saved.ratings.user_trained.copy()
    trained[np.isin(saved.ratings.user_ids, near[:2])] = False
    saved.ratings = replace(saved.ratings, user_trained=trained)
    assert [item["user"] for item in recommendations.users_like(saved, 2, 3)["items"]] == near[2:]
