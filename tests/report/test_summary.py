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
