"""Several people together: planted tastes, what each join picks, what each gets, files and users of the data."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import answer

import recommend
from utils.data.movies import Movies
from utils.errors import UserError
from utils.recommend import group, recommendations, reranking
from utils.recommend.profile import Profile
from utils.runs import run_folder
from utils.scoring.profile_rows import ProfileRows

TITLES = ["A's love", "B's love", "Compromise", "A likes", "B likes", "Seen by A"]
SCORES = {  # A's are a thousand times those of B, which must not matter
    "A": np.array([9, 1, 7, 8, 2, 99], np.float32) * 1000,
    "B": np.array([1, 9, 7, 2, 8, 99], np.float32) - 50,
}


def asked(join, n=5, filters=recommendations.ALL, people="AB", **more):
    """The answer to people whose scores of six movies are planted."""
    movies = Movies(np.arange(10, 16), TITLES, [1990, 1991, 1992, 1993, 1994, 1995], more.get("genres", [[]] * 6))
    saved = SimpleNamespace(
        strategy=lambda by: by,
        run=SimpleNamespace(movies=movies, folder="runs/x"),
        ratings=SimpleNamespace(movie_known=np.array(more.get("known", [5] * 6)), like=more.get("likes")),
        genre_shares=np.ones((6, 1)),
        scores=lambda profile, _, candidates: more.get("scores", SCORES)[profile.name][candidates][None],
        stars=lambda profile, movies: SCORES[profile.name][movies] / 10 if profile.name == "A" else None,
    )
    seen = {"A": np.array([5]), "B": np.array([], np.intp), "C": np.array([], np.intp)}
    profiles = [(who, Profile(ProfileRows.of([5], [4]), seen[who], name=who, notes=[f"of {who}"])) for who in people]
    return group.recommend(saved, profiles, "decoder", n, join, filters, more.get("watchlist"))


def titles(facts):
    return [item["title"] for item in facts["items"]]


def test_each_join_gives_its_list_whatever_the_scale_of_the_scores():
    # ranks of A: 1 5 3 2 4, of B: 5 1 3 4 2; all means are 3, the worst ranks 5 5 3 4 4
    assert titles(asked("least-misery"))[0] == "Compromise"
    assert set(titles(asked("least-misery"))[1:3]) == {"A likes", "B likes"}
    assert titles(asked("fair")) == ["A's love", "B's love", "A likes", "B likes", "Compromise"]
    assert [item["turn"] for item in asked("fair")["items"]] == ["A", "B", "A", "B", "A"]
    even = {"A": np.array([1, 2, 3, 4, 5, 0], np.float32), "B": np.array([5, 1, 4, 2, 3, 0], np.float32)}
    # ranks of A: 5 4 3 2 1, of B: 1 5 2 4 3; the worst are 5 5 3 4 3, of which the means 3 4.5 2.5 3 2 decide
    last = titles(asked("least-misery", scores=even))
    assert last == [TITLES[movie] for movie in (4, 2, 3, 0, 1)]
    scores = SCORES | {"B": np.array([8, 9, 1, 7, 2, 99], np.float32)}  # ranks 2 1 5 3 4: means 1.5 3 4 2.5 4
    assert titles(asked("average", scores=scores)) == ["A's love", "A likes", "B's love", "Compromise", "B likes"]
    assert [item["score"] for item in asked("average", scores=scores)["items"]] == [0.875, 0.625, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("join", ["average", "least-misery", "fair"])
def test_what_each_gives_is_of_the_movie_that_is_listed(join):
    items = asked(join, watchlist=[1, 3, 4])["items"]
    assert len(items) == 3
    for item in items:
        movie, (a, b) = TITLES.index(item["title"]), item["people"]
        assert (a["score"], a["predicted_rating"]) == (SCORES["A"][movie], SCORES["A"][movie] / 10)
        assert (b["score"], "predicted_rating" in b) == (SCORES["B"][movie], False)


def test_the_ratings_of_all_keep_their_movies():
    of_each = (([4, 1], [1.0, 5.0]), ([3], [2.0]))
    rows = group._all_ratings([SimpleNamespace(rows=ProfileRows.of(movies, stars)) for movies, stars in of_each])
    assert dict(zip(rows.movies.tolist(), rows.stars[0].tolist(), strict=True)) == {1: 5, 3: 2, 4: 1}


def test_a_list_that_can_not_be_calibrated_is_said():
    movies = {"genres": [["War"]] * 6, "likes": 4}  # a rating of 4 stars is no like
    assert asked("average", filters=reranking.Options(calibrated=True), **movies)["notes"][2:] == [
        "no genre is known to be liked, so the list is not calibrated"
    ]
    assert len(asked("average", **movies)["notes"]) == 2


def test_what_one_of_them_has_seen_is_left_out_unless_asked_for():
    assert "Seen by A" not in titles(asked("average", people="BA"))
    assert titles(asked("average", filters=reranking.Options(include_seen=True)))[0] == "Seen by A"
    assert titles(asked("fair", watchlist={2, 4, 5})) == ["Compromise", "B likes"]
    assert asked("fair", watchlist={2, 4, 5})["notes"] == [
        "of A",
        "of B",
        "of the watchlist 3 are in the data, 1 seen already, 2 left",
    ]
    assert asked("least-misery", watchlist={5})["items"] == asked("fair", watchlist={5})["items"] == []


def test_each_movie_has_what_it_is_for_each():
    item = asked("fair", 2)["items"][1]
    assert item["people"] == [
        {"who": "A", "rank": 5.0, "score": 1000.0, "predicted_rating": 100.0},
        {"who": "B", "rank": 1.0, "score": -41.0},
    ]
    assert (item["rank"], item["score"], item["turn"]) == (2, 1.0, "B")


def test_of_movies_of_one_score_the_mean_rank_counts():
    ranks = group.ranks_of(np.array([[3, 1, 1, 2, 1], [0, 0, 0, 0, 0]], np.float32))
    assert ranks.tolist() == [[1, 4, 4, 2, 4], [3, 3, 3, 3, 3]]
    top, turns = group.take_turns(ranks, 4)
    assert (top.tolist(), turns.tolist()) == ([0, 3, 1, 2], [0, 1, 0, 1])


def test_what_one_of_them_can_not_have_is_on_no_list():
    scores = SCORES | {"B": np.array([1, 9, -np.inf, 2, 8, 99], np.float32)}
    assert set(titles(asked("average", scores=scores))) == {"A's love", "B's love", "A likes", "B likes"}


def test_who_is_told_nothing_apart_gets_what_most_people_rated():
    scores = {"A": np.zeros(6, np.float32), "B": np.array([1, 3, 2, 4, 5, 6], np.float32)}
    told = asked("fair", people="AB", scores=scores, known=[9, 1, 8, 3, 2, 9], watchlist={1, 3, 4})
    assert titles(told) == [TITLES[movie] for movie in (3, 4, 1)]
    assert [item["people"][0]["rank"] for item in told["items"]] == [1, 2, 3]
    assert [item["people"][0]["predicted_rating"] for item in told["items"]] == [800, 200, 100]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(run_of, tmp_path):
    """(run, files of two people: one rated even movies high, the other odd ones)."""
    run = run_folder.Run(run_of("joint", "--hidden", "8", "--epochs", "2", "--protocol", "all"))
    paths = []
    for odd in (0, 1):
        rated = [(title, 5 if movie % 2 == odd else 1) for movie, title in enumerate(run.movies.titles[:8])]
        paths.append(tmp_path / f"{'odd' if odd else 'even'}.csv")
        paths[-1].write_text("title,rating\n" + "".join(f"{title},{stars}\n" for title, stars in rated))
    return run.folder, *paths


def kinds(facts):
    return [int(title.split()[1]) % 2 for title in titles(facts)]


def test_people_of_two_tastes_are_served_in_turn(files, capsys):
    folder, even, odd = files
    options = ("--run", folder, "--by", "neighbours", "-n", 8)
    fair = answer(capsys, "--for-all", even, odd, "--join", "fair", *options)
    assert kinds(fair) == [0, 1] * 4
    assert fair["people"] == [item["turn"] for item in fair["items"][:2]] == [str(even), str(odd)]
    alone = answer(capsys, "--ratings", even, *options)
    assert titles(fair)[0] == titles(alone)[0]
    of_each = [person["predicted_rating"] for person in fair["items"][0]["people"]]
    assert of_each[0] == alone["items"][0]["predicted_rating"] > of_each[1]
    assert f"{even}: 8 lines: 8 rated movies are in the data" in fair["notes"]


def test_several_files_of_ratings_are_several_people(files, capsys):
    folder, even, odd = files
    one = answer(capsys, "--for-all", even, odd, "--run", folder)
    assert one == answer(capsys, "--ratings", even, "--ratings", odd, "--run", folder) | {"seconds": one["seconds"]}
    two = answer(capsys, "--ratings", even, odd, "--run", folder, "--for-all", 3)
    assert two["people"] == [3, str(even), str(odd)]
    unseen = {item["title"] for item in answer(capsys, "--user", 3, "--run", folder, "-n", 30)["items"]}
    assert set(titles(two)) == unseen - {f"Planted {movie} (19{50 + movie})" for movie in range(8)}


def test_people_are_shown_as_a_table_and_as_csv(files, capsys):
    folder, _, odd = files
    recommend.main(["--for-all", "3", str(odd), "--run", str(folder), "-n", "2"])
    out = capsys.readouterr().out
    assert "For 3 and odd.csv, by " in out
    recommend.main(["--for-all", "3", str(odd), "--run", str(folder), "--csv", "-"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    facts = answer(capsys, "--for-all", "3", odd, "--run", folder)
    for row, item in zip(rows, facts["items"], strict=True):
        for person in item["people"]:
            assert float(row[f"rank of {person['who']}"]) == person["rank"]
            assert float(row[f"predicted_rating of {person['who']}"]) == person["predicted_rating"]


def test_a_file_called_as_a_user_is_said(files, capsys, tmp_path, monkeypatch):
    folder, even, _ = files
    monkeypatch.chdir(tmp_path)
    even.rename(tmp_path / "3")
    facts = answer(capsys, "--for-all", "3", "4", "--run", folder)
    assert facts["people"] == [3, 4]
    assert facts["notes"] == ["3 is read as a user of the data; ./3 is the file"]
    assert answer(capsys, "--for-all", "./3", "4", "--run", folder)["people"] == ["./3", 4]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--for-all 3", "--for-all takes two or more people, each once"),
        ("--for-all 3 3", "--for-all takes two or more people, each once"),
        ("--for-all 3 99", "there is no user 99"),
        ("--for-all 3 none.csv", "none.csv: can't be read"),
        ("--for-all 3 4 --rate Heat=4", "one of --user"),
        ("--ratings a.csv b.csv --rate Heat=4", "--rate, --explain and --discover are for one person"),
        ("--for-all 3 4 --discover 2", "--rate, --explain and --discover are for one person"),
        ("--for-all 3 4 --explain", "--rate, --explain and --discover are for one person"),
        ("--user 3 --join fair", "--join says how several people are joined; give --for-all"),
        ("--for-all 3 4 --join fair --diverse 0.3", "--diverse and --calibrated go with the other joins"),
        ("--for-all 3 4 --join best", "best"),
    ],
)
def test_what_does_not_go_with_several_people_is_said(files, arguments, said):
    with pytest.raises(UserError, match=said):
        recommend.main([*arguments.split(), "--run", str(files[0])])
