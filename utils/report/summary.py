"""What evaluate.py says of judged runs: tables of figures, and verdicts in sentences."""

import os
from pathlib import Path

from rich.table import Table

from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.bootstrap import differs
from utils.evaluation.metrics import CUTS
from utils.evaluation.subgroups import sentences
from utils.report.tables import STYLE

RATING = ("mse", "rmse", "mae")
LOWER_IS_BETTER = {*RATING, "calibration@10"}
NEITHER = ABOUT.keys() - {"calibration@10"}  # more of it is no better by itself
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
HEADLINES = (("bias", "rmse"), ("popularity", "ndcg@100"), ("itemknn", "ndcg@100"))  # what to be compared with on what


def label(metric):
    """How a metric is written for people: ndcg@100 -> NDCG@100."""
    return LABEL.get(metric) or metric.capitalize().replace("Ndcg", "NDCG")


def rows_of(facts):
    """[(name, where its figures stand in the facts, the figures, whether it is a baseline)] of one judged run (an entry
    of evaluate.py's `runs`): each way of recommending, the parts of a blend, the baselines."""
    model, several = facts["model"], len(facts["methods"]) > 1
    rows = []
    for method, found in facts["methods"].items():
        path, found = (("metrics",), facts["metrics"]) if method == facts["method"] else (("methods", method), found)
        rows.append((f"{model} {method}" if several else model, path, found, False))
    for i, part in enumerate(facts["parts"]):
        rows.append((f"part {i + 1}, {part['part'].split()[0]}", ("parts", i, "metrics"), part["metrics"], False))
    return rows + [(name, ("baselines", name), found, True) for name, found in facts["baselines"].items()]


def defined(facts, names):
    """(those of the metrics that the run or a part of it has, the rows of `rows_of` that have any of these)."""
    rows = rows_of(facts)
    names = [name for name in names if any(name in found for _, _, found, baseline in rows if not baseline)]
    return names, [row for row in rows if not row[3] or set(names) & set(row[2])]


def figures(facts, names, title, digits):
    """The table of these metrics of one judged run."""
    names, rows = defined(facts, names)
    table = Table(title=title, **STYLE)
    table.add_column("", no_wrap=True)
    for name in names:
        heading = label(name).replace("diversity", "div.").replace("Coverage", "Cover.")  # which fits into 80 columns
        table.add_column(heading, justify="right")
    for i, (row, _, found, baseline) in enumerate(rows):
        cells = [f"{found[name]['value']:.{digits}f}" if name in found else "" for name in names]
        last = not baseline and (i + 1 == len(rows) or rows[i + 1][3])
        table.add_row(row, *cells, style="bold" if found is facts["metrics"] else None, end_section=last)
    return table


def print_judged(facts, console):
    """Print what evaluate.py found out: for each run its tables and what they say, then the runs beside each other."""
    for one in facts["runs"]:
        protocol = one["protocol"]
        judged = f"{protocol['test_ratings']:,} test ratings of {protocol['test_users']:,} users"
        console.print(f"{one['run']}\n{judged}", style="italic", soft_wrap=True)
        about = "the first 10 of each list, apart from whether they are right"
        for names, title, digits in (((*RATING, *CUTS), None, 4), (ABOUT, about, 3)):
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


def verdict(metric, row):
    """better, worse or can't tell, from the 95% interval of a paired difference and, of one of several, its adjusted p;
    higher or lower of a metric of which more is neither."""
    if not differs(row):
        return "can't tell"
    if metric in NEITHER:
        return "higher" if row["value"] > 0 else "lower"
    return "better" if (row["value"] > 0) != (metric in LOWER_IS_BETTER) else "worse"


def sentence(metric, row, of):
    """One paired difference in words; `of` is what the metric is less than."""
    interval = f"95% interval {row['low']:+.4f} to {row['high']:+.4f}"
    whose = of if of.startswith("that of") else f"{of}'s"
    return f"{label(metric)} less {whose}: {row['value']:+.4f} ({interval}): {verdict(metric, row)}"


def unjudged(facts):
    """Why no list of one judged run could be judged, in a list of one sentence; of none where they were."""
    if facts["protocol"]["test_users_with_likes"]:
        return []
    why = f"no test rating is a like (above {facts['protocol']['like']:g} stars), so no list can be judged"
    return [f"{why}; train.py --like with fewer stars may do, or the --scale that they are really on, or a larger test"]


def said(facts):
    """What one judged run comes to, in sentences: beside the baseline that each of its tasks must beat and, of a blend,
    its best part; and the slices that it does better or worse for."""
    return {"headlines": unjudged(facts) + _headlines(facts), "slices": sentences(facts["slices"], label)}


def _headlines(facts):
    less = facts["less_baselines"]
    said = [sentence(name, less[of][name], of) for of, name in HEADLINES if name in less[of] and of != facts["model"]]
    for metric, best in (("rmse", min), ("ndcg@100", max)):
        own = {
            i: part["metrics"][metric]["value"] for i, part in enumerate(facts["parts"]) if metric in part["metrics"]
        }
        if own:
            i = best(own, key=own.get)
            said.append(
                sentence(
                    metric, facts["parts"][i]["blend_less_part"][metric], f"that of part {i + 1}, the best on the test"
                )
            )
    return said
