"""Make the report: the results of evaluate.py as one HTML file, which needs no network. Every number on it is one of
the facts that --json writes, and carries its path there (`data-of`)."""

from __future__ import annotations

import json
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from markupsafe import Markup

from utils.data.movies import spoken
from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.metrics import CUTS
from utils.recommend.recommendations import sentence
from utils.report import figures
from utils.report.figures import Plot
from utils.report.map_figures import report_map
from utils.report.summary import APART, RATING, label, table_rows, why_no_lists

TEMPLATES = Path(__file__).with_name("templates")


def html(facts: dict[str, Any]) -> str:
    """Render the page from the facts of evaluate.py --json, with those that the plots need."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    places = [sections(run) for run in facts["runs"]]
    plots: dict[str, Plot] = {}
    for plot in (plot for place in places for section in place.values() for plot in section):
        plot["id"] = f"plot{len(plots)}"
        plots[plot["id"]] = plot
    data = json.dumps(plots, allow_nan=False, separators=(",", ":"))
    return environment.get_template("report.html").render(
        facts=facts,
        places=places,
        plots=Markup(data.replace("<", "\\u003c")),  # noqa: S704  no tag can begin within it
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704
        num=partial(_number, facts),
        table_rows=table_rows,
        label=label,
        why_no_lists=why_no_lists,
        apart=APART,
        sliced=lambda rows: list(dict.fromkeys(name for row in rows for name in row["metrics"])),
        spoken=spoken,
        sentence=sentence,
        rating=(*RATING, *CUTS),
        about=ABOUT,
    )


def sections(run: dict[str, Any]) -> dict[str, list[Plot]]:
    """Make the plots of one evaluated run, by section of the page."""
    pictured = run["pictured"]
    plots = {"learning": figures.learning(run["learning"]), "slices": figures.slices(run["slices"])}
    if "stars" in run:
        plots["reconstruction"] = figures.reconstruction(pictured["block"], pictured["violins"], run["stars"])
    if run["latent"]:
        plots |= {of: [report_map(pictured[of], of)] for of in ("movies", "users")}
        plots["dimensions"] = [figures.dimensions(run["latent"]["dimensions"])]
    return plots


def _number(facts: dict[str, Any], *steps: Any, form: str = ".4f") -> Markup:
    """Format the number at a path into the facts; tuples among the steps count as several steps."""
    path = [step for part in steps for step in (part if isinstance(part, tuple) else (part,))]
    value: Any = reduce(getitem, path, facts)
    pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return Markup('<data value="{}" data-of="/{}">{}</data>').format(value, pointer, format(value, form))
