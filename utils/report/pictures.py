"""Draw the pictures of a run folder: the learning curve, the search for options, and the reconstruction."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.runs import files

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

BLUE = "#0072b2"  # colours of Okabe and Ito, which everybody can tell apart
COLOURS = (BLUE, "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000", "#8c6d31")


def learning_curve(path: Path, history: Iterable[dict[str, Any]]) -> None:
    """Write a PNG of the training history: the loss and the validation metrics over the epochs."""
    from matplotlib.figure import Figure

    lines = curves(history)
    judged = sorted({name for line in lines for name in line["judged"]})
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 1 + len(judged), squeeze=False)[0]
    for i, line in enumerate(lines):
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "label": line["of"],
            "linewidth": 1.6,
            "marker": ".",
        }
        axes[0].plot(line["epoch"], line["loss"], markersize=3, **style)
        for axis, name in zip(axes[1:], judged, strict=True):
            if name in line["judged"]:
                axis.plot(line["epoch"], line["judged"][name], markersize=3, **style)
    for axis, name in zip(axes, ["loss", *judged], strict=True):
        axis.set(xlabel="epoch", title=name.replace("val_", "validation: "))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    if len(lines) <= 8:
        axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110, format="png")


def search(path: Path, lines: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Write a PNG of a search for options: the metric of each trial, the best so far, and the importance of each
    option. lines: from `utils.training.study.lines`; facts: `found` of best.json."""
    from matplotlib.figure import Figure

    mattered = dict(reversed(facts["importance"].items()))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    history, bars = figure.subplots(1, 2, width_ratios=[1.5, 1])
    done = sorted((line for line in lines if line["state"] == "complete"), key=lambda line: line["trial"])
    trials, values = [line["trial"] for line in done], np.array([line["figure"] for line in done])
    best = (np.minimum if facts["figure"] == "rmse" else np.maximum).accumulate(values)
    history.step(trials, best, where="post", color=COLOURS[1], linewidth=1.6, label="best so far")
    history.plot(trials, values, "o", color=BLUE, markersize=4, label="trained to its end")
    given_up = [line["trial"] for line in lines if line["state"] == "pruned"]
    low = history.get_ylim()[0]
    history.plot(given_up, [low] * len(given_up), "|", color="0.5", markersize=9, label="given up early")
    if facts.get("defaults"):
        history.axhline(facts["defaults"], color="0.4", linestyle="--", linewidth=1, label="defaults")
    history.set(xlabel="trial", title=f"validation: {facts['figure']}")
    history.legend(frameon=False, fontsize=9)
    bars.barh([name.replace("_", "-") for name in mattered], list(mattered.values()), color=BLUE)
    bars.set(title="share of the differences", xlim=(0, 1))
    if not mattered:
        bars.text(0.5, 0.5, "too few trials to tell", ha="center", transform=bars.transAxes, color="0.4")
    for axis in (history, bars):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, format="png")


def reconstruction(
    path: Path,
    block: dict[str, Any],
    predicted: NDArray[np.floating],
    actual: NDArray[np.floating],
    scale: tuple[float, float],
) -> None:
    """Write a PNG that shows how good the reconstruction is.

    Top: the ratings of the most active users for the most rated movies, the model's reconstruction of the same block,
    and where both exist the error. Bottom: predicted against actual stars of the test ratings, and the errors.
    block: from `utils.evaluation.reconstruction.block`; predicted, actual: (n,) stars of the test ratings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1], squeeze=False)[:, 0]
    _draw_block(top, block, scale)
    _draw_errors(bottom, predicted, actual, scale)
    with files.atomic_file(path) as beside:
        figure.savefig(beside, dpi=110, format="png")


def _draw_block(figure: SubFigure, block: dict[str, Any], scale: tuple[float, float]) -> None:
    """Draw heat maps of the original ratings, the reconstruction, and the error."""
    original = np.array([[np.nan if value is None else value for value in row] for row in block["original"]])
    rebuilt = np.array(block["reconstruction"])
    axes = figure.subplots(1, 3, sharey=True)
    reach = 0.55 * (scale[1] - scale[0])  # errors larger than about half the scale share one colour
    panels = (
        ("original ratings (blank: not rated)", original, "viridis", scale),
        ("reconstruction", rebuilt, "viridis", scale),
        ("reconstruction less original", rebuilt - original, "RdBu_r", (-reach, reach)),
    )
    for axis, (title, values, colours, (low, high)) in zip(axes, panels, strict=True):
        image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        axis.set(title=title, xlabel="most rated movies, like beside like")
        axis.set_facecolor("0.93")
        figure.colorbar(image, ax=axis, label="stars", shrink=0.9)
    axes[0].set_ylabel("most active users, like beside like")


def _draw_errors(
    figure: SubFigure, predicted: NDArray[np.floating], actual: NDArray[np.floating], scale: tuple[float, float]
) -> None:
    """Draw predicted against actual stars, and the histogram of the errors."""
    left, right = figure.subplots(1, 2)
    stars = np.unique(actual)
    groups = [predicted[actual == star] for star in stars]
    if groups:
        shapes = left.violinplot(
            groups, positions=stars, widths=0.8 * np.diff(stars, append=stars[-1] + 1).min(), showmedians=True
        )
        for body in shapes["bodies"]:
            body.set(facecolor=BLUE, alpha=0.55)
        left.plot(scale, scale, color="0.4", linestyle="--", linewidth=1, label="perfect")
        left.legend(loc="lower right", framealpha=0.9)
        right.hist(predicted - actual, bins=60, color=BLUE)
        right.axvline(0, color="0.4", linestyle="--", linewidth=1)
    left.set(
        title=f"{len(predicted):,} test ratings, which training never saw",
        xlabel="actual stars",
        ylabel="predicted stars",
    )
    error = np.sqrt(np.mean((predicted - actual) ** 2)) if len(predicted) else np.nan
    right.set(
        title=f"errors on the test ratings (RMSE {error:.3f})", xlabel="predicted less actual, stars", ylabel="ratings"
    )
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)


def curves(history: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Convert the history of a run to lines to draw: [{"of": what was trained, "epoch": [...], "loss": [...], "judged":
    {validation metric: [...]}}], one for each phase of the training, and for each part of a blend."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in history:
        named = [str(row[key]) for key in ("phase", "part", "stage") if row.get(key) not in (None, "")]
        groups.setdefault(", ".join(named), []).append(row)
    lines: list[dict[str, Any]] = []
    for of, rows in groups.items():
        names = [key for key in rows[0] if key.startswith("val_") and rows[0][key] not in (None, "")]
        judged = {name: [float(row[name]) for row in rows] for name in names}
        epochs, losses = [int(row["epoch"]) for row in rows], [float(row["loss"]) for row in rows]
        lines.append({"of": of, "epoch": epochs, "loss": losses, "judged": judged})
    return lines
