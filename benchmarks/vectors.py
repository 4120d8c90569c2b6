"""What a movie's latent vector should be: results/vectors.csv.

python benchmarks/vectors.py RUN ...      adds a line a vector for each run of `joint`, replacing those of its data

Of movies whose title says II, 2 or "Return of" and whose predecessor is in the data (both with 5 known ratings or
more), how many have it among their 10 nearest by cosine; and how alike the genres of neighbours are (Jaccard: what both
have of what either has), the mean over the 10 nearest of 500 movies. `whiten` is that of
`utils.scoring.latent.Neighbourhood`."""

import re
import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
LEAST, NEAREST, SAMPLE = 5, 10, 500
SEQUEL = re.compile(r"^(?:(?P<name>.*?) (?:part )?(?:ii|2)\b|return of (?:the )?(?P<of>.*)$)")


def sequels(movies, pool):
    """(movie, its predecessor), indices, (n, 2)."""
    from utils.data.titles import keys

    names = [(keys(*both) or [""])[0] for both in zip(movies.titles, movies.years, strict=True)]
    first = {}
    for index in pool:
        first.setdefault(names[index], index)
    pairs = []
    for index in pool:
        found = SEQUEL.match(names[index])
        before = first.get(found["name"] or found["of"]) if found else None
        if before is not None and (movies.years[before] or 9999) < (movies.years[index] or 0):
            pairs.append((index, before))
    return np.array(pairs)


def likenesses(run):
    """{name: function from movies, indices, to the scores of all movies, (n, n_movies), higher is nearer}."""
    from utils.data.ratings import likes
    from utils.scoring import latent

    space, liked = latent.LatentSpace.load(run.arrays("latent.npz")), likes(run.split.known)
    pool = known(run)
    count = np.maximum(np.asarray(liked.sum(axis=0)).ravel(), 1)
    ranker, stars = space.ranker[-1][0].T, space.decoder[-1][0].T
    both = np.hstack([latent.unit(ranker), latent.unit(stars)])
    likers = (liked.T @ (space.users - space.users.mean(axis=0))) / count[:, None]
    vectors = {
        "encoder of that movie alone": space.movies,
        "its weights in the decoder of likes": ranker,
        "its weights in the decoder of stars": stars,
        "both of these side by side": both,
        "mean of those who like it": likers.astype(np.float32),
    }

    def by(vectors, whiten):
        whitening = latent.Whitening.of(vectors, pool, whiten)
        return lambda movies: whitening.cosines(vectors, vectors[movies])

    found = {(name, whiten): by(v, whiten) for name, v in vectors.items() for whiten in (0.0, 0.25)}
    plain = latent.unit(liked.T.toarray().astype(np.float32))
    return found | {("no latent space: column of likes", ""): lambda movies: plain[movies] @ plain.T}


def known(run):
    """Movies with `LEAST` known ratings or more."""
    return np.flatnonzero(np.bincount(run.split.ratings.movie[run.split.is_known]) >= LEAST)


def measure(folder):
    """The lines of one run."""
    from utils.data.movies import genre_shares
    from utils.runs import run_folder
    from utils.scoring.ranking import top_k

    run = run_folder.find(folder)
    pool, movies = known(run), run.movies
    pairs, of = sequels(movies, pool), genre_shares(movies) > 0
    sample = np.sort(np.random.default_rng(0).choice(pool, min(SAMPLE, len(pool)), replace=False))
    outside = np.setdiff1d(np.arange(len(movies.ids)), pool)

    def nearest(score, at):
        scores = score(at).copy()
        scores[:, outside] = scores[np.arange(len(at)), at] = -np.inf
        return top_k(scores, NEAREST)

    for (name, whiten), score in likenesses(run).items():
        found = (nearest(score, pairs[:, 0]) == pairs[:, [1]]).any(axis=1).mean()
        near = of[nearest(score, sample)]
        shared, either = near & of[sample, None], near | of[sample, None]
        alike = (shared.sum(axis=2) / np.maximum(either.sum(axis=2), 1)).mean()
        about = {"data": run.config["data"], "vector": name, "whiten": whiten, "sequels": len(pairs)}
        yield about | {"found": round(found, 3), "genres": round(alike, 3), "commit": run.config["git_commit"]}


def table():
    """The table in results/README.md."""
    columns = {"data": "data", "vector": "vector of a movie", "whiten": "whiten"}
    return tables.markdown(
        tables.read("vectors.csv"), columns | {"found": "sequels found", "genres": "genres alike"}, 2
    )


if __name__ == "__main__":
    tables.of_runs("vectors", __doc__, measure, table)
