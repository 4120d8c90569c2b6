"""What --diverse, --calibrated, --popularity and --discover cost in NDCG, and what they bring: results/lists.csv.

python benchmarks/lists.py RUN ...        adds lines for each run, replacing those of its data

Lists of 10 for the test users of the run (at most 1,000, the same for all). NDCG@10 on the hidden likes, and NDCG@100
of the ten with the best others behind them; alike: mean
cosine of two movies of a list in latent space; off: KL divergence (Steck 2018) of the genres of a list from those of
what the user likes; both less is more diverse, better calibrated; named: how many movies all lists name. Paired
differences are of the same users."""

import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
N, MOST = 10, 1000
SETTINGS = {
    "": ("--discover", 0),
    "by default": (),
    **{f"--diverse {w}": ("--diverse", w) for w in (0.1, 0.2, 0.3, 0.5, 0.7)},
    "--calibrated": ("--calibrated",),
    "--popularity low": ("--popularity", "low"),
    **{f"--discover {n}": ("--discover", n) for n in (1, 2, 3, 4)},
}


def measure(folder):
    """The lines of one run."""
    import models
    from utils.command_line import options
    from utils.data.movies import genre_shares
    from utils.data.ratings import likes
    from utils.evaluation import holdout_metrics, metrics
    from utils.evaluation.beyond_accuracy import divergence
    from utils.recommend import recommendations, reranking
    from utils.runs import run_folder
    from utils.scoring import latent, ranking
    from utils.scoring.profile_rows import ProfileRows

    run = run_folder.find(folder)
    saved, test = models.open_run(run), run.split.test
    users = holdout_metrics.judged_users(test, MOST)
    given, hidden = test.given[users], likes(test.hidden[users], test.like)
    scores = ranking.hide_seen(saved.scorer(saved.best)(given, users), given)
    shares, vectors = genre_shares(run.movies), saved.space.movies
    baseline, count = None, saved.ratings.movie_known
    for name, words in SETTINGS.items():
        chosen = options.parse(reranking.Options, list(map(str, words)), "", "")
        values, named, everything = np.zeros((len(users), 4)), set(), np.arange(len(shares))
        filtered = np.where(reranking.allowed(run.movies, chosen, count), scores, -np.inf)
        for i in range(len(users)):
            rows = ProfileRows.of(given[[i]].indices, given[[i]].data)
            reorder = recommendations.reorder(saved, chosen, everything, rows)
            top, _ = recommendations.pick(saved, saved.best, chosen, N, filtered[i], everything, reorder)
            named.update(top.tolist())
            others = reranking.best(filtered[i], 100)
            long = np.concatenate([top, others[~np.isin(others, top)]])[:100]
            hits = [np.isin(ranked, hidden[[i]].indices)[None] for ranked in (top, long)]
            near = latent.cosine(vectors[top], vectors[top])
            mix = shares[rows.movies[rows.stars[0] > test.like]].sum(axis=0)
            off = np.nan
            if mix.any():
                off = divergence(mix / mix.sum(), shares[top].mean(axis=0, keepdims=True))[0]
            alike = (near.sum() - len(top)) / (len(top) * (len(top) - 1))
            ndcgs = [
                metrics.ndcg(hit, np.array([hidden[[i]].nnz]), k)[0] for hit, k in zip(hits, (N, 100), strict=True)
            ]
            values[i] = *ndcgs, alike, off
        baseline = values if baseline is None else baseline
        (low, high), (low100, high100) = (interval(values[:, k] - baseline[:, k]) for k in (0, 1))
        ndcg, ndcg100, alike, off = np.nanmean(values, axis=0)
        facts = {"data": run.config["data"], "by": saved.best, "users": len(users), "options": name}
        facts |= {"ndcg@10": round(ndcg, 4), "low": round(low, 4), "high": round(high, 4)}
        facts |= {"ndcg@100": round(ndcg100, 4), "low@100": round(low100, 4), "high@100": round(high100, 4)}
        yield facts | {
            "alike": round(alike, 3),
            "off": round(off, 3),
            "named": len(named),
            "commit": run.config["git_commit"],
        }


def interval(difference):
    """95% bootstrap interval of a mean over users."""
    rng = np.random.default_rng(0)
    means = [difference[rng.integers(len(difference), size=len(difference))].mean() for _ in range(1000)]
    return np.percentile(means, [2.5, 97.5])


def table():
    """The table in results/README.md."""
    rows = tables.read("lists.csv")
    for row in rows:
        words = row["options"] or "scores alone"
        row["options"] = f"`{words}`" if words.startswith("--") else words
        for at, less in (("", "less"), ("@100", "less100")):
            row[less] = "" if words == "scores alone" else f"{row[f'low{at}']} to {row[f'high{at}']}"
    columns = {"data": "data", "options": "list", "ndcg@10": "NDCG@10", "less": "less that of scores alone (95%)"}
    columns |= {"ndcg@100": "NDCG@100", "less100": "less that of scores alone (95%)"}
    return tables.markdown(rows, columns | {"alike": "alike", "off": "off", "named": "movies named"}, 2)


if __name__ == "__main__":
    tables.of_runs("lists", __doc__, measure, table)
