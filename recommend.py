"""Recommend movies to a user of a trained run: python recommend.py --user 42. Or show what is near in latent space:
movies like one (--like-movie), users like one (--similar-users)."""

import csv
import io
import json
import re
import time
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Literal

import numpy as np
import tyro

import models
from utils import latent, options, ranking, runs
from utils.errors import UserError
from utils.ratings import index_of
from utils.splits import KNOWN
from utils.titles import Titles

FEW = 5  # ratings a movie needs to be named as like another; fewer leave its vector to chance


@dataclass(frozen=True)
class Options:
    """Options of recommend.py."""

    user: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """recommend to this user; the id is the data's"""
    like_movie: Annotated[str | None, tyro.conf.arg(metavar="TITLE|ID", help_behavior_hint="")] = None
    """movies near this one in latent space; the year and the exact spelling may be left out"""
    similar_users: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """users near this one in latent space, and what both like"""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """how many"""
    run: options.Folder = None
    """run folder (default: the one trained last)"""
    by: Literal["best", "neighbours", "decoder", "model"] = "best"
    """neighbours: what the users nearest in latent space liked; decoder: what the autoencoder predicts; best: the one
    that did better on validation"""
    json: options.Output = None
    """write the answer as JSON to this file, or - for standard output and nothing else there"""
    csv: options.Output = None
    """the same as CSV"""

    def __post_init__(self):
        if self.n < 1:
            raise ValueError(f"n must be 1 or more, got {self.n}")
        asked = [name for name in ("user", "like_movie", "similar_users") if getattr(self, name) is not None]
        if len(asked) != 1:
            raise ValueError("one of --user, --like-movie and --similar-users is needed")
        if self.by != "best" and not self.user:
            raise ValueError("--by says how movies are recommended to --user")
        if self.json == "-" and self.csv == "-":
            raise ValueError("only one of --json and --csv can go to standard output")


def scores(run, user, by):
    """(score of every movie, function from movie indices to predicted stars or None, method) for the user's index.
    Neither Keras nor TensorFlow is needed: an autoencoder's run holds its users' latent vectors and its decoder as
    arrays, and the other models are arrays throughout."""
    chosen = run.json("metrics.json")
    if "neighbourhood" in chosen:
        space, method = latent.LatentSpace.load(run), chosen["best"] if by == "best" else by
        if method == "model":
            raise UserError("an autoencoder recommends --by neighbours or --by decoder")
        if method == "decoder":
            score = space.scores(user)
            if run.holds("weights.npz"):
                from models import _linear  # scipy comes with it: a quarter of a second that others do without

                score = _linear.load(run).beside(run.split.known[[user]], score[None])[0]
        else:
            score = votes(run.split, space, user, latent.Neighbourhood(**chosen["neighbourhood"]))
        return score, (lambda movies: space.stars(user, movies)) if space.biases else None, method
    if by not in ("best", "model"):
        raise UserError(f"{run.config['model']} has no latent space, so there is no --by {by}; leave it out")
    model, rows = models.load(run), run.split.known[[user]]
    stars = None
    if model.predicts_ratings:
        stars = lambda movies: model.predict(rows, np.zeros(len(movies), int), movies)  # noqa: E731
    return model.score(rows, np.array([user]))[0], stars, "model"


def votes(split, space, user, neighbourhood):
    """What `latent.liked_by` gives for one user, straight from the rating table: importing scipy and making matrices
    would take longer than everything else here."""
    index, near = latent.near_users(space.users, np.array([user]), neighbourhood.size, split.trained_users)
    weight = np.zeros(len(space.users))
    weight[index[0]] = neighbourhood.weigh(near[0])
    ratings = split.ratings
    likes = np.flatnonzero((ratings.rating > ratings.like) & np.isin(split.part, KNOWN))
    voters = weight[ratings.user[likes]]
    return np.bincount(ratings.movie[likes], voters, len(space.movies)).astype(np.float32)


def answer(run, options_):
    """The recommendations, as the plain values that --json writes."""
    start = time.perf_counter()
    ratings = run.split.ratings
    user = find_user(ratings.user_ids, options_.user)
    score, stars, method = scores(run, user, options_.by)
    # what a user has rated is never recommended, whichever part of the split it fell into
    seen = ratings.movie[ratings.user == user]
    score = ranking.hide_seen(score[None], (np.zeros(len(seen), int), seen))
    top = ranking.top_k(score, options_.n)[0]
    top = top[np.isfinite(score[0, top])]
    items = ranked(run.movies, top, score[0, top])
    if stars is not None:
        for item, value in zip(items, np.clip(stars(top), *ratings.scale), strict=True):
            item["predicted_rating"] = round(float(value), 3)
    seconds = round(time.perf_counter() - start, 4)
    return {
        "user": ratings.user_ids[user].item(),
        "method": method,
        "run": str(run.folder),
        "items": items,
        "seconds": seconds,
    }


def ranked(movies, indices, values):
    """The movies at these indices, best first, with their scores: plain values for --json."""
    return [
        {"rank": rank, **movies.describe(m), "score": float(value)}
        for rank, (m, value) in enumerate(zip(indices, values, strict=True), 1)
    ]


def space_of(run):
    """The run's `LatentSpace`."""
    if "neighbourhood" not in run.json("metrics.json"):
        raise UserError(f"{run.config['model']} has no latent space, so nothing is near in it; train another model")
    return latent.LatentSpace.load(run)


def movies_like(run, options_):
    """The movies whose latent vectors are nearest to one movie's, as the plain values that --json writes."""
    start, space = time.perf_counter(), space_of(run)
    movie = find_movie(run.movies, options_.like_movie)
    rated = np.bincount(run.split.ratings.movie[np.isin(run.split.part, KNOWN)], minlength=len(space.movies))
    if not rated[movie]:
        raise UserError(f"nobody is known to have rated {run.movies.titles[movie]}, so nothing is known to be like it")
    pool = np.flatnonzero(rated >= min(FEW, rated[movie]))
    own = index_of(pool, np.array([movie]))
    index, near = latent.nearest(space.movies[pool], space.movies[[movie]], options_.n, own)
    there = near[0] > -1  # there may be fewer than n
    items = ranked(run.movies, pool[index[0, there]], near[0, there])
    seconds = round(time.perf_counter() - start, 4)
    return {"movie": run.movies.describe(movie), "run": str(run.folder), "items": items, "seconds": seconds}


def users_like(run, options_):
    """The users whose latent vectors are nearest to one user's, with what they share: plain values for --json."""
    start, space, ratings = time.perf_counter(), space_of(run), run.split.ratings
    user = find_user(ratings.user_ids, options_.similar_users)
    known = np.isin(run.split.part, KNOWN)

    def rated(who):
        rows = np.flatnonzero(known & (ratings.user == who))
        return dict(zip(ratings.movie[rows].tolist(), ratings.rating[rows].tolist(), strict=True))

    own, items = rated(user), []
    index, near = latent.near_users(space.users, np.array([user]), options_.n, run.split.trained_users)
    for rank, (other, cosine) in enumerate(zip(index[0].tolist(), near[0].tolist(), strict=True), 1):
        if cosine <= -1:  # there are no more users
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


def find_movie(movies, text):
    """Index of the movie that `text` names: a title, or an id of the data that is no title."""
    titles = Titles(movies)
    if text.strip().isdecimal() and not titles.exactly(text):
        place = index_of(movies.ids, [int(text) if movies.ids.dtype.kind == "i" else text.strip()])[0]
        if place >= 0:
            return place
    return titles.find(text)


def find_user(ids, text):
    """Index of the user whose raw id is `text`; a `UserError` says which there are."""
    number = ids.dtype.kind == "i"
    if number and not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        user = -1
    else:
        user = index_of(ids, [int(text) if number else text])[0]
    if user < 0:
        near = [] if number else get_close_matches(text, ids.tolist(), 1)
        hint = f"; did you mean {near[0]}?" if near else f", with ids {ids[0]} to {ids[-1]}"
        raise UserError(f"there is no user {text}: the data has {len(ids):,} users{hint}")
    return user


def write_csv(found, file):
    """Write the list of an answer as CSV."""
    names = ["rank", "movieId", "title", "year", "genres", "score", "predicted_rating"]
    if "both_rated" in (found["items"] or [{}])[0]:
        names = ["rank", "user", "cosine", "both_rated", "both_like"]
    out = csv.DictWriter(file, names, extrasaction="ignore")
    out.writeheader()
    for item in found["items"]:
        several = {"genres": item.get("genres", ()), "both_like": [m["title"] for m in item.get("both_like", ())]}
        out.writerow(item | {name: "|".join(values) for name, values in several.items()})


def main(argv=None):
    """Find the run, answer, print."""
    chosen = options.parse(Options, argv or [], "recommend.py", __doc__)
    asked = movies_like if chosen.like_movie else users_like if chosen.similar_users else answer
    found = asked(runs.find(chosen.run), chosen)
    if chosen.json:
        options.write_text(chosen.json, json.dumps(found, indent=1, allow_nan=False) + "\n")
    if chosen.csv:
        text = io.StringIO(newline="")
        write_csv(found, text)
        options.write_text(chosen.csv, text.getvalue())
    if "-" not in (chosen.json, chosen.csv):
        from utils import tabular

        console = tabular.console()
        console.print(tabular.similar_users(found) if asked is users_like else tabular.recommendations(found))
        if not found["items"] and asked is answer:
            console.print("there is no movie in the data that this user has not rated")


if __name__ == "__main__":
    options.run(main)
