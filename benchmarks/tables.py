"""Result files, and the tables in Markdown that are made from them."""

import argparse
import csv
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
README = HERE.parent / "README.md"
DOCS = HERE.parent / "docs"
NOTES = RESULTS / "README.md"


def read(name):
    """The lines of a result file, or of the file at an absolute path, as dictionaries; none where there is none yet."""
    if not (RESULTS / name).exists():
        return []
    with open(RESULTS / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(name, rows):
    """Write dictionaries of the same keys as a result file."""
    with open(RESULTS / name, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def update(name, rows, key="data"):
    """Write `rows` into a result file in the place of those that have one of their keys."""
    new = {row[key] for row in rows}
    write(name, sorted([row for row in read(name) if row[key] not in new] + rows, key=lambda row: row[key]))


def words(about):
    """Return the words of the command line; with --help among them print what a benchmark is about, and end."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit(print(about.strip()))
    return sys.argv[1:]


def of_runs(name, about, measure, table, key="data", path=NOTES):
    """Run the benchmark `name` on the run folders of the command line: its lines (`measure` of a folder), its table in
    the page at `path`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    for folder in parser.parse_args().runs:
        update(f"{name}.csv", list(measure(folder)), key)
    replace(name, table(), path)


def mean(values, spread=False):
    """Mean of a column's values as text, with their standard deviation; empty where a value is missing."""
    if "" in values:
        return ""
    numbers = [float(value) for value in values]
    text = f"{statistics.mean(numbers):.4f}"
    return text + (f" ± {statistics.stdev(numbers):.4f}" if spread and len(numbers) > 1 else "")


def markdown(rows, columns, left=1):
    """A table of the columns {key: heading} of dictionaries; the first `left` ones are text."""
    lines = [f"| {' | '.join(columns.values())} |", f"|{'---|' * left}{'---:|' * (len(columns) - left)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[key]) for key in columns)} |" for row in rows)])


def shown(marker, path=DOCS / "results.md"):
    """Return the text between <!-- marker --> and <!-- /marker --> of a page."""
    return path.read_text(encoding="utf-8").split(f"<!-- {marker} -->\n")[1].split(f"\n<!-- /{marker} -->")[0]


def replace(marker, text, path=DOCS / "results.md"):
    """Put `text` between <!-- marker --> and <!-- /marker --> of a page."""
    before, rest = path.read_text(encoding="utf-8").split(f"<!-- {marker} -->")
    after = rest.split(f"<!-- /{marker} -->")[1]
    path.write_text(f"{before}<!-- {marker} -->\n{text}\n<!-- /{marker} -->{after}", encoding="utf-8")
