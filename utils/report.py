"""Plots of what a model makes of the ratings."""

import numpy as np

BLOCK = 40  # users and movies shown


def reconstruction(path, predict, split):
    """Write a PNG that lets the reconstruction be judged by eye.

    Top: the ratings of the most active users for the most rated movies, the model's reconstruction of the same block,
    and where both exist the error. Bottom: predicted against actual stars of the test ratings, and the errors.
    predict: a model's `predict(given, users, movies)`."""
    from matplotlib.figure import Figure

    ratings, scale, test = split.ratings, split.ratings.scale, split.test
    everything = ratings.matrix()
    users = np.argsort(-np.diff(everything.indptr), kind="stable")[:BLOCK]
    columns = np.argsort(-np.bincount(ratings.movie, minlength=ratings.shape[1]), kind="stable")[:BLOCK]
    original = everything[users][:, columns].toarray()
    cells = np.repeat(users, len(columns)), np.tile(columns, len(users))
    block = np.clip(predict(test.given, *cells), *scale).reshape(original.shape)
    original = np.where(original == 0, np.nan, original)
    hidden = test.hidden.tocoo()
    predicted = np.clip(predict(test.given, hidden.row, hidden.col), *scale)

    figure = Figure(figsize=(13, 8.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    axes = top.subplots(1, 3, sharey=True)
    reach = 0.55 * (scale[1] - scale[0])  # errors larger than about half the scale share one colour
    panels = (
        ("original ratings (blank: not rated)", original, "viridis", scale),
        ("reconstruction", block, "viridis", scale),
        ("reconstruction less original", block - original, "RdBu_r", (-reach, reach)),
    )
    for axis, (title, values, colours, (low, high)) in zip(axes, panels, strict=True):
        image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        axis.set(title=title, xlabel="most rated movies")
        axis.set_facecolor("0.93")
        top.colorbar(image, ax=axis, label="stars", shrink=0.9)
    axes[0].set_ylabel("most active users")

    left, right = bottom.subplots(1, 2)
    stars = np.unique(hidden.data)
    groups = [predicted[hidden.data == star] for star in stars]
    if groups:
        shapes = left.violinplot(
            groups, positions=stars, widths=0.8 * np.diff(stars, append=stars[-1] + 1).min(), showmedians=True
        )
        for body in shapes["bodies"]:
            body.set(facecolor="#3b6fb6", alpha=0.55)
        left.plot(scale, scale, color="0.4", linestyle="--", linewidth=1, label="perfect")
        left.legend(loc="lower right", framealpha=0.9)
        right.hist(predicted - hidden.data, bins=60, color="#3b6fb6")
        right.axvline(0, color="0.4", linestyle="--", linewidth=1)
    left.set(
        title=f"{len(predicted):,} test ratings, which training never saw",
        xlabel="actual stars",
        ylabel="predicted stars",
    )
    error = np.sqrt(np.mean((predicted - hidden.data) ** 2)) if len(predicted) else np.nan
    right.set(
        title=f"errors on the test ratings (RMSE {error:.3f})", xlabel="predicted less actual, stars", ylabel="ratings"
    )
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, dpi=110, format="png")
    beside.replace(path)
