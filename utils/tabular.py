"""What the scripts print for people: tables of figures and of recommendations."""

from rich import box
from rich.console import Console
from rich.table import Table

from utils.describe import describe
from utils.metrics import CUTS
from utils.movies import shortened, spoken
from utils.reasons import sentence as sentence_of

RATING = ("mse", "rmse", "mae")
STYLE = {"title_justify": "left", "box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}
LOWER_IS_BETTER = set(RATING)
LABEL = {"mse": "MSE", "rmse": "RMSE", "mae": "MAE"}
HEADLINES = (("bias", "rmse"), ("popularity", "ndcg@100"), ("itemknn", "ndcg@100"))  # what to be compared with on what


def console():
    """The terminal. Titles, ids and file names are text: no markup and no emoji codes in them are acted on."""
    return Console(markup=False, emoji=False, highlight=False)


def plain(text):
    """Text without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def label(metric):
    """How a metric is written for people: ndcg@100 -> NDCG@100."""
    return LABEL.get(metric) or metric.replace("ndcg", "NDCG").replace("recall", "Recall")


def figures(facts):
    """The table of one judged run (an entry of evaluate.py's `runs`): each way of recommending, then the baselines."""
    protocol, model = facts["protocol"], facts["model"]
    rows = {}
    for method, found in facts["methods"].items():
        own = method == facts["method"]
        rows[f"{model} {method}" if len(facts["methods"]) > 1 else model] = facts["metrics"] if own else found
    for number, part in enumerate(facts["parts"], 1):
        rows[f"part {number}, {part['part'].split()[0]}"] = part["metrics"]
    names = [name for name in (*RATING, *CUTS) if any(name in found for found in rows.values())]
    judged = f"{protocol['test_ratings']:,} test ratings of {protocol['test_users']:,} users"
    table = Table(title=f"{facts['run']}\n{judged}", **STYLE)
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(label(name), justify="right")
    baselines = [(row, found) for row, found in facts["baselines"].items() if set(names) & set(found)]
    for row, found in [*rows.items(), *baselines]:
        cells = [f"{found[name]['value']:.4f}" if name in found else "" for name in names]
        last = found is list(rows.values())[-1]
        table.add_row(row, *cells, style="bold" if found is facts["metrics"] else None, end_section=last)
    return table


def verdict(metric, row):
    """better, worse or can't tell, from the 95% interval of a paired difference."""
    better, worse = row["low"] > 0, row["high"] < 0
    if metric in LOWER_IS_BETTER:
        better, worse = worse, better
    return "better" if better else "worse" if worse else "can't tell"


def sentence(metric, row, of):
    """One paired difference in words; `of` is what the metric is less than."""
    interval = f"95% interval {row['low']:+.4f} to {row['high']:+.4f}"
    whose = of if of.startswith("that of") else f"{of}'s"
    return f"{label(metric)} less {whose}: {row['value']:+.4f} ({interval}): {verdict(metric, row)}"


def headlines(facts):
    """The sentences that compare one judged run with the baseline each of its tasks must beat."""
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


def print_facts(data, console):
    """Print what `utils.describe` finds out about a data set."""
    table = Table(show_header=False, **STYLE)
    for row in describe(data):
        table.add_row(*map(plain, row))
    console.print(table)


def recommendations(found):
    """The table of movies that recommend.py answers with."""
    if "movie" in found:
        title = f"Like {found['movie']['title']}"
    else:
        whom = "you" if found["user"] is None else f"user {found['user']}"
        title = f"For {whom}, by {found['method']}"
    table = Table(title=plain(title), **STYLE)
    starred = any("predicted_rating" in item for item in found["items"])
    explained = any("because" in item for item in found["items"])
    names = ["", "title", "year", "why" if explained else "genres", *(["stars"] if starred else []), "score"]
    for name in names:
        table.add_column(name, justify="left" if name in ("title", "genres", "why") else "right", overflow="fold")
    for item in found["items"]:
        stars = [f"{item['predicted_rating']:.1f}"] if starred else []
        title, year = item["title"].removesuffix(f" ({item['year']})"), str(item["year"] or "")
        about = sentence_of(item) if explained else ", ".join(item["genres"])
        cells = str(item["rank"]), title, year, about, *stars, f"{item['score']:.3g}"
        table.add_row(*map(plain, cells), end_section=explained)
    return table


def similar_users(found):
    """The table of users near one in latent space."""
    table = Table(title=plain(f"Near user {found['user']} in latent space"), **STYLE)
    for name in ("", "user", "cosine", "both rated", "both like"):
        table.add_column(name, justify="left" if name == "both like" else "right", overflow="fold")
    for item in found["items"]:
        liked = [spoken(movie["title"]) for movie in item["both_like"]]
        shown = shortened(liked, 3, ", ")
        cells = str(item["rank"]), str(item["user"]), f"{item['cosine']:.2f}", str(item["both_rated"]), shown
        table.add_row(*map(plain, cells))
    return table
