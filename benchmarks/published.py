"""docs/published.md: figures as published, beside those measured here.

python benchmarks/published.py    from published.csv and results/rating.csv, ranking.csv
"""

import tables

PAGE = tables.HERE.parent / "docs" / "published.md"
FIVE = [f"ml-100k u{i}" for i in range(1, 6)]
ABOUT = {  # what is to know beside the figures
    "ml-100k u1": "The published fold: 80,000 ratings to train on, 20,000 of 459 users to test on.",
    "ml-100k u1 to u5": "Mean of the five published folds, one training each.",
    "ml-100k five random folds": "Other folds than the published ones. Nothing here is measured on them.",
    "ml-1m random 90/10": "Here every seed is another split; papers draw their own. The ratings here have no dates.",
    "ml-1m five random folds": "A fifth is the test, so these are no figures for the 90/10 splits.",
    "ml-1m strong": "600 users are held out as the test, 80% of their likes given (Liang et al. 2018).",
    "ml-1m strong-ratings": "The same hidden likes, with all other ratings known. Nothing is published on it.",
}
HEAD = """# Published figures beside ours

Made by `python benchmarks/published.py` from `benchmarks/published.csv` and the files in `benchmarks/results`. **Bold**
is measured here: validation chose, the test was read once. "Chosen on" is what epochs and options of a published figure
were chosen on, as far as its code or text says. "Read": in the source named; "second-hand": quoted by it;
"unverified": as it is commonly quoted. Where protocols differ (splits, dates, side features), a few thousandths say
nothing.
"""


def ours():
    """[(protocol, model, metric, value, seeds)] of everything measured, means over the seeds."""
    found = []
    for name, metric, column in (("rating.csv", "RMSE", "rmse"), ("ranking.csv", "NDCG@100", "ndcg@100")):
        lines = tables.read(name)
        for row in dict.fromkeys(line["row"] for line in lines):
            own = [line for line in lines if line["row"] == row]
            command, _, where = own[0]["command"].partition(" --data ")
            data, protocol = where.split(" --held-out")[0].split(" --protocol ")
            protocol = f"{data} {protocol}" + (" 90/10" if protocol == "random" else "")
            if row.endswith("-shuffled") or command.startswith("irspack"):
                continue
            found.append((protocol, command, metric, tables.mean([line[column] for line in own]), len(own)))
    folds = {}
    for protocol, command, metric, value, _ in found:
        if protocol in FIVE:
            folds.setdefault((command, metric), {})[protocol] = float(value)
    for (command, metric), values in folds.items():
        if len(values) == len(FIVE):
            found.append(("ml-100k u1 to u5", command, metric, f"{sum(values.values()) / 5:.4f}", 1))
    return found


def page():
    """The page in Markdown: a table a protocol and metric, best first."""
    published = tables.read(tables.HERE / "published.csv")
    own, text = ours(), [HEAD]
    measured = dict.fromkeys(of for of, *_ in own if of.startswith("ml-1"))
    for protocol in dict.fromkeys([*sorted(measured), *sorted(line["protocol"] for line in published)]):
        lines = []
        for line in (line for line in published if line["protocol"] == protocol):
            source = f"{line['source']} ({line['seen']})"
            lines.append(
                (float(line["value"]), line["model"], line["value"], line["chosen on"], source, line["metric"])
            )
        for of, command, metric, value, seeds in own:
            if of == protocol:
                said = "validation; " + (f"mean of {seeds} seeds" if seeds > 1 else "one seed")
                lines.append((float(value), f"**`{command}`**", f"**{value}**", said, "here", metric))
        text += [f"## {protocol}", "", *([ABOUT[protocol], ""] if protocol in ABOUT else [])]
        for metric in dict.fromkeys(line[-1] for line in lines):
            text += [f"| model | {metric} | chosen on | source |", "|---|---:|---|---|"]
            of_it = (line for line in lines if line[-1] == metric)
            for _, *cells, _ in sorted(of_it, key=lambda line: line[0] * (1 if metric == "RMSE" else -1)):
                text.append(f"| {' | '.join(cells)} |")
            text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    tables.words(__doc__)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
