"""Print the results of evaluate.py: tables of metrics, and comparisons in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.bootstrap import differs, excludes_0, p_of
from utils.evaluation.metrics import CUTS
from utils.evaluation.subgroups import sentences
from utils.recommend.discoveries import counted
from utils.report.tables import STYLE

RATING = ("mse", "rmse", "mae")
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
WORDS = {  # subgroups of users and of movies
    "users": {"ratings of the user": "users with {} ratings", "age": "users aged {}", "gender": "users of gender {}"},
    "movies": {"ratings of the movie": "movies with {} ratings", "genre": "{}", "decade": "movies of the {}"},
}
APART = "there is no metric that both have"
HEADLINES = (("bias", "rmse"), ("popularity", "ndcg@100"), ("itemknn", "ndcg@100"))  # baselines to compare with


class Row(NamedTuple):
    """A row of a table of metrics. path: where the metrics are in the facts."""

    name: str
    path: tuple[str | int, ...]
    metrics: dict[str, Any]
    is_baseline: bool = False


def label(metric: str) -> str:
    """Write a metric for people: ndcg@100 -> NDCG@100."""
    return LABEL.get(metric) or metric.capitalize().replace("Ndcg", "NDCG")


def table_rows(facts: dict[str, Any], names: Iterable[str]) -> tuple[list[str], list[Row]]:
    """Return the columns and rows of a table of these metrics of one evaluated run (an entry of evaluate.py's `runs`):
    (metrics that the run or a part of it has, rows of each strategy, each part of a blend, and each baseline that has
    one of the metrics)."""
    best, strategies = facts["method"], facts["methods"]
    if not facts["protocol"]["test_users_with_likes"]:  # strategies differ in nothing but lists
        strategies = {best: strategies[best]}
    rows = []
    for strategy, metrics in strategies.items():
        name = f"{facts['model']} {strategy}" if len(strategies) > 1 else facts["model"]
        is_best = strategy == best
        rows.append(Row(name, ("metrics",), facts["metrics"]) if is_best else Row(name, ("methods", strategy), metrics))
    if listed := facts.get("listed"):
        rows.append(Row(f"with {counted(listed['discoveries'])}", ("listed", "metrics"), listed["metrics"]))
    for i, part in enumerate(facts["parts"]):
        rows.append(Row(f"part {i + 1}, {part['part'].split()[0]}", ("parts", i, "metrics"), part["metrics"]))
    names = [name for name in names if any(name in row.metrics for row in rows)]
    for name, metrics in facts["baselines"].items():
        if set(names) & metrics.keys():
            rows.append(Row(name, ("baselines", name), metrics, is_baseline=True))
    return names, rows


def metrics_table(facts: dict[str, Any], names: Iterable[str], title: str | None, digits: int) -> Table:
    """Make the table of these metrics of one evaluated run."""
    names, rows = table_rows(facts, names)
    n_models = sum(not row.is_baseline for row in rows)
    table = Table(title=title, **STYLE)
    table.add_column("", no_wrap=True)
    for name in names:
        heading = label(name).replace("diversity", "div.").replace("Coverage", "Cover.")  # to fit 80 columns
        table.add_column(heading, justify="right")
    for number, row in enumerate(rows, 1):
        cells = [f"{row.metrics[name]['value']:.{digits}f}" if name in row.metrics else "" for name in names]
        style = "bold" if row.path == ("metrics",) else None
        table.add_row(row.name, *cells, style=style, end_section=number == n_models)
    return table


def print_results(facts: dict[str, Any], console: Console) -> None:
    """Print the results of evaluate.py: the tables and comparisons of each run, then the comparisons between runs."""
    for run in facts["runs"]:
        protocol = run["protocol"]
        size = f"{protocol['test_ratings']:,} test ratings of {protocol['test_users']:,} users"
        console.print(f"{run['run']}\n{size}", style="italic", soft_wrap=True)
        about = "the first 10 of each list, apart from whether they are right"
        for names, title, digits in (((*RATING, *CUTS), None, 4), (tuple(ABOUT), about, 3)):
            if table_rows(run, names)[0]:
                console.print(metrics_table(run, names, title, digits))
                console.print()
        for line in run["said"]["headlines"]:
            console.print(line, soft_wrap=True)
        picture = Path(run["run"]) / "reconstruction.png"
        if picture.exists():
            console.print(f"original, reconstruction and error to look at: {picture}", soft_wrap=True)
    for pair in facts.get("comparisons", []):
        if not pair["metrics"]:
            console.print(f"{pair['run']} and {pair['less']}: {APART}", soft_wrap=True)
        for name, row in pair["metrics"].items():
            console.print(f"{pair['run']}: {sentence(name, row, pair['less'])}", soft_wrap=True)


def verdict(metric: str, row: dict[str, Any]) -> str:
    """Return better, worse or can't tell, from the 95% interval and the p of a paired difference, which is adjusted
    where it is one of several; higher or lower for metrics in NEITHER."""
    if not differs(row):
        return "can't tell"
    if metric in NEITHER:
        return "higher" if row["value"] > 0 else "lower"
    return "better" if (row["value"] > 0) != (metric in LOWER_IS_BETTER) else "worse"


def sentence(metric: str, row: dict[str, Any], other: str) -> str:
    """Word one paired difference. other: the name of what the metric is compared with."""
    interval = f"95% CI {row['low']:+.4f} to {row['high']:+.4f}"
    if excludes_0(row) and not differs(row):
        interval += f", {'adjusted ' * ('p_holm' in row)}p = {p_of(row):.3g}"
    return f"{label(metric)} vs {other}: {row['value']:+.4f} ({interval}), {verdict(metric, row)}"


def why_no_lists(facts: dict[str, Any]) -> list[str]:
    """Return a sentence on why the lists of a run could not be evaluated; [] where they were."""
    if facts["protocol"]["test_users_with_likes"]:
        return []
    why = f"no test rating is a like (above {facts['protocol']['like']:g} stars), so no list can be evaluated"
    return [f"{why}; train.py --like with fewer stars may do, or the --scale that they are really on, or a larger test"]


def about_ranges(facts: dict[str, Any]) -> list[str]:
    """Return a sentence on how many test ratings the ranges around predicted stars hold; [] where there are none."""
    if not (ranges := facts["ranges"]):
        return []
    held = f"{ranges['share']:.0%} ranges around predicted stars hold {ranges['held']:.1%} of the test ratings"
    shares = [row["held"] for row in ranges["slices"] if row["by"].startswith("ratings of")]
    by = f"; by number of ratings of user and movie {min(shares):.1%} to {max(shares):.1%}" if shares else ""
    return [f"{held}, and are {ranges['width']:.1f} stars wide{by}"]


def _groups(rows: list[dict[str, Any]], of: str, metrics: Iterable[str]) -> str:
    """Name the subgroups of users or movies (`of`) where one of the metrics is worse than elsewhere."""
    worse: dict[str, list[str]] = {}
    for row in rows:
        if any(name in row["differs"] and verdict(name, row["less_rest"][name]) == "worse" for name in metrics):
            worse.setdefault(row["by"], []).append(row["slice"])
    either = {by: " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) for by, names in worse.items()}
    return ", ".join(words.format(either[by]) for by, words in WORDS[of].items() if by in either)


def plain(facts: dict[str, Any]) -> list[str]:
    """Say of one evaluated run in plain sentences how good it is, for whom it is bad, and what it rarely recommends."""
    metrics, rows, good = facts["metrics"], facts["slices"], []
    listed = facts["listed"]["metrics"] if facts.get("listed") else metrics  # of the lists as recommend.py gives them
    if "mae" in metrics:
        good.append(f"its stars are off by {metrics['mae']['value']:.2f} on average")
    if "recall@20" in metrics:
        popular = facts["baselines"]["popularity"]["recall@20"]["value"]
        found = f"of what somebody came to like, its first 20 movies hold {listed['recall@20']['value']:.0%}"
        good.append(f"{found} (the 20 most popular ones: {popular:.0%})")
    lines = [f"How good it is: {'; '.join(good)}."] if good else []
    worse = _groups(rows, "users", ("ndcg@100", "rmse"))
    bad = f"For whom it is bad: {worse}." if worse else "It is worse for no group of users by more than chance."
    lines.append(bad)
    if "coverage@10" in metrics:
        never = f"{1 - listed['coverage@10']['value']:.0%} of all movies are on nobody's list of ten"
        rare = _groups(rows, "movies", ("like_ndcg@100",))
        least = f"; of what people like it finds least often {rare}" if rare else ""
        lines.append(f"What it rarely recommends: {never}{least}.")
    return lines


def summarise(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Summarise one evaluated run in sentences: "plain" for everybody, "headlines" that compare it with the baseline of
    each task and, for a blend, with its best part, "slices" that name those where it does better or worse."""
    headlines, differences = why_no_lists(facts), facts["less_baselines"]
    for baseline, metric in HEADLINES:
        if metric in differences[baseline] and baseline != facts["model"]:
            headlines.append(sentence(metric, differences[baseline][metric], baseline))
    for metric, sign in (("rmse", 1), ("ndcg@100", -1)):
        numbers = [i for i, part in enumerate(facts["parts"]) if metric in part["metrics"]]
        if numbers:
            best = min(numbers, key=lambda i: sign * facts["parts"][i]["metrics"][metric]["value"])
            difference = facts["parts"][best]["blend_less_part"][metric]
            headlines.append(sentence(metric, difference, f"part {best + 1}, the best on the test"))
    if (listed := facts.get("listed")) and "ndcg@100" in listed["less_scores"]:
        headlines.append(sentence("ndcg@100", listed["less_scores"]["ndcg@100"], "lists without discoveries"))
    headlines += about_ranges(facts)
    return {"plain": plain(facts), "headlines": headlines, "slices": sentences(facts["slices"], label)}
