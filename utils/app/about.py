"""What is known of a run: its figures beside baselines, how it learned, its data."""

import pandas as pd
import streamlit as st

from utils.app.text import say
from utils.errors import UserError
from utils.report import figures, summary
from utils.report.pictures import curves
from utils.runs import evaluation_results


def page(shared, _visitor):
    """Show it."""
    saved = shared.saved
    run = saved.run
    config, ratings = run.config, saved.split.ratings
    st.header("About this model", anchor=False)
    say(
        f"{config['model']}, trained on {config['data']}: {len(ratings):,} ratings of {ratings.shape[1]:,} movies by "
        f"{ratings.shape[0]:,} users, protocol {config['protocol']}, seed {config['seed']}."
    )
    facts, missing = None, f"Not judged yet: python evaluate.py --run {run.folder}"
    try:
        facts = evaluation_results.read(run)
    except UserError as error:
        missing = str(error)
    if facts:
        names = [name for name in ("rmse", "mae", "ndcg@100", "recall@20") if name in facts["metrics"]]
        names, rows = summary.defined(facts, names)
        cell = "{value:.4f} ({low:.4f} to {high:.4f})".format
        table = {
            summary.label(name): [cell(**found[name]) if name in found else "" for _, _, found, _ in rows]
            for name in names
        }
        if names:
            st.table(pd.DataFrame({"model": [row for row, *_ in rows], **table}), hide_index=True)
            say(
                "On test ratings that training never saw; beside each figure its 95% interval. The last rows are "
                "baselines."
            )
        say("\n".join(facts["said"]["headlines"]))
    else:
        say(missing)
    for plot in figures.learning(curves(run.history)):
        st.plotly_chart({"data": plot["data"], "layout": plot["layout"]}, alt=plot["alt"], key=plot["alt"])
    st.header("The data", anchor=False)
    say(
        "The bundled ratings and those of MovieLens (ml-...) were collected by GroupLens, University of Minnesota: no "
        "commercial use without permission, no redistribution of the larger sets. Cite Harper and Konstan, The "
        "MovieLens Datasets, 2015."
    )
    say("What you rate here is kept in your browser's address (up to 300 movies), and here while the page is open.")
