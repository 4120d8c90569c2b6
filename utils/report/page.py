"""The report: what evaluate.py found out as one HTML file, which needs no network. Every number on it is one of the
facts that --json writes, and carries the path to it there (`data-of`)."""

import json
from functools import reduce
from operator import getitem
from pathlib import Path

from utils.data.movies import spoken
from utils.evaluation.beyond_accuracy import ABOUT
from utils.evaluation.metrics import CUTS
from utils.recommend.explanations import sentence
from utils.report.figures import plots
from utils.report.summary import APART, RATING, defined, label, unjudged

TEMPLATES = Path(__file__).with_name("templates")


def html(facts):
    """The page of what evaluate.py --json writes, judged with what the plots take."""
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
    drawn, places = [], []
    for one in facts["runs"]:
        place = {}
        for name, several in plots(one).items():
            place[name] = [plot | {"id": f"plot{len(drawn) + i}"} for i, plot in enumerate(several)]
            drawn += place[name]
        places.append(place)

    def num(*steps, form=".4f"):
        """The number at a path into the facts, whose steps may be given several at a time."""
        path = [step for part in steps for step in (part if isinstance(part, tuple) else (part,))]
        value = reduce(getitem, path, facts)
        pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
        return Markup('<data value="{}" data-of="/{}">{}</data>').format(value, pointer, format(value, form))

    page = environment.get_template("report.html")
    data = json.dumps({plot["id"]: plot for plot in drawn}, allow_nan=False, separators=(",", ":"))
    return page.render(
        facts=facts,
        places=places,
        plots=Markup(data.replace("<", "\\u003c")),  # noqa: S704  no tag can begin within it
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704
        num=num,
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
