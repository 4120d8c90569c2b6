"""The benchmarks: every row can be run, and the README's tables are those of the result files."""

import shlex

import accuracy
import bundled
import coldstart
import commands
import elicitation
import lists
import page
import peers
import published
import pytest
import tables
import vectors

import train
from utils import runs, splits


@pytest.mark.parametrize("row", accuracy.ROWS)
def test_every_row_is_a_command_of_train_or_a_model_of_irspack(row):
    command, data, less = accuracy.ROWS[row]
    if command.startswith("irspack "):
        name = peers.Irspack(command, 3.5).name
        assert hasattr(peers.irspack, name) or name == "MultVAERecommender"  # which is there once JAX is installed
        command = "popularity"
    name, chosen, _ = train.parse([*shlex.split(command), *data.split()])
    assert name == shlex.split(command)[0]
    assert chosen.data in ("ml-1m", "ml-100k", "ml-latest-small-2016")
    assert less is None or less in accuracy.ROWS


@pytest.mark.parametrize(
    ("marker", "table"),
    [
        ("bundled", bundled.table),
        ("accuracy", accuracy.table),
        ("side", accuracy.side_table),
        ("ranking", accuracy.ranking_table),
        ("blends", accuracy.blend_table),
    ],
)
def test_the_readme_shows_the_results_as_they_are(marker, table):
    assert tables.shown(marker) == table()


@pytest.mark.parametrize("script", [vectors, lists, commands, elicitation, page], ids=lambda script: script.__name__)
def test_the_notes_on_results_show_them_as_they_are(script):
    assert tables.shown(script.__name__, tables.NOTES) == script.table()


def test_the_page_of_published_figures_is_the_one_of_the_files():
    assert published.PAGE.read_text(encoding="utf-8") == published.page()


def test_ranges_of_cold_start_hold_each_rating_once(run_of):
    folder = run_of("blend", "--parts", "bias,itemknn", "--protocol", "cold")
    lines, n_test = list(coldstart.measure(folder)), (runs.Run(folder).split.part == splits.Part.TEST).sum()
    for model in ("blend", "bias", "itemknn"):
        for of in ("user", "movie"):
            assert sum(line["n"] for line in lines if (line["model"], line["of"]) == (model, of)) == n_test
