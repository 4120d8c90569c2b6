"""The tables and the picture of docs/experiments.md, from the result files.

python benchmarks/experiments.py        after rows were measured, as python benchmarks/accuracy.py "stars/--hidden 8"
"""

import statistics
from pathlib import Path

import searches
import tables
from accuracy import _less
from rows import BASES, EXPERIMENTS, SIZES, VARIED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experiments.md"
KINDS = {"stars": ("rating", "rmse", "RMSE"), "likes": ("ranking", "ndcg@100", "NDCG@100")}
ARCHITECTURES = {
    "rating": (
        "u1/bias",
        "u1/autorec-users",
        "u1/autorec-movies",
        "u1/sparsefc",
        "u1/glocalk",
        "u1/bayesfm",
    ),
    "ranking": tuple(
        f"strong/{name}"
        for name in (
            "popularity",
            "itemknn",
            "multvae",
            "multvae-tuned",
            "multdae",
            "multdae-logistic",
            "ease",
            "edlae",
            "recvae",
            "elsa",
            "joint",
        )
    ),
}


def measured(kind):
    """({row: its lines}, {row: its line of the differences}) of the experiments of a kind."""
    name, *_ = KINDS[kind]
    lines = {}
    for line in tables.read(f"experiments_{name}.csv"):
        lines.setdefault(line["row"], []).append(line)
    return lines, {line["row"]: line for line in tables.read(f"experiments_{name}_differences.csv")}


def verdict(found, higher):
    """What an interval of differences says."""
    low, high = float(found["low"]), float(found["high"])
    if low <= 0 <= high:
        return "no difference seen"
    return "better" if (low > 0) == higher else "worse"


def table(kind):
    """What each value of each option does, beside the model as it is."""
    _, figure, name = KINDS[kind]
    lines, less = measured(kind)
    shown = [
        {"what": "", "options": "as it is", "less": "", "verdict": ""} | _figures(lines[f"{kind}/as it is"], figure)
    ]
    for what, values in VARIED[kind].items():
        for options in values:
            row = f"{kind}/{options}"
            found = {"what": what, "options": f"`{options}`"} | _figures(lines[row], figure)
            shown.append(found | {"less": _less(less[row]), "verdict": verdict(less[row], higher=kind == "likes")})
            what = ""
    columns = {"what": "what", "options": "options", "verdict": "beside the default", "figure": name}
    columns |= {"less": "less that of the default", "epochs": "epochs", "seconds": "seconds"}
    return tables.markdown(shown, columns, left=3)


def _figures(lines, figure):
    mean = {name: statistics.mean(float(line[name]) for line in lines) for name in ("epochs", "seconds")}
    cells = {"figure": tables.mean([line[figure] for line in lines], spread=True)}
    return cells | {name: f"{value:.0f}" for name, value in mean.items()}


def architectures(name):
    """The models of a result file beside each other, with the interval of the first split."""
    figure, title = {of: (figure, title) for of, figure, title in KINDS.values()}[name]
    shown = []
    for row in ARCHITECTURES[name]:
        lines = [line for line in tables.read(f"{name}.csv") if line["row"] == row]
        if not lines:
            continue
        first = min(lines, key=lambda line: int(line["seed"]))
        shown.append({"model": f"`{lines[0]['command'].split(' --data ')[0]}`"} | _figures(lines, figure))
        shown[-1]["interval"] = f"{float(first['low']):.4f} to {float(first['high']):.4f}"
    columns = {
        "model": "model",
        "figure": title,
        "interval": "95% interval, seed 0",
        "epochs": "epochs",
        "seconds": "seconds",
    }
    return tables.markdown(shown, columns)


def plot():
    """Draw what the size of the latent space does to both figures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axis, kind in zip(figure.subplots(1, 2), KINDS, strict=True):
        _, less = measured(kind)
        default = {"stars": 128, "likes": 200}[kind]
        points = {default: (0.0, 0.0, 0.0)}
        for options in VARIED[kind]["latent size"]:
            found = less[f"{kind}/{options}"]
            points[int(options.split()[1])] = tuple(float(found[end]) for end in ("difference", "low", "high"))
        sizes = sorted(points)
        middle, low, high = zip(*(points[size] for size in sizes), strict=True)
        axis.fill_between(sizes, low, high, color="#0072b2", alpha=0.2, linewidth=0)
        axis.plot(sizes, middle, "o-", color="#0072b2", markersize=5)
        axis.axhline(0, color="0.4", linestyle="--", linewidth=1)
        axis.set_xscale("log", base=2)
        axis.set_xticks(SIZES, [f"{size}" for size in SIZES], fontsize=8.5)
        axis.minorticks_off()
        if kind == "stars":
            axis.invert_yaxis()
        model, data = BASES[kind][0], BASES[kind][1].split()[1]
        axis.set(
            xlabel=f"size of the latent space ({default}: the default)", ylabel=f"{KINDS[kind][2]} less the default's"
        )
        axis.set_title(f"{model} on {data}: better is up")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(PAGE.with_name("experiments.png"), dpi=100)


def parts():
    """{marker: text} of the page."""
    made = {f"experiments-{kind}": table(kind) for kind in KINDS}
    made |= {f"architectures-{name}": architectures(name) for name in ARCHITECTURES}
    return made | {"searches": searches.table()}


if __name__ == "__main__":
    tables.words(__doc__)
    for marker, text in parts().items():
        tables.replace(marker, text, PAGE)
    plot()
    unmeasured = set(EXPERIMENTS) - {row for kind in KINDS for row in measured(kind)[0]}
    unmeasured |= {row for name, rows in ARCHITECTURES.items() for row in rows} - {
        line["row"] for name in ARCHITECTURES for line in tables.read(f"{name}.csv")
    }
    print(f"not measured: {', '.join(sorted(unmeasured))}" if unmeasured else PAGE)
