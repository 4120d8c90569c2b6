"""Print the results of evaluate.py: tables of metrics, and comparisons in sentences."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.bootstrap import differs
from utils.evaluation.metrics import CUTS
from utils.evaluation.subgroups import sentences
from utils.report.tables import STYLE

RATING = ("mse", "rmse", "mae")
Row = tuple[str, tuple[str | int, ...], dict[str, Any], bool]
"""Of a table: name, path of its metrics in the facts, the metrics, whether it is a baseline."""
LOWER_IS_BETTER = {*RATING, "calibration@10"}
NEITHER = ABOUT.keys() - {"calibration@10"}  # metrics of which neither more nor less is better
LABEL = {
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "like_ndcg@100": "NDCG@100 of a like",
    "coverage@10": "Coverage",
    "gini@10": "Gini",
    "novelty@10": "Novelty",
    "diversity_genres@10": "Genre diversity",
    "diversity_latent@10": "Latent diversity",
    "popularity_lift@10": "Popul. lift",
    "calibration@10": "Genre KL",
}
APART = "there is no figure that both have"
HEADLINES = (("bias", "rmse"), ("popularity", "ndcg@100"), ("itemknn", "ndcg@100"))  # baseline and metric to compare


def label(metric: str) -> str:
    """Write a metric for people: ndcg@100 -> NDCG@100."""
    return LABEL.get(metric) or metric.capitalize().replace("Ndcg", "NDCG")


def rows_of(facts: dict[str, Any]) -> list[Row]:
    """List the rows of the tables of one evaluated run (an entry of evaluate.py's `runs`): each strategy, the parts of
    a blend, the baselines."""
    methods = facts["methods"]
    if not facts["protocol"]["test_users_with_likes"]:  # strategies differ in nothing but lists
        methods = {facts["method"]: methods[facts["method"]]}
    model, several = facts["model"], len(methods) > 1
    rows: list[Row] = []
    for method, metrics in methods.items():
        is_best = method == facts["method"]
        path, metrics = (("metrics",), facts["metrics"]) if is_best else (("methods", method), metrics)
        rows.append((f"{model} {method}" if several else model, path, metrics, False))
    for i, part in enumerate(facts["parts"]):
        rows.append((f"part {i + 1}, {part['part'].split()[0]}", ("parts", i, "metrics"), part["metrics"], False))
    return rows + [(name, ("baselines", name), metrics, True) for name, metrics in facts["baselines"].items()]


def defined(facts: dict[str, Any], names: Iterable[str]) -> tuple[list[str], list[Row]]:
    """Return (those of the metrics that the run or a part of it has, the rows of `rows_of` that have any of these)."""
    rows = rows_of(facts)
    names = [name for name in names if any(name in metrics for _, _, metrics, baseline in rows if not baseline)]
    return names, [row for row in rows if not row[3] or set(names) & set(row[2])]


def figures(facts: dict[str, Any], names: Iterable[str], title: str | None, digits: int) -> Table:
    """Make the table of these metrics of one evaluated run."""
    names, rows = defined(facts, names)
    table = Table(title=title, **STYLE)
    table.add_column("", no_wrap=True)
    for name in names:
        heading = label(name).replace("diversity", "div.").replace("Coverage", "Cover.")  # to fit 80 columns
        table.add_column(heading, justify="right")
    for i, (row, _, metrics, baseline) in enumerate(rows):
        cells = [f"{metrics[name]['value']:.{digits}f}" if name in metrics else "" for name in names]
        last = not baseline and (i + 1 == len(rows) or rows[i + 1][3])
        table.add_row(row, *cells, style="bold" if metrics is facts["metrics"] else None, end_section=last)
    return table


def print_judged(facts: dict[str, Any], console: Console) -> None:
    """Print the results of evaluate.py: the tables and comparisons of each run, then the comparisons between runs."""
    for one in facts["runs"]:
        protocol = one["protocol"]
        judged = f"{protocol['test_ratings']:,} test ratings of {protocol['test_users']:,} users"
        console.print(f"{one['run']}\n{judged}", style="italic", soft_wrap=True)
        about = "the first 10 of each list, apart from whether they are right"
        for names, title, digits in (((*RATING, *CUTS), None, 4), (tuple(ABOUT), about, 3)):
            if defined(one, names)[0]:
                console.print(figures(one, names, title, digits))
                console.print()
        for line in one["said"]["headlines"]:
            console.print(line, soft_wrap=True)
        if os.path.exists(picture := Path(one["run"]) / "reconstruction.png"):
            console.print(f"original, reconstruction and error to look at: {picture}", soft_wrap=True)
    for pair in facts.get("comparisons", []):
        if not pair["metrics"]:
            console.print(f"{pair['run']} and {pair['less']}: {APART}", soft_wrap=True)
        for name, row in pair["metrics"].items():
            console.print(f"{pair['run']}: {sentence(name, row, pair['less'])}", soft_wrap=True)


def verdict(metric: str, row: dict[str, Any]) -> str:
    """Return better, worse or can't tell, from the 95% interval of a paired difference and, where it is one of several,
    its adjusted p; higher or lower for metrics in NEITHER."""
    if not differs(row):
        return "can't tell"
    if metric in NEITHER:
        return "higher" if row["value"] > 0 else "lower"
    return "better" if (row["value"] > 0) != (metric in LOWER_IS_BETTER) else "worse"


def sentence(metric: str, row: dict[str, Any], of: str) -> str:
    """Word one paired difference. of: the name of what the metric is compared with."""
    interval = f"95% interval {row['low']:+.4f} to {row['high']:+.4f}"
    whose = of if of.startswith("that of") else f"{of}'s"
    return f"{label(metric)} less {whose}: {row['value']:+.4f} ({interval}): {verdict(metric, row)}"


def unjudged(facts: dict[str, Any]) -> list[str]:
    """Return a sentence on why the lists of a run could not be evaluated; [] where they were."""
    if facts["protocol"]["test_users_with_likes"]:
        return []
    why = f"no test rating is a like (above {facts['protocol']['like']:g} stars), so no list can be judged"
    return [f"{why}; train.py --like with fewer stars may do, or the --scale that they are really on, or a larger test"]


def summarise(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Summarise one evaluated run in sentences: "headlines" compare it with the baseline of each task and, for a blend,
    with its best part; "slices" name those where it does better or worse."""
    return {"headlines": unjudged(facts) + _headlines(facts), "slices": sentences(facts["slices"], label)}


def _headlines(facts: dict[str, Any]) -> list[str]:
    less = facts["less_baselines"]
    headlines = [
        sentence(name, less[of][name], of) for of, name in HEADLINES if name in less[of] and of != facts["model"]
    ]
    choices: tuple[tuple[str, Callable[..., int]], ...] = (("rmse", min), ("ndcg@100", max))
    for metric, best in choices:
        of_parts = [part["metrics"].get(metric) for part in facts["parts"]]
        if values := {i: row["value"] for i, row in enumerate(of_parts) if row is not None}:
            i = best(values, key=values.__getitem__)
            difference = facts["parts"][i]["blend_less_part"][metric]
            headlines.append(sentence(metric, difference, f"that of part {i + 1}, the best on the test"))
    return headlines
