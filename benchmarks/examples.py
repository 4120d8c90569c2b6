"""Run the commands that README.md and docs/ show after a `$`, and put what they print now in the place of what stands
there: python benchmarks/examples.py [PAGE ...].

The run is that of `python train.py`, which is trained first where there is none. Commands are run in a folder of their
own; those that train or search are left as they are, since they print times."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import tables

REPOSITORY = Path(__file__).resolve().parent.parent
RUN = REPOSITORY / "runs" / "ml-latest-small-2016-random-joint-s0"
LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2024-01-01,Star Wars,1977,https://boxd.it/a,4
2024-01-02,The Matrix,1999,https://boxd.it/b,4.5
2024-01-03,Amélie,2001,https://boxd.it/c,5
2024-01-04,Spirited Away,2001,https://boxd.it/d,5
2024-01-05,Dune,2021,https://boxd.it/e,4
"""
WATCHLIST = """Date,Name,Year,Letterboxd URI
2024-01-01,Casablanca,1942,https://boxd.it/a
2024-01-02,Oppenheimer,2023,https://boxd.it/b
2024-01-03,The Silence of the Lambs,1991,https://boxd.it/c
2024-01-04,Spirited Away,2001,https://boxd.it/d
2024-01-05,Toy Story,1995,https://boxd.it/e
"""
EXAMPLE = re.compile(
    r"(?<=^\$ )(python (?:recommend|evaluate)\.py[^\n]*)\n(.*?)(?=^\$ |^```)", re.MULTILINE | re.DOTALL
)


def printed(command, folder):
    """What a command prints, 80 columns wide, without blanks at the ends of lines."""
    script, *words = shlex.split(command)[1:]
    found = subprocess.run(  # noqa: S603
        [sys.executable, REPOSITORY / script, *words],
        cwd=folder, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    return "".join(f"{line.rstrip()}\n" for line in found.stdout.strip("\n").splitlines())


def renewed(text, folder):
    """The text of a page with what its commands print now; a blank line between two commands stays."""

    def renew(match):
        blank = "\n" if match[2].endswith("\n\n") else ""
        return f"{match[1]}\n{printed(match[1], folder)}{blank}"

    return EXAMPLE.sub(renew, text)


def main():
    """Renew the pages that are named, or all."""
    pages = [Path(name) for name in tables.words(__doc__)] or [tables.README, *tables.DOCS.glob("*.md")]
    if not RUN.exists():
        subprocess.run([sys.executable, "train.py"], cwd=REPOSITORY, check=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "runs").symlink_to(RUN.parent)
        for name, text in (("letterboxd.csv", LETTERBOXD), ("watchlist.csv", WATCHLIST)):
            (Path(folder) / name).write_text(text, encoding="utf-8")
        for page in pages:
            text = page.read_text(encoding="utf-8")
            if (new := renewed(text, folder)) != text:
                page.write_text(new, encoding="utf-8")
                print(f"{page.name} renewed")


if __name__ == "__main__":
    main()
