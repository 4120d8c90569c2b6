"""The tab about the run: its metrics beside baselines, its learning curves, its data."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from utils.app.shared import Shared
from utils.app.text import say
from utils.app.visitor import Visitor
from utils.errors import UserError
from utils.report import figures, summary
from utils.runs import evaluation_results

METRICS = ("rmse", "mae", "ndcg@100", "recall@20")


def page(shared: Shared, _visitor: Visitor) -> None:
    """Show the tab."""
    run, ratings = shared.saved.run, shared.saved.ratings
    config = run.config
    st.header("About this model", anchor=False)
    say(
        f"{config['model']}, trained on {config['data']}: {len(ratings.movie):,} ratings of {ratings.shape[1]:,} "
        f"movies by {ratings.shape[0]:,} users, protocol {config['protocol']}, seed {config['seed']}."
    )
    try:
        if facts := evaluation_results.read(run):
            _metrics(facts)
        else:
            say(f"Not evaluated yet: python evaluate.py --run {run.folder}")
    except UserError as error:
        say(str(error))
    for plot in figures.learning(figures.curves(run.history)):
        st.plotly_chart({"data": plot["data"], "layout": plot["layout"]}, alt=plot["alt"], key=plot["alt"])
    st.header("The data", anchor=False)
    say(
        "The bundled ratings and those of MovieLens (ml-...) were collected by GroupLens, University of Minnesota: no "
        "commercial use without permission, no redistribution of the larger sets. Cite Harper and Konstan, The "
        "MovieLens Datasets, 2015."
    )
    say("What you rate here is kept in your browser's address (up to 300 movies), and here while the page is open.")


def _metrics(facts: dict[str, Any]) -> None:
    """Show the table of metrics, and what it means in sentences."""
    names, rows = summary.table_rows(facts, [name for name in METRICS if name in facts["metrics"]])
    cell = "{value:.4f} ({low:.4f} to {high:.4f})".format
    table = {"model": [row.name for row in rows]}
    for name in names:
        table[summary.label(name)] = [cell(**row.metrics[name]) if name in row.metrics else "" for row in rows]
    if names:
        st.table(pd.DataFrame(table), hide_index=True)
        say("On test ratings that training never saw, with 95% confidence intervals. The last rows are baselines.")
    say("\n".join(facts["said"]["headlines"]))
