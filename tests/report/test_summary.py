"""What evaluate.py says in words: which way a difference goes, and beside what."""

import pytest

from utils.report import summary

ABOVE = {"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.01}
BELOW = {"value": -0.2, "low": -0.3, "high": -0.1, "p": 0.01}


@pytest.mark.parametrize(
    ("metric", "above", "below"),
    [
        ("rmse", "worse", "better"),
        ("mae", "worse", "better"),
        ("ndcg@100", "better", "worse"),
        ("recall@20", "better", "worse"),
        ("calibration@10", "worse", "better"),
        ("coverage@10", "higher", "lower"),
    ],
)
def test_more_is_better_worse_or_neither(metric, above, below):
    assert (summary.verdict(metric, ABOVE), summary.verdict(metric, BELOW)) == (above, below)
    for unsure in (ABOVE | {"p": 0.06}, ABOVE | {"low": -0.1}, BELOW | {"p_holm": 0.06}):
        assert summary.verdict(metric, unsure) == "can't tell"


def test_where_the_interval_alone_would_tell_p_says_why_not():
    row = ABOVE | {"value": 0.2, "low": 0.1, "high": 0.3, "p": 0.06}
    start = "RMSE vs bias: +0.2000 (95% CI +0.1000 to +0.3000"
    assert summary.sentence("rmse", row, "bias") == f"{start}, p = 0.06), can't tell"
    assert summary.sentence("rmse", row | {"p_holm": 0.5}, "bias") == f"{start}, adjusted p = 0.5), can't tell"
    assert summary.sentence("rmse", row | {"p": 0.01}, "bias") == f"{start}), worse"
    assert summary.sentence("rmse", row | {"low": -0.1}, "bias").endswith("(95% CI -0.1000 to +0.3000), can't tell")


def judged(model="blend", **more):
    """As much of what evaluate.py finds out as headlines take."""
    parts = [
        {"part": f"p{i}", "metrics": {"rmse": {"value": rmse}, "ndcg@100": {"value": ndcg}}}
        | {"blend_less_part": {"rmse": BELOW | {"value": -i}, "ndcg@100": ABOVE | {"value": i}}}
        for i, (rmse, ndcg) in enumerate([(0.9, 0.3), (0.8, 0.2), (0.95, 0.4)], 1)
    ]
    less = {name: {"rmse": BELOW, "ndcg@100": ABOVE} for name in ("bias", "popularity", "itemknn")}
    protocol = {"test_users_with_likes": 3, "like": 3.5}
    return {
        "model": model,
        "parts": parts,
        "less_baselines": less,
        "protocol": protocol,
        "slices": [],
        "metrics": {},
        "ranges": None,
    } | more


def test_a_blend_stands_beside_its_best_part_of_each_task():
    said = summary.summarise(judged())["headlines"][-2:]
    assert said[0].startswith("RMSE vs part 2, the best on the test: -2.0000")
    assert said[1].startswith("NDCG@100 vs part 3, the best on the test: +3.0000")


def test_each_task_stands_beside_its_baselines_and_none_beside_itself():
    beside = {"RMSE vs bias", "NDCG@100 vs popularity", "NDCG@100 vs itemknn"}
    assert {line.split(":")[0] for line in summary.summarise(judged("joint", parts=[]))["headlines"]} == beside
    own = summary.summarise(judged("itemknn", parts=[]))["headlines"]
    assert {line.split(":")[0] for line in own} == beside - {"NDCG@100 vs itemknn"}


def test_only_what_the_run_itself_has_is_a_column():
    facts = {"model": "x", "method": "model", "parts": [], "metrics": {"rmse": {}}, "methods": {"model": {}}}
    facts["protocol"] = {"test_users_with_likes": 3}
    facts["baselines"] = {"mean": {"mae": {}}, "bias": {"rmse": {}, "ndcg@100": {}}}
    names, rows = summary.table_rows(facts, ["mae", "rmse", "ndcg@100"])
    assert names == ["rmse"]
    assert [row[0] for row in rows] == ["x", "bias"]
    facts["metrics"] |= {"ndcg@10": {}}
    names, rows = summary.table_rows(facts, ["mae", "rmse", "ndcg@10"])
    assert names == ["rmse", "ndcg@10"]
    assert [row[0] for row in rows] == ["x", "bias"]  # which has one of them


def slice_of(by, name, metric, difference):
    return {"by": by, "slice": name, "metrics": {}, "less_rest": {metric: difference}, "differs": [metric]}


def test_three_plain_sentences_say_how_good_for_whom_bad_and_what_is_rare():
    metrics = {
        name: {"value": value} for name, value in (("mae", 0.667), ("recall@20", 0.3316), ("coverage@10", 0.069))
    }
    slices = [
        slice_of("ratings of the user", "5 to 19", "ndcg@100", BELOW),
        slice_of("ratings of the user", "100+", "ndcg@100", ABOVE),
        slice_of("age", "under 18", "rmse", ABOVE),
        slice_of("ratings of the movie", "0", "like_ndcg@100", BELOW),
        slice_of("ratings of the movie", "1 to 4", "like_ndcg@100", BELOW),
        slice_of("genre", "War", "like_ndcg@100", BELOW) | {"differs": []},
    ]
    facts = judged(metrics=metrics, slices=slices, baselines={"popularity": {"recall@20": {"value": 0.1734}}})
    assert summary.plain(facts) == [
        "How good it is: its stars are off by 0.67 on average; of what somebody came to like, its first 20 movies hold "
        "33% (the 20 most popular ones: 17%).",
        "For whom it is bad: users with 5 to 19 ratings, users aged under 18.",
        "What it rarely recommends: 93% of all movies are on nobody's list of ten; of what people like it finds least "
        "often movies with 0 or 1 to 4 ratings.",
    ]
    assert summary.plain(judged(metrics={"mae": {"value": 1}})) == [
        "How good it is: its stars are off by 1.00 on average.",
        "It is worse for no group of users by more than chance.",
    ]


def test_the_share_that_ranges_hold_is_said_with_the_extremes_of_their_groups():
    slices = [{"by": by, "held": held} for by, held in [("ratings of the user", 0.88), ("genre", 0.5)]]
    ranges = {
        "share": 0.9,
        "held": 0.912,
        "width": 2.34,
        "slices": [*slices, {"by": "ratings of the movie", "held": 0.95}],
    }
    held = "90% ranges around predicted stars hold 91.2% of the test ratings, and are 2.3 stars wide"
    said = summary.summarise(judged(ranges=ranges))["headlines"][-1]
    assert said == f"{held}; by number of ratings of user and movie 88.0% to 95.0%"
    assert summary.about_ranges({"ranges": ranges | {"slices": slices[1:]}}) == [held]
    assert summary.about_ranges({"ranges": None}) == []


def test_a_list_that_could_not_be_judged_is_said_with_the_threshold():
    (why,) = summary.why_no_lists({"protocol": {"test_users_with_likes": 0, "like": 3.5}})
    assert why.startswith("no test rating is a like (above 3.5 stars)")
    assert summary.why_no_lists({"protocol": {"test_users_with_likes": 1, "like": 3.5}}) == []


def test_the_row_of_the_run_comes_first_then_strategies_parts_and_baselines():
    facts = {"model": "blend", "method": "decoder", "metrics": {"rmse": {"value": 0.12345}}}
    facts["methods"] = {"neighbours": {"rmse": {"value": 2}}, "decoder": {"rmse": {"value": 3}}}
    facts["parts"] = [{"part": "joint --seed 1", "metrics": {"rmse": {"value": 4}}}]
    facts |= {"baselines": {"bias": {"rmse": {"value": 5}}}, "protocol": {"test_users_with_likes": 3}}
    rows = summary.table_rows(facts, ["rmse"])[1]
    assert [(row.name, row.path, row.metrics["rmse"]["value"]) for row in rows] == [
        ("blend neighbours", ("methods", "neighbours"), 2),
        ("blend decoder", ("metrics",), 0.12345),
        ("part 1, joint", ("parts", 0, "metrics"), 4),
        ("bias", ("baselines", "bias"), 5),
    ]
    table = summary.metrics_table(facts, ["rmse"], None, 4)
    assert [*table.columns[1].cells] == ["2.0000", "0.1235", "4.0000", "5.0000"]
    assert [row.end_section for row in table.rows] == [False, False, True, False]  # a line before the baselines
    assert [row.style for row in table.rows] == [None, "bold", None, None]
    facts["protocol"]["test_users_with_likes"] = 0  # strategies differ in nothing but lists
    assert [row.name for row in summary.table_rows(facts, ["rmse"])[1]] == ["blend", "part 1, joint", "bias"]


def test_a_difference_is_worded_with_its_signs_and_ends():
    assert summary.sentence("rmse", BELOW, "bias") == "RMSE vs bias: -0.2000 (95% CI -0.3000 to -0.1000), better"
