"""Recommend movies: to a user of a trained run (--user 42), to somebody who rates a few (--rate "Toy Story=5"), to
everyone (--all-users). Or show what is near in latent space: movies like one, users like one."""

import csv
import io
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from models._blended import saved as answering
from utils import bulk, latent, lists, options, person, ranking, reasons, runs
from utils.errors import UserError
from utils.movies import shortened, spoken
from utils.rows import Rows
from utils.titles import Titles

BLOCK = 512  # users of --all-users scored at a time
SHOWN = 8  # ratings of somebody new that are repeated
FEW = 5  # ratings a movie needs to be named as like another; fewer leave its vector to chance
ASKS = ("user", "rate", "ratings", "like_movie", "similar_users", "all_users")


@dataclass(frozen=True)
class Options:
    """Options of recommend.py."""

    user: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """recommend to this user; the id is the data's"""
    rate: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TITLE=STARS ...", help_behavior_hint="")] = ()
    """recommend to somebody who rates so; the year and the exact spelling may be left out"""
    ratings: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """recommend to somebody whose ratings are in this CSV file: title or movieId, and rating; the exports of Letterboxd
    and IMDb are read as they are"""
    like_movie: Annotated[str | None, tyro.conf.arg(metavar="TITLE|ID", help_behavior_hint="")] = None
    """movies near this one in latent space"""
    similar_users: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """users near this one in latent space, and what both like"""
    all_users: bool = False
    """recommend to every user of the data, into the file of --csv or --parquet"""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """how many"""
    run: options.Folder = None
    """run folder (default: the one trained last)"""
    by: Literal["best", "neighbours", "movies", "decoder", "model"] = "best"
    """neighbours: what the users nearest in latent space liked; movies: what is near the movies that were liked;
    decoder: what the autoencoder predicts; best: the one that did best on validation"""
    filters: lists.Options = field(default_factory=lists.Options)
    explain: bool = False
    """say for each movie which ratings it is recommended for"""
    json: options.Output = None
    """write the answer as JSON to this file, or - for standard output and nothing else there"""
    csv: options.Output = None
    """the same as CSV"""
    parquet: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """the same as Parquet, with --all-users"""

    def __post_init__(self):
        if self.n < 1:
            raise ValueError(f"n must be 1 or more, got {self.n}")
        asked = {name for name in ASKS if getattr(self, name) not in (None, (), False)}
        if len(asked) != 1 and asked != {"rate", "ratings"}:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in ASKS)
            raise ValueError(f"one of {named} is needed" + ("" if not asked else "; more than one was given"))
        recommends = not asked & {"like_movie", "similar_users"}
        if not recommends and (self.by != "best" or self.filters != lists.Options() or self.explain):
            raise ValueError("--by, --explain and what chooses among movies are for recommendations")
        if self.all_users and (self.explain or self.json or bool(self.csv) == bool(self.parquet)):
            raise ValueError("--all-users writes either --csv FILE or --parquet FILE, without --json and --explain")
        if self.parquet and not self.all_users:
            raise ValueError("--parquet is for --all-users")
        if self.json == "-" and self.csv == "-":
            raise ValueError("only one of --json and --csv can go to standard output")


def who(run, chosen):
    """The `Person` that is recommended to."""
    if chosen.user is not None:
        return person.in_data(run.split, chosen.user)
    stars, notes, scale = {}, [], run.split.ratings.scale
    if chosen.ratings:
        from utils.reading.personal import read_personal  # pandas comes with it: half a second that others do without

        stars, notes = read_personal(chosen.ratings, run.movies, scale)
    stars |= person.typed(run.movies, scale, chosen.rate)
    return person.somebody(run.split, stars, notes)


def known_count(split):
    """How many ratings of each movie are known."""
    return np.bincount(split.ratings.movie[split.is_known], minlength=split.ratings.shape[1])


def reorder(saved, chosen, candidates, rows):
    """What puts the list together from the scores of the candidates; None where the scores alone do."""
    if chosen.diverse:
        return lists.diversely(saved.space.movies, candidates, chosen.diverse)
    if chosen.calibrated:
        liked = rows.movies[rows.stars[0] > saved.split.ratings.like]
        wanted = saved.genre_shares[liked].sum(axis=0)
        return lists.calibrated(saved.genre_shares, candidates, wanted / wanted.sum()) if wanted.any() else None
    return None


def answer(run, chosen):
    """The recommendations, as the plain values that --json writes."""
    start, saved = time.perf_counter(), answering(run)
    them, way = who(run, chosen), saved.way(chosen.by)
    count = known_count(run.split)
    fits = lists.allowed(run.movies, chosen.filters, count)
    if not chosen.filters.include_seen:
        fits[them.seen] = False  # whichever part of the split it fell into
    candidates = np.flatnonzero(fits)
    score, notes = saved.scores(them, way, candidates)[0], list(them.notes)
    order, by = reorder(saved, chosen.filters, candidates, them.rows), score
    if chosen.filters.calibrated and order is None:
        notes.append("no genre is known to be liked, so the list is not calibrated")
    if len(score) and score.min() == score.max():
        notes.append(f"by {way}, the known ratings tell no two of these movies apart: the most rated come first")
        by = count[candidates].astype(np.float32)
    top = lists.best(by, chosen.n, order)
    movies, score = candidates[top], score[top]
    items = ranked(run.movies, movies, score)
    if (stars := saved.stars(them, movies)) is not None:
        for item, value in zip(items, stars, strict=True):
            item["predicted_rating"] = round(float(value), 3)
    if chosen.explain:
        explain(saved, them, way, movies, items)
    seconds = round(time.perf_counter() - start, 4)
    about = {"user": them.name, "method": way, "run": str(run.folder), "items": items, "seconds": seconds}
    about["notes"] = notes
    if them.user is None:
        titles = [run.movies.titles[movie] for movie in them.rows.movies]
        given = [
            {"title": title, "rating": float(value)} for title, value in zip(titles, them.rows.stars[0], strict=True)
        ]
        about["given"] = given
    return about


def explain(saved, them, way, movies, items):
    """Put into each item what every rating of the person adds to its score."""
    each = them.rows.without_each()
    effect = reasons.effects(saved.scores(them, way, movies, each))
    for item, column in zip(items, effect.T, strict=True):
        item["because"] = reasons.because(saved.run.movies, them.rows, column)
    if way == "neighbours":
        liked, nearest = saved.liked_by_nearest(them, movies)
        for item, count in zip(items, liked.tolist(), strict=True):
            item |= {"liked_by_nearest": count, "nearest": int(nearest)}


def ranked(movies, indices, values):
    """The movies at these indices, best first, with their scores: plain values for --json."""
    return [
        {"rank": rank, **movies.describe(m), "score": float(value)}
        for rank, (m, value) in enumerate(zip(indices, values, strict=True), 1)
    ]


def movies_like(run, chosen):
    """The movies whose latent vectors are nearest to one movie's, as the plain values that --json writes."""
    start, saved = time.perf_counter(), answering(run)
    vectors, whiten = saved.space.movies, latent.Neighbourhood.whiten
    movie = person.find_movie(Titles(run.movies), chosen.like_movie)
    rated = known_count(run.split)
    if not rated[movie]:
        raise UserError(f"nobody is known to have rated {run.movies.titles[movie]}, so nothing is known to be like it")
    pool = np.flatnonzero(rated >= min(FEW, rated[movie]))
    index, near = latent.near(vectors, vectors[[movie]], chosen.n, pool, [movie], whiten)
    there = np.isfinite(near[0])  # there may be fewer than n
    items = ranked(run.movies, index[0, there], near[0, there])
    seconds = round(time.perf_counter() - start, 4)
    return {"movie": run.movies.describe(movie), "run": str(run.folder), "items": items, "seconds": seconds}


def users_like(run, chosen):
    """The users whose latent vectors are nearest to one user's, with what they share: plain values for --json."""
    start, saved, ratings = time.perf_counter(), answering(run), run.split.ratings
    user = person.find_user(ratings.user_ids, chosen.similar_users)
    vectors, view = saved.space.users, saved.space.views["neighbours"]
    known = run.split.is_known

    def rated(who):
        rows = np.flatnonzero(known & (ratings.user == who))
        return dict(zip(ratings.movie[rows].tolist(), ratings.rating[rows].tolist(), strict=True))

    own, items = rated(user), []
    index, near = latent.near(vectors, vectors[[user]], chosen.n, run.split.trained_users, [user], view)
    for rank, (other, cosine) in enumerate(zip(index[0].tolist(), near[0].tolist(), strict=True), 1):
        if not np.isfinite(cosine):  # there are no more users
            break
        theirs = rated(other)
        shared = own.keys() & theirs.keys()
        loved = sorted((m for m in shared if min(own[m], theirs[m]) > ratings.like), key=lambda m: -own[m] - theirs[m])
        items.append(
            {
                "rank": rank,
                "user": ratings.user_ids[other].item(),
                "cosine": cosine,
                "both_rated": len(shared),
                "both_like": [run.movies.describe(m) for m in loved],
            }
        )
    seconds = round(time.perf_counter() - start, 4)
    return {"user": ratings.user_ids[user].item(), "run": str(run.folder), "items": items, "seconds": seconds}


def best_of_each(saved, chosen, given, scores):
    """(rows, movies) of the lists of all rows of `scores`, one behind the other; given: their CSR rows of stars."""
    if not chosen.filters.diverse and not chosen.filters.calibrated:
        top = ranking.top_k(scores, chosen.n)
        rows, places = np.nonzero(np.isfinite(np.take_along_axis(scores, top, axis=1)))
        return rows, top[rows, places]
    tops, everything = [], np.arange(scores.shape[1])
    for row, score in enumerate(scores):
        theirs = slice(*given.indptr[row : row + 2])
        stars = Rows.of(given.indices[theirs], given.data[theirs])
        tops.append(lists.best(score, chosen.n, reorder(saved, chosen.filters, everything, stars)))
    return np.repeat(np.arange(len(tops)), [len(top) for top in tops]), np.concatenate(tops)


def everyone(run, chosen):
    """Recommend to every user of the data into a file, a block of users at a time; returns how many they are."""
    saved, split = answering(run), run.split
    way, fits = saved.way(chosen.by), lists.allowed(run.movies, chosen.filters, known_count(split))
    score, known, rated = saved.scorer(way), split.known, split.ratings.matrix()
    n_users = split.ratings.shape[0]
    with bulk.writing(chosen.csv or chosen.parquet, bool(chosen.parquet), run) as write:
        for block in np.array_split(np.arange(n_users), -(-n_users // BLOCK)):
            given = known[block]
            scores = np.where(fits, score(given, block), -np.inf)
            if not chosen.filters.include_seen:
                ranking.hide_seen(scores, rated[block])
            rows, top = best_of_each(saved, chosen, given, scores)
            write(block[rows], top, scores[rows, top], saved.stars_of(given, block, rows, top))
    return n_users


def write_csv(found, file):
    """Write the list of an answer as CSV."""
    names = ["rank", "movieId", "title", "year", "genres", "score", "predicted_rating"]
    if "both_rated" in (found["items"] or [{}])[0]:
        names = ["rank", "user", "cosine", "both_rated", "both_like"]
    if "because" in (found["items"] or [{}])[0]:
        names.append("because")
    out = csv.DictWriter(file, names, extrasaction="ignore")
    out.writeheader()
    for item in found["items"]:
        several = {"genres": item.get("genres", ()), "both_like": [m["title"] for m in item.get("both_like", ())]}
        row = item | {name: "|".join(values) for name, values in several.items()}
        out.writerow(row | ({"because": reasons.sentence(item)} if "because" in item else {}))


def main(argv=None):
    """Find the run, answer, print."""
    chosen = options.parse(Options, argv or [], "recommend.py", __doc__)
    run = runs.find(chosen.run)
    if chosen.all_users:
        start, users = time.perf_counter(), everyone(run, chosen)
        if chosen.csv != "-":
            print(f"{users:,} users in {time.perf_counter() - start:.1f} s, written to {chosen.csv or chosen.parquet}")
        return
    asked = answer
    if chosen.like_movie is not None or chosen.similar_users is not None:
        asked = users_like if chosen.like_movie is None else movies_like
    found = asked(run, chosen)
    if chosen.json:
        options.write_text(chosen.json, json.dumps(found, indent=1, allow_nan=False) + "\n")
    if chosen.csv:
        text = io.StringIO(newline="")
        write_csv(found, text)
        options.write_text(chosen.csv, text.getvalue())
    if "-" not in (chosen.json, chosen.csv):
        from utils import tabular

        console = tabular.console()
        said = [f"{spoken(one['title'])} {one['rating']:g}" for one in found.get("given", [])]
        ratings = [f"your ratings: {shortened(said, SHOWN)}"] if said else []
        for note in [*found.get("notes", []), *ratings]:
            console.print(tabular.plain(note), style="dim", soft_wrap=True)
        console.print(tabular.similar_users(found) if asked is users_like else tabular.recommendations(found))
        if len(found["items"]) < chosen.n:
            console.print(f"there are no more than these {len(found['items'])}")


if __name__ == "__main__":
    options.run(main)
