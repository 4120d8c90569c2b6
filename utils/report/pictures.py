"""Draw the plots of `figures.py` into PNG files, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.report import figures
from utils.report.figures import Plot, Trace
from utils.runs import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "x", "cross": "P", "star": "*"}
MARKERS["line-ns"] = "|"
LINES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def learning_curve(path: Path, history: list[dict[str, Any]]) -> None:
    """Write a PNG of the losses and validation metrics of a training, from its history."""
    plots = figures.learning(figures.curves(history))
    write(path, plots, len(plots))


def write(path: Path, plots: list[Plot], columns: int) -> None:
    """Write plots into one PNG, so many columns beside each other. What only a browser shows is left out."""
    from matplotlib.figure import Figure

    rows = -(-len(plots) // columns)
    figure = Figure(figsize=(4.7 * columns, 4.2 * rows), layout="constrained")
    for axes, plot in zip(figure.subplots(rows, columns, squeeze=False).flat, plots, strict=True):
        layout = plot["layout"]
        labels = {f"{x}label": layout[f"{x}axis"].get("title", {}).get("text", "") for x in ("x", "y")}
        axes.set(title=layout["title"]["text"], **labels)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        for trace in plot["data"]:
            DRAW[trace["type"]](axes, trace)
        if "range" in layout["xaxis"]:
            axes.set_xlim(layout["xaxis"]["range"])
        if layout["showlegend"]:
            axes.legend(frameon=False, fontsize=9)
    with files.atomic_file(path) as beside:
        figure.savefig(beside, dpi=110, format="png")


def _scatter(axes: Axes, trace: Trace) -> None:
    line, marker, error = trace.get("line", {}), trace.get("marker", {}), trace.get("error_y")
    axes.errorbar(
        trace["x"],
        trace["y"],
        yerr=[error["arrayminus"], error["array"]] if error else None,
        label=trace["name"],
        color=(line or marker)["color"],
        linestyle=LINES[line.get("dash", "solid")] if line else "none",
        linewidth=line.get("width"),
        drawstyle="steps-post" if line.get("shape") == "hv" else "default",
        marker=MARKERS[marker.get("symbol", "circle")] if marker else "none",
        markersize=0.7 * marker.get("size", 0),  # Plotly has pixels
    )


def _bar(axes: Axes, trace: Trace) -> None:
    if trace.get("orientation") == "h":
        axes.barh(trace["y"], trace["x"], color=trace["marker"]["color"])
    else:
        axes.bar(trace["x"], trace["y"], trace["width"], color=trace["marker"]["color"])


def _violin(axes: Axes, trace: Trace) -> None:
    shapes: dict[str, Any] = axes.violinplot([trace["y"]], [trace["x0"]], widths=trace["width"], showmedians=True)
    colour = trace["line"]["color"]
    shapes["bodies"][0].set(facecolor=colour, alpha=0.55)
    for name in ("cmins", "cmaxes", "cbars", "cmedians"):
        shapes[name].set(color=colour)


def _heatmap(axes: Axes, trace: Trace) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("", trace["colorscale"])
    limits = {"vmin": trace["zmin"], "vmax": trace["zmax"]}
    values = np.array(trace["z"], float)
    image = axes.imshow(values, colours, aspect="auto", interpolation="nearest", **limits)
    axes.set(xticks=[], yticks=[])
    axes.figure.colorbar(image, ax=axes, label="stars", shrink=0.9)


DRAW = {"scatter": _scatter, "bar": _bar, "violin": _violin, "heatmap": _heatmap}
