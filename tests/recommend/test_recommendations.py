"""recommend.py for known and new users: the same list however somebody is known, reasons, filters, everyone at once."""

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import answer
from trained import TABLE, trained

import models
import recommend
from utils.data import splits
from utils.data.splits import KNOWN
from utils.errors import UserError
from utils.evaluation import holdout_metrics, prediction_ranges
from utils.evaluation.prediction_ranges import PredictionRanges
from utils.recommend import profile, recommendations, strategies
from utils.runs import run_folder
from utils.runs.user_ratings import UserRatings
from utils.scoring import encoders
from utils.scoring.profile_rows import ProfileRows

QUICK = ("--hidden", "8", "--epochs", "2")
ALL = ("--protocol", "all")  # nothing is held out, so that a user's known ratings are all they have
LATENT = [name for name in models.names() if models.module(name).Model.has_latent_space]
PLAIN = {"autorec", "deeprec", "elsa", "joint", "multdae", "multvae", "sparsefc"}  # whose encoders are dense layers


@pytest.fixture
def run(run_of):
    """Trained by small steps: after larger ones the neighbours of user 1 like one movie alone, and all others tie."""
    return run_folder.Run(run_of("joint", *QUICK, "--learning-rate", "0.001", *ALL))


def movies_of(run):
    return np.arange(run.split.ratings.shape[1])


def typed(run, user):
    """--rate arguments that say what is known of a user."""
    ratings = run.split.ratings
    rows = np.flatnonzero((ratings.user == user) & np.isin(run.split.part, KNOWN))
    return ["--rate"] + [
        f"{run.movies.titles[m]}={s:g}" for m, s in zip(ratings.movie[rows], ratings.rating[rows], strict=True)
    ]


# -- the same numbers on every path ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"signed": True}, {"baseline": False, "implicit": False, "normalise": False}])
@pytest.mark.parametrize("name", LATENT)
def test_the_encoder_without_keras_says_what_keras_does(name, options, tmp_path):
    known = models.module(name).Config.__dataclass_fields__
    if not options.keys() <= known.keys():
        pytest.skip(f"{name} has no such option")
    if options and name not in PLAIN:
        pytest.skip(f"{name} needs Keras whatever its options are")
    rows = {"rows": "users"} if name in PLAIN and "rows" in known else {}
    if name not in PLAIN:
        model = models.build(name, TABLE.shape, models.module(name).Config(hidden=(8, 4)))
        model._build(TABLE.matrix())
        model.encode_all(TABLE.matrix())
        model.save(tmp_path)
        assert not (tmp_path / "encoder.npz").exists()
        return
    model, split = trained(name, **rows, **options)
    model.save(tmp_path)
    assert (tmp_path / "encoder.npz").exists()
    encode = encoders.load(SimpleNamespace(arrays=lambda name, _: dict(np.load(tmp_path / name))))
    given = split.train.tolil()
    given[5] = 0
    given = given.tocsr()
    expected = model.encode(given)  # in numpy, too, for many rows at a time
    by_keras = model._apply(model.encoder, model._network_rows(given))
    np.testing.assert_allclose(expected, by_keras, atol=1e-5)
    for user in range(8):
        row = given[[user]]
        np.testing.assert_allclose(encode(ProfileRows.of(row.indices, row.data)), expected[[user]], atol=1e-5)


@pytest.mark.parametrize("protocol", ["random", "strong"])
@pytest.mark.parametrize("name", ["joint", "autorec", "multvae", "itemknn"])
def test_one_users_scores_are_what_evaluate_judges(protocol, name, run_of):
    quick = () if name == "itemknn" else QUICK
    held_out = ["--protocol", protocol, "--held-out", "6"] if protocol == "strong" else []
    run = run_folder.Run(run_of(name, *quick, *held_out))
    saved, split, users = models.open_run(run), run.split, np.arange(40)
    model, neighbourhoods = models.load(run), strategies.read_neighbourhoods(run.json("metrics.json"))
    judged = strategies.scorers(model, split.test, split.trained_users, neighbourhoods)
    assert saved.strategies == tuple(judged)
    for strategy, score in judged.items():
        expected = score(split.known[users], users)
        np.testing.assert_allclose(saved.scorer(strategy)(split.known[users], users), expected, atol=2e-4)
        for user in (0, 3, 39):
            them = profile.of_user(run.ratings, str(user + 1))
            np.testing.assert_allclose(saved.scores(them, strategy, movies_of(run))[0], expected[user], atol=2e-4)


@pytest.mark.parametrize("strategy", ["neighbours", "movies", "decoder"])
@pytest.mark.parametrize(
    ("name", "protocol"),
    [("joint", ALL), ("joint", ()), ("autorec", ALL), ("autorec", ()), ("multvae", ALL), ("recvae", ALL)],
)
def test_a_known_user_typed_in_as_a_new_one_gets_the_same_list(name, protocol, strategy, run_of, capsys):
    quick = ("--hidden", "8,4", "--epochs", "1", "--encoder-epochs", "1") if name == "recvae" else QUICK
    run = run_folder.Run(run_of(name, *quick, *protocol))
    for user in (0, 5):
        test = run.movies.ids[run.split.test.hidden[[user]].indices].tolist()  # kept from the user's own list only
        assert bool(test) == (protocol == ())
        known = answer(capsys, "--user", user + 1, "--run", run.folder, "--by", strategy, "-n", 24)["items"]
        new = answer(capsys, *typed(run, user), "--run", run.folder, "--by", strategy, "-n", 24)
        assert new["user"] is None
        assert {item["movieId"] for item in new["items"]} >= set(test)
        new["items"] = [item for item in new["items"] if item["movieId"] not in test]
        assert [item["movieId"] for item in known] == [item["movieId"] for item in new["items"]]
        for one, other in zip(known, new["items"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert one.get("predicted_rating", 0) == pytest.approx(other.get("predicted_rating", 0), abs=2e-3)


@pytest.mark.parametrize("strategy", ["neighbours", "movies", "decoder"])
def test_a_watchlist_holds_all_that_is_recommended_in_the_order_of_the_whole_list(strategy, run, capsys, tmp_path):
    file, asked = tmp_path / "watch.csv", ("--run", run.folder, "--by", strategy, "-n", 24)
    whole = answer(capsys, "--user", 1, *asked)["items"]
    unseen = [item["title"] for item in whole]
    seen = [title for title in run.movies.titles if title not in unseen]
    chosen = [*unseen[1::2], *seen[:3], "Sing (2016)"]
    file.write_text("title\n" + "\n".join(chosen) + "\n")
    facts = answer(capsys, "--user", 1, "--watchlist", file, *asked)
    assert [item["title"] for item in facts["items"]] == unseen[1::2]
    assert [item["score"] for item in facts["items"]] == [item["score"] for item in whole[1::2]]
    n = len(unseen[1::2])
    assert facts["notes"][1:] == [
        f"{file}: {n + 4} lines: {n + 3} movies are in the data, 1 not in the data",
        f"of the watchlist {n + 3} are in the data, 3 seen already, {n} left",
    ]
    again = answer(capsys, "--user", 1, "--watchlist", file, "--include-seen", *asked)
    assert {item["title"] for item in again["items"]} == {*unseen[1::2], *seen[:3]}
    few = answer(capsys, "--user", 1, "--watchlist", file, "--years", "1960-1973", *asked)
    years = [item["title"] for item in whole[1::2] if 1960 <= item["year"] <= 1973]
    assert [item["title"] for item in few["items"]] == years
    filtered = f"of the watchlist {n + 3} are in the data, 3 seen already, {n} left, {len(years)} of them let through"
    assert few["notes"][-1] == f"{filtered} by the filters"


def test_a_watchlist_goes_with_typed_ratings_and_a_file_of_them(run, capsys, tmp_path):
    watch, mine = tmp_path / "watch.txt", tmp_path / "mine.csv"
    watch.write_text("\n".join(run.movies.titles[:6]))
    mine.write_text(f"title,rating\n{run.movies.titles[0]},5\n")
    for given, seen in (("--rate", f"{run.movies.titles[2]}=5"), {2}), (("--ratings", mine), {0}):
        facts = answer(capsys, *given, "--watchlist", watch, "--run", run.folder)
        assert {item["title"] for item in facts["items"]} == {run.movies.titles[m] for m in set(range(6)) - seen}
        assert "of the watchlist 6 are in the data, 1 seen already, 5 left" in facts["notes"]
    mine.write_text("title,rating\n" + "".join(f"{title},4\n" for title in run.movies.titles[:6]))
    recommend.main(["--ratings", str(mine), "--watchlist", str(watch), "--run", str(run.folder)])
    assert capsys.readouterr().out.rstrip().endswith("no movie fits")
    for wrong in (["--like-movie", "Heat"], ["--all-users", "--csv", "-"]):
        with pytest.raises(UserError, match="--watchlist is for recommendations to one person"):
            recommend.main([*wrong, "--watchlist", str(watch), "--run", str(run.folder)])


def test_a_model_without_a_latent_space_takes_new_users(run_of, capsys):
    run = run_folder.Run(run_of("ease", *ALL))
    known = answer(capsys, "--user", 1, "--run", run.folder)["items"]
    assert known == answer(capsys, *typed(run, 0), "--run", run.folder)["items"]


def test_movies_as_rows_take_new_users_only_by_movies(run_of, capsys):
    folder = run_of("autorec", "--rows", "movies", *QUICK)
    with pytest.raises(UserError, match="knows no users but those it was trained on; --by movies does without"):
        recommend.main(["--rate", "planted 3=5", "--run", str(folder), "--by", "decoder"])
    assert answer(capsys, "--rate", "planted 3=5", "--run", folder, "--by", "movies")["items"]


def known_of(ratings, user):
    """{index of a movie: stars} of what is known of a user."""
    rows = profile.of_user(ratings, user).rows
    return dict(zip(rows.movies.tolist(), rows.stars[0].tolist(), strict=True))


def test_a_twin_in_the_data_is_no_neighbour(run):
    ratings, stars = run.ratings, known_of(run.ratings, "7")
    more = next(movie for movie in movies_of(run).tolist() if movie not in stars)
    assert profile.of_ratings(ratings, stars).excluded == 6
    assert profile.of_ratings(ratings, stars | {next(iter(stars)): 2.5}).excluded == -1
    assert profile.of_ratings(ratings, dict(list(stars.items())[1:])).excluded == -1
    assert profile.of_ratings(ratings, stars | {more: 5.0}).excluded == -1
    assert profile.of_ratings(ratings, {}).excluded == -1
    saved, twin = models.open_run(run), profile.of_ratings(ratings, stars)
    index, weight = saved.nearest(twin)
    assert 6 not in index[weight > 0]
    apart, its = saved.nearest(replace(twin, excluded=-1))
    assert (apart[0, 0], its[0, 0]) == (6, pytest.approx(1, abs=1e-3))  # it would be the nearest


@pytest.mark.parametrize("protocol", ["cold", "random"])
def test_nothing_of_the_test_reaches_who_types_the_known_ratings_of_a_user(protocol):
    split = splits.split(TABLE, protocol, splits.Options())
    hidden, twins = split.part == splits.Subset.TEST, 0
    users = np.unique(TABLE.user[hidden]).tolist()
    for user in users:
        stars = known_of(UserRatings.of(split), str(TABLE.user_ids[user]))
        them = profile.of_ratings(UserRatings.of(split), stars)
        twins += them.excluded == user
        assert them.seen.tolist() == sorted(stars)
        # were the test another one, the very same would be answered
        movies, at = TABLE.movie.copy(), np.flatnonzero(hidden & (TABLE.user == user))
        movies[at] = np.setdiff1d(np.arange(TABLE.shape[1]), TABLE.movie[TABLE.user == user])[: len(at)]
        other = replace(split, ratings=replace(TABLE, movie=movies))
        assert profile.of_ratings(UserRatings.of(other), stars).excluded == them.excluded
    assert twins > len(users) / 2
    them = profile.of_user(UserRatings.of(split), str(TABLE.user_ids[users[0]]))
    assert set(them.seen) == set(TABLE.movie[TABLE.user == users[0]])


# -- reasons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["neighbours", "movies", "decoder"])
def test_an_effect_is_the_score_less_that_without_the_rating(strategy, run, capsys):
    every = typed(run, 4)
    whole = answer(capsys, *every, "--explain", "--run", run.folder, "--by", strategy, "-n", 3, "--include-seen")[
        "items"
    ]
    for left_out in (1, 5):
        fewer = [one for i, one in enumerate(every) if i != left_out]
        # who is no neighbour stays: without the rating the person is nobody's twin, yet still the same person
        them = profile.of_ratings(run.ratings, profile.read_typed(run.titles, run.ratings.scale, fewer[1:])[0])
        them = profile.Profile(them.rows, them.seen, excluded=4)
        scores = models.open_run(run).scores(them, strategy, movies_of(run))[0]
        title = every[left_out].rpartition("=")[0]
        for item in whole:
            movie = run.movies.ids.tolist().index(item["movieId"])
            effect = next(one["effect"] for one in item["because"] if one["title"] == title)
            assert effect == pytest.approx(item["score"] - scores[movie], abs=2e-4)


def test_every_rating_of_the_user_has_an_effect_most_first(run, capsys, tmp_path):
    found = answer(capsys, "--user", 3, "--explain", "--run", run.folder, "--csv", tmp_path / "a.csv")
    n = int((run.split.ratings.user == 2).sum())
    for item in found["items"]:
        effects = [one["effect"] for one in item["because"]]
        assert len(effects) == n
        assert effects == sorted(effects, reverse=True)
    with open(tmp_path / "a.csv", newline="") as file:
        assert next(csv.DictReader(file))["because"].startswith("because you gave Planted")


def test_neighbours_say_how_many_of_them_liked_it(run, capsys):
    found = answer(capsys, "--user", 3, "--explain", "--by", "neighbours", "--run", run.folder)["items"][0]
    them, saved, ratings = profile.of_user(run.ratings, "3"), models.open_run(run), run.split.ratings
    index, weight = saved.nearest(them)
    near = {int(u) for u, w in zip(index[0], weight[0], strict=True) if w > 0}
    liked = sum(
        u in near and run.movies.ids[m] == found["movieId"] and s > 3.5
        for u, m, s in zip(ratings.user.tolist(), ratings.movie.tolist(), ratings.rating.tolist(), strict=True)
    )
    assert (found["liked_by_nearest"], found["nearest"]) == (liked, len(near))
    by_decoder = answer(capsys, "--user", 3, "--explain", "--by", "decoder", "--run", run.folder)["items"][0]
    assert "because" in by_decoder
    assert "nearest" not in by_decoder
    recommend.main(["--user", "3", "--explain", "--by", "neighbours", "--run", str(run.folder), "-n", "1"])
    words = " ".join(capsys.readouterr().out.split())
    assert "because" in words
    assert "nearest" in words


# -- filters -----------------------------------------------------------------------------------------------------------


def test_filters_never_shorten_the_list_while_enough_movies_exist(run, capsys):
    years = ("--years", "1953-1960")
    seen = answer(capsys, "--user", 1, "--run", run.folder, *years, "-n", 8, "--include-seen")["items"]
    assert len(seen) == 8
    assert all(1953 <= item["year"] <= 1960 for item in seen)
    unseen = answer(capsys, "--user", 1, "--run", run.folder, *years, "-n", 8)["items"]
    theirs = set(run.split.ratings.movie[run.split.ratings.user == 0].tolist())
    fits = [m for m in movies_of(run) if 1953 <= run.movies.years[m] <= 1960 and m not in theirs]
    assert {item["movieId"] for item in unseen} == set(run.movies.ids[fits].tolist())


def test_too_few_movies_are_said(run, capsys):
    recommend.main(["--user", "1", "--run", str(run.folder), "--years", "1953"])
    assert capsys.readouterr().out.endswith("there is no more than this one\n")


def test_where_everything_is_rated_that_is_said(run, capsys):
    user = run.ratings.user_ids[0].item()
    rated = run.split.ratings.movie[run.split.ratings.user == 0]
    years = sorted(set(run.movies.years) - {run.movies.years[m] for m in movies_of(run) if m not in rated} - {None})
    note = "every movie that the filters let through was seen already"
    facts = answer(capsys, "--user", user, "--run", run.folder, "--years", years[0])
    assert (facts["items"], facts["notes"]) == ([], [note])
    assert note not in answer(capsys, "--user", user, "--run", run.folder, "--years", 1800)["notes"]  # none fits at all


def test_movies_with_few_ratings_are_left_out(run, capsys):
    count = np.bincount(run.split.ratings.movie)
    most = int(np.sort(count)[-6])
    found = answer(capsys, "--user", 1, "--run", run.folder, "--include-seen", "-n", 24, "--min-ratings", most)["items"]
    assert {item["movieId"] for item in found} == set(run.movies.ids[count >= most].tolist())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--genre", "dramma"), "no movie has the genre 'dramma'; did you mean Drama?"),
        (("--years", "1990-1980"), "1990 is after 1980"),
        (("--years", "ninety"), "--years takes 1980-1989"),
        (("--years", "-"), "--years takes 1980-1989"),
        (("--diverse", "2"), "diverse must be from 0 to 1"),
        (("--diverse", "0.5", "--calibrated"), "give one"),
        (("--min-ratings", "-1"), "min-ratings must be 0 or more"),
        (("--discover", "-1"), "discover must be a whole number from 0"),
        (("--rate", "planted 3=5"), "more than one was given"),
        (("--parquet", "x"), "--parquet and --out are for --all-users"),
        (("--like-movie", ""), "more than one was given"),
    ],
)
def test_what_can_not_be_used_is_said(arguments, said, run):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        recommend.main(["--user", "1", "--run", str(run.folder), *arguments])


# -- everyone ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [(), ("--by", "movies", "--years", "1951-"), ("--diverse", "0.5"), ("--calibrated",)]
)
def test_everyone_gets_what_each_gets_alone(options, run, capsys, tmp_path):
    for target in ("--csv", "--parquet"):
        recommend.main(["--all-users", target, str(tmp_path / "all"), "--run", str(run.folder), "-n", "3", *options])
        if target == "--csv":
            with open(tmp_path / "all", newline="") as file:
                rows = [(int(r["userId"]), int(r["rank"]), int(r["movieId"])) for r in csv.DictReader(file)]
        else:
            table = pq.read_table(tmp_path / "all").to_pydict()
            rows = list(zip(table["userId"], table["rank"], table["movieId"], strict=True))
        for user in (1, 2, 40):
            alone = answer(capsys, "--user", user, "--run", run.folder, "-n", 3, *options)["items"]
            assert [(user, item["rank"], item["movieId"]) for item in alone] == [r for r in rows if r[0] == user]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all"]


def test_an_unwritable_file_is_said_and_leaves_nothing(run, tmp_path):
    with pytest.raises(UserError, match="can't be written"):
        recommend.main(["--all-users", "--csv", str(tmp_path / "none" / "all.csv"), "--run", str(run.folder)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--csv", "a", "--parquet", "b"), "one of --csv FILE, --parquet FILE, --out DIR"),
        ((), "one of --csv FILE, --parquet FILE, --out DIR"),
        (("--csv", "a", "--explain"), "no --json, no --explain"),
    ],
)
def test_where_everyones_go_is_said_once(arguments, said, run):
    with pytest.raises(UserError, match=said):
        recommend.main(["--all-users", "--run", str(run.folder), *arguments])


def test_everyones_recommendations_go_into_a_pipe_as_they_are(run, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        recommend.main(["--all-users", "--csv", str(pipe), "--run", str(run.folder), "-n", "1"])
        rows = read.result(timeout=60).splitlines()
    assert pipe.is_fifo()
    capsys.readouterr()
    recommend.main(["--all-users", "--csv", "-", "--run", str(run.folder), "-n", "1"])
    assert capsys.readouterr().out.splitlines() == rows


def test_a_parquet_file_has_its_types_even_where_nothing_is_recommended(run, tmp_path):
    recommend.main(["--all-users", "--parquet", str(tmp_path / "p"), "--run", str(run.folder), "--years", "1800"])
    table = pq.read_table(tmp_path / "p")
    assert len(table) == 0
    assert [str(table.schema.field(name).type) for name in ("title", "year", "genres")] == ["string", "int64", "string"]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_what_was_typed_is_repeated_as_it_was_understood(run, capsys):
    recommend.main(["--rate", "planetd 3=5", "planted 4=1.5", "--run", str(run.folder), "-n", "1"])
    assert "your ratings: Planted 3 5; Planted 4 1.5" in capsys.readouterr().out


def test_an_empty_title_names_no_movie(run):
    for asked in ("--like-movie", "--similar-users"):
        with pytest.raises(UserError, match=r"no movie is called ''|there is no user"):
            recommend.main([asked, "", "--run", str(run.folder)])


def test_scores_that_say_nothing_are_said_to_and_the_most_rated_come_first(run, capsys):
    found = answer(capsys, "--rate", "planted 3=1", "--by", "movies", "--run", run.folder, "-n", 30)
    assert "the most rated come first" in found["notes"][0]
    count = np.bincount(run.split.ratings.movie)
    at = [run.movies.ids.tolist().index(item["movieId"]) for item in found["items"]]
    assert count[at].tolist() == sorted(count[at], reverse=True)
    assert len(found["items"]) == 23


def test_calibrating_by_nothing_is_said(run, capsys):
    found = answer(capsys, "--rate", "planted 3=1", "--calibrated", "--run", run.folder)
    assert "not calibrated" in found["notes"][0]


def test_the_range_of_a_movie_goes_by_the_known_ratings_of_person_and_movie(run_of):
    run = run_folder.Run(run_of("itemknn"))
    saved, n = models.open_run(run), run.split.ratings.shape[1]
    known = len(profile.of_user(saved.ratings, "3").rows.movies)
    assert known < len(profile.of_user(saved.ratings, "3").seen)  # the test ratings are not counted
    often = int(np.median(run.split.known_count))
    assert (saved.ratings.movie_likes < often).all()  # likes are not counted
    edges, low = (
        [[3, known + 1], [often], []],
        [[-0.5, -0.25, -0.1], [0, 0], [0]],
    )  # the low end by the person's, the high end by the movie's
    saved.ranges = PredictionRanges(edges, low, [[0, 0], [0.1, 0.2], [0]])
    few, many = profile.of_ratings(saved.ratings, {0: 4.0, 1: 3.0}), profile.of_user(saved.ratings, "3")
    assert len(many.rows.movies) >= 3
    for person, down in ((few, 0.5), (many, 0.25)):
        for item in recommendations.recommend(saved, person, "best", n)["items"]:
            movie = int(np.flatnonzero(run.movies.ids == item["movieId"])[0])
            up, stars = 0.2 if run.split.known_count[movie] >= often else 0.1, item["predicted_rating"]
            assert item["predicted_rating_low"] == pytest.approx(max(stars - down, 0.5), abs=2e-3)
            assert item["predicted_rating_high"] == pytest.approx(min(stars + up, 5), abs=2e-3)


def test_training_learns_the_ranges_on_validation_alone(run_of):
    """With the counts of what training knew, by the model before it was trained again."""
    run = run_folder.Run(run_of("bias", "--validation-share", "0.4"))
    split = run.split
    assert split.validation.hidden.nnz >= prediction_ranges.LEAST
    model = models.build("bias", split.ratings.shape, scale=split.ratings.scale)
    model.refit(split.train, None)
    predicted = holdout_metrics.predicted(model.predict, split.validation, split.ratings.scale)
    assert run.json("metrics.json")["ranges"] == prediction_ranges.learn(predicted, split.validation.given)


def test_samples_are_of_users_with_few_to_many_ratings_and_what_they_rated_highest(run):
    saved, users = models.open_run(run), np.array([3, 8, 12, 17, 20, 25, 31, 33, 36, 39])
    count = saved.ratings.user_known.copy()
    count[users] = [70, 10, 90, 50, 30, 20, 60, 40, 80, 100]
    saved.ratings = replace(saved.ratings, user_known=count)
    entries = recommendations.samples(saved, users)
    assert [entry["user"] for entry in entries] == [26, 32, 40]  # of 20, 60 and 100 ratings; ids begin at 1
    for entry in entries:
        stars = sorted(known_of(run.ratings, str(entry["user"])).values(), reverse=True)
        assert (entry["ratings"], [one["rating"] for one in entry["liked"]]) == (len(stars), stars[:5])
        assert [len(item["because"]) for item in entry["items"]] == [2] * 5
    assert recommendations.samples(saved, users[:0]) == []


def test_a_reason_names_two_ratings_that_speak_for_a_movie_and_none_against():
    def because(*effects):
        return {"because": [{"title": f"M{i}", "rating": i, "effect": e} for i, e in enumerate(effects)]}

    assert recommendations.sentence(because(3, 2, 1)) == "because you gave M0 0 and M1 1"
    assert recommendations.sentence(because(3, -2)) == "because you gave M0 0"
    said = recommendations.sentence(because(0, -2) | {"liked_by_nearest": 4, "nearest": 9})
    assert said == "no single rating of yours speaks for it; 4 of your 9 nearest liked it"


def test_a_list_as_csv_has_a_column_for_each_fact():
    item = {
        "rank": 1,
        "movieId": 7,
        "title": "=A, The (1990)",
        "name": "The A",
        "year": 1990,
        "genres": ["Drama", "War"],
    }
    item |= {"score": 0.5, "predicted_rating": 4.5, "predicted_rating_low": 4.0, "predicted_rating_high": 5.0}
    rated = [{"title": "B (1991)", "rating": 4.5, "effect": 0.2}, {"title": "C (1992)", "rating": 1.0, "effect": -0.1}]
    item |= {"because": rated, "nearest": 80, "liked_by_nearest": 20}
    (row,) = csv.DictReader(recommendations.as_csv({"items": [item]}).splitlines())
    assert list(row) == [*list(item)[:10], "because"]
    assert list(row.values())[2:] == [
        *("'=A, The (1990)", "The A", "1990", "Drama|War", "0.5", "4.5", "4.0", "5.0"),
        "because you gave B 4.5; 20 of your 80 nearest liked it",
    ]
    people = [{"who": who, "rank": rank, "predicted_rating": rank + 0.5} for who, rank in (("you", 2.0), ("they", 1.0))]
    (row,) = csv.DictReader(recommendations.as_csv({"items": [{"rank": 1, "people": people}]}).splitlines())
    assert [row[f"{column} of {who}"] for who in ("you", "they") for column in recommendations.OF_EACH] == [
        *("2.0", "2.5", "1.0", "1.5")
    ]
    user = {"rank": 1, "user": 3, "cosine": 0.9, "both_rated": 4, "both_like": [{"title": "A"}, {"title": "B"}]}
    (row,) = csv.DictReader(recommendations.as_csv({"items": [user]}).splitlines())
    assert row == {"rank": "1", "user": "3", "cosine": "0.9", "both_rated": "4", "both_like": "A|B"}
    assert recommendations.as_csv({"items": []}).splitlines() == [
        "rank,movieId,title,name,year,genres,score,predicted_rating"
    ]
