"""Recommendations to all users at once are what each user gets alone, with what is hidden as hidden."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import evaluate
import models
import recommend
from utils.data.movies import Movies
from utils.data.splits import Subset
from utils.errors import UserError
from utils.recommend import everyone, profile, recommendations, reranking, strategies
from utils.recommend.everyone import Request
from utils.recommend.saved import Saved
from utils.runs import arrays, run_folder, table_writer

JOINT = ("joint", "--hidden", "8", "--epochs", "3", "--test-share", "0.3")


@pytest.fixture
def run(varied_run_of):
    return run_folder.Run(varied_run_of(*JOINT))


def alone(saved, user, asked):
    """[(raw user, rank, movieId, title, score, stars)] that recommend.py says to one user."""
    them = profile.of_user(saved.ratings, str(user))
    items = recommendations.recommend(saved, them, asked.by, asked.n, asked.filters)["items"]
    return [(user, i["rank"], i["movieId"], i["title"], i["score"], i.get("predicted_rating")) for i in items]


def check(run, asked, written):
    """Compare what was written for everyone with what each gets alone."""
    saved = models.open_run(run)
    expected = [line for user in run.split.ratings.user_ids.tolist() for line in alone(saved, user, asked)]
    users, ranks, ids, titles, scores, stars = zip(*expected, strict=True)
    assert written.userId.tolist() == list(users)
    assert written["rank"].tolist() == list(ranks)
    assert written.movieId.tolist() == list(ids)
    assert written.title.tolist() == list(titles)
    np.testing.assert_allclose(written.score, scores, atol=2e-5, rtol=1e-4)
    if stars[0] is None:
        assert "predicted_rating" not in written
    else:
        np.testing.assert_allclose(written.predicted_rating, stars, atol=2e-3)
        assert len(set(stars)) > 40  # they differ, so that those of others would be seen


@pytest.mark.parametrize("by", ["neighbours", "movies", "decoder"])
@pytest.mark.parametrize(
    "filters",
    [
        reranking.Options(),
        reranking.Options(genre=("horror", "drama"), years="1965-1999", min_ratings=8),
        reranking.Options(include_seen=True),
        reranking.Options(diverse=0.4),
        reranking.Options(calibrated=True),
        reranking.Options(discover=2),
    ],
    ids=["plain", "filtered", "seen", "diverse", "calibrated", "discover"],
)
def test_everyone_gets_the_movies_scores_and_stars_that_each_gets_alone(by, filters, run, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "BLOCK", 5)  # 43 users are nine blocks
    asked = Request(by, 6, filters)
    assert everyone.write(models.open_run(run), asked, tmp_path / "all.csv", False) == 43
    check(run, asked, pd.read_csv(tmp_path / "all.csv"))


def test_of_many_users_some_are_the_neighbours_of_everyone_and_of_each_alone(run, tmp_path, monkeypatch):
    asked, saved = Request("neighbours", 6), models.open_run(run)
    everyone.write(saved, asked, tmp_path / "of-all.csv", False)
    monkeypatch.setattr(strategies, "NEIGHBOURS", 9)
    everyone.write(models.open_run(run), asked, tmp_path / "of-some.csv", False)
    check(run, asked, pd.read_csv(tmp_path / "of-some.csv"))
    assert (tmp_path / "of-some.csv").read_text() != (tmp_path / "of-all.csv").read_text()
    near, weight = saved.nearest(profile.of_user(saved.ratings, str(saved.ratings.user_ids[0])))
    some = strategies.possible_neighbours(run.split.trained_users).tolist()
    assert set(near[weight > 0]) <= set(some)
    scorers, pools = strategies.scorers, []
    monkeypatch.setattr(strategies, "scorers", lambda *of: pools.append(of[2].tolist()) or scorers(*of))
    evaluate.evaluate_run(run)
    assert pools == [some]


@pytest.mark.parametrize("by", ["neighbours", "movies", "decoder"])
def test_large_arrays_of_which_a_part_is_read_make_the_same_lists(by, run, tmp_path, monkeypatch):
    everyone.write(models.open_run(run), Request(by, 6), tmp_path / "small.csv", False)
    monkeypatch.setattr(arrays, "WHOLE", 0)  # every array counts as large
    asked, run = Request(by, 6), run_folder.Run(run.folder)
    everyone.write(models.open_run(run), asked, tmp_path / "all.csv", False)
    assert (tmp_path / "all.csv").read_text() == (tmp_path / "small.csv").read_text()
    check(run, asked, pd.read_csv(tmp_path / "all.csv"))


OTHERS = (
    "itemknn",
    "bias",
    "autorec --rows movies --hidden 8 --epochs 2",
    "blend --parts itemknn,bias,content --folds 3",
)


@pytest.mark.parametrize("command", OTHERS)
def test_so_do_users_of_other_models(command, varied_run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "BLOCK", 5)
    run = run_folder.Run(varied_run_of(*command.split()))
    everyone.write(models.open_run(run), Request(n=4), tmp_path / "all.csv", False)
    check(run, Request(n=4), pd.read_csv(tmp_path / "all.csv"))


def test_a_strategy_that_a_run_lacks_is_refused_before_anything_is_written(varied_run_of, tmp_path):
    saved = models.open_run(run_folder.Run(varied_run_of("itemknn")))
    with pytest.raises(UserError, match="itemknn has no latent space, so there is no --by decoder"):
        everyone.write_parts(saved, Request("decoder", 4), tmp_path / "parts", models.open_run)
    assert not (tmp_path / "parts").exists()


def test_nobody_is_recommended_what_they_rated_hidden_or_not(run, tmp_path):
    ratings, hidden = run.split.ratings, run.split.part == Subset.TEST
    assert hidden.sum() > 100
    everyone.write(models.open_run(run), Request(n=34), tmp_path / "all.csv", False)
    told = pd.read_csv(tmp_path / "all.csv").groupby("userId").movieId.agg(set)
    for user, raw in enumerate(ratings.user_ids.tolist()):
        rated = set(ratings.movie_ids[ratings.movie[ratings.user == user]].tolist())
        assert told[raw] == set(ratings.movie_ids.tolist()) - rated


def test_what_all_parts_take_is_made_once(run, tmp_path, monkeypatch):
    made = []
    for owner, name in ((Saved, "scorer"), (type(run.split), "known"), (type(run.split.ratings), "matrix")):
        one = vars(owner)[name]
        if isinstance(one, property):
            counted = property(lambda it, one=one, name=name: made.append(name) or one.fget(it))
        else:
            counted = lambda it, *args, one=one, name=name: made.append((name, *args)) or one(it, *args)  # noqa: E731
        monkeypatch.setattr(owner, name, counted)
    lines = []
    monkeypatch.setattr(everyone, "PART", 7)
    writing = table_writer.writing
    monkeypatch.setattr(table_writer, "writing", lambda *args: lines.append(args[0]) or writing(*args))
    asked = Request("movies", 4)
    assert everyone.write_parts(models.open_run(run), asked, tmp_path / "parts", models.open_run) == (43, 7, 0)
    assert len(lines) == 7
    assert made.count(("scorer", "movies")) == 1
    assert made.count(("matrix",)) == 1  # of all ratings
    once = len(made)
    made.clear()
    everyone.write(models.open_run(run), asked, tmp_path / "all.parquet", True)
    assert len(made) == once  # a single file takes as much
    parts = [pd.read_parquet(path) for path in sorted((tmp_path / "parts").glob("*.parquet"))]
    assert [len(part.userId.unique()) for part in parts] == [7, 7, 7, 7, 7, 7, 1]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), pd.read_parquet(tmp_path / "all.parquet"))
    made.clear()
    (tmp_path / "parts" / ".mine").touch()
    (tmp_path / "parts" / ".part-00001.parquet.7.part").touch()  # of a process that was killed
    assert everyone.write_parts(models.open_run(run), asked, tmp_path / "parts", models.open_run) == (43, 7, 7)
    assert made == []  # nothing is left to write
    hidden = [path.name for path in (tmp_path / "parts").iterdir() if path.name.startswith(".")]
    assert ".mine" in hidden
    assert ".part-00001.parquet.7.part" not in hidden


@pytest.mark.parametrize(
    "other", [Request(n=4, filters=reranking.Options(genre=("War",))), Request(n=5), Request("movies", 4)]
)
def test_a_folder_of_other_lists_is_refused(other, run, tmp_path):
    saved = models.open_run(run)
    everyone.write_parts(saved, Request(n=4), tmp_path / "parts", models.open_run)
    with pytest.raises(UserError, match="holds something else than these recommendations"):
        everyone.write_parts(saved, other, tmp_path / "parts", models.open_run)


def test_a_folder_of_another_run_or_of_other_parts_is_refused(run, run_of, tmp_path, monkeypatch):
    everyone.write_parts(models.open_run(run), Request(n=4), tmp_path / "parts", models.open_run)
    another = run_folder.Run(run_of("itemknn", "--neighbours", "7"))
    with pytest.raises(UserError, match="holds something else than these recommendations"):
        everyone.write_parts(models.open_run(another), Request(n=4), tmp_path / "parts", models.open_run)
    monkeypatch.setattr(everyone, "PART", 11)
    with pytest.raises(UserError, match="holds something else than these recommendations"):
        everyone.write_parts(models.open_run(run), Request(n=4), tmp_path / "parts", models.open_run)


def test_what_was_there_is_said_and_only_the_rest_is_written(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(everyone, "PART", 20)
    asked = ["--all-users", "--out", str(tmp_path / "parts"), "--run", str(run.folder), "-n", "2"]
    for said in ("3 parts", "3 parts, of which 1 were there", "3 parts, of which 3 were there"):
        recommend.main(asked)
        line = capsys.readouterr().out.splitlines()[-1]
        assert line.startswith("43 users in ")
        assert line.endswith(f"{tmp_path / 'parts'}, {said}")
        if said == "3 parts":
            kept = (tmp_path / "parts" / "part-00001.parquet").stat().st_ino
            for part in (0, 2):
                (tmp_path / "parts" / f"part-{part:05d}.parquet").unlink()
    assert (tmp_path / "parts" / "part-00001.parquet").stat().st_ino == kept


@pytest.mark.parametrize("starred", [True, False])
def test_lines_tell_user_rank_movie_and_figures_and_no_text_is_a_formula(starred, tmp_path):
    movies = Movies(
        np.array([10, 11, 12]), ["=A1", "B (1990)", "C"], [None, 1990, 2001], [[], ["War", "Drama"], ["War"]]
    )
    ratings = SimpleNamespace(user_ids=np.array([70, 80, 90]), movie_ids=movies.ids)
    blocks = [([1, 1, 2], [0, 1, 1], [0.1234567, 0.1, -2]), ([0], [2], [7])]
    for parquet in (False, True):
        path = tmp_path / "all"
        with table_writer.writing(path, parquet, SimpleNamespace(movies=movies, ratings=ratings)) as write:
            for users, chosen, scores in blocks:
                stars = np.float32(scores) + 3.00049 if starred else None
                write(np.array(users), np.array(chosen), np.float32(scores), stars)
        table = pd.read_parquet(path) if parquet else pd.read_csv(path, keep_default_na=False)
        assert table.userId.tolist() == [80, 80, 90, 70]
        assert table["rank"].tolist() == [1, 2, 1, 1]
        assert table.movieId.tolist() == [10, 11, 11, 12]
        assert table.title.tolist() == ["=A1" if parquet else "'=A1", "B (1990)", "B (1990)", "C"]
        assert table.genres.tolist() == ["", "War|Drama", "War|Drama", "War"]
        assert [int(year) for year in table.year[1:]] == [1990, 1990, 2001]
        assert table.score.tolist() == [0.12346, 0.1, -2, 7]
        assert table.get("predicted_rating", pd.Series()).tolist() == ([3.124, 3.1, 1.0, 10.0] if starred else [])
