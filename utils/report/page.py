"""Make the report: the results of evaluate.py as one HTML file, which needs no network. Every number on it is one of
the facts that --json writes, and carries its path there (`data-of`)."""

from __future__ import annotations

import json
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.data.movies import spoken
from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.metrics import CUTS
from utils.recommend.explanations import sentence
from utils.report.figures import Plot, plots
from utils.report.summary import APART, RATING, defined, label, unjudged

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def html(facts: dict[str, Any]) -> str:
    """Render the page from the facts of evaluate.py --json, with those that the plots need."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn, places = _placed(facts["runs"])
    page = environment.get_template("report.html")
    data = json.dumps({plot["id"]: plot for plot in drawn}, allow_nan=False, separators=(",", ":"))
    return page.render(
        facts=facts,
        places=places,
        plots=Markup(data.replace("<", "\\u003c")),  # noqa: S704  no tag can begin within it
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704
        num=partial(_number, facts),
        defined=defined,
        label=label,
        unjudged=unjudged,
        apart=APART,
        sliced=lambda rows: list(dict.fromkeys(name for row in rows for name in row["metrics"])),
        spoken=spoken,
        sentence=sentence,
        rating=(*RATING, *CUTS),
        about=ABOUT,
    )


def _placed(runs: list[dict[str, Any]]) -> tuple[list[Plot], list[dict[str, list[Plot]]]]:
    """Number the plots of all runs: (all plots, each with an id; for each run its plots by section)."""
    drawn: list[Plot] = []
    places = []
    for run in runs:
        place = {}
        for name, several in plots(run).items():
            place[name] = [plot | {"id": f"plot{len(drawn) + i}"} for i, plot in enumerate(several)]
            drawn += place[name]
        places.append(place)
    return drawn, places


def _number(facts: dict[str, Any], *steps: Any, form: str = ".4f") -> Markup:
    """Format the number at a path into the facts; tuples among the steps count as several steps."""
    from markupsafe import Markup

    path = [step for part in steps for step in (part if isinstance(part, tuple) else (part,))]
    value: Any = reduce(getitem, path, facts)
    pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return Markup('<data value="{}" data-of="/{}">{}</data>').format(value, pointer, format(value, form))
