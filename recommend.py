"""Recommend movies: to a user of a trained run (--user 42), to somebody who rates a few (--rate "Toy Story=5"), to
everyone (--all-users). Or show what is near in latent space: movies like one, users like one."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from models._blended import saved as answering
from utils import answers, bulk, lists, options, person, ranking, runs
from utils.movies import shortened, spoken
from utils.titles import Titles

BLOCK = 512  # users of --all-users scored at a time
SHOWN = 8  # ratings of somebody new that are repeated
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
    verify: bool = True
    """compare each file of the run with its checksum before it is used; on huge runs that takes seconds"""
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


def answer(run, chosen):
    """What was asked for, as the plain values that --json writes."""
    start, saved = time.perf_counter(), answering(run)
    if chosen.like_movie is not None:
        found = answers.movies_like(saved, person.find_movie(Titles(run.movies), chosen.like_movie), chosen.n)
    elif chosen.similar_users is not None:
        user = person.find_user(run.split.ratings.user_ids, chosen.similar_users)
        found = answers.users_like(saved, user, chosen.n)
    else:
        found = answers.recommend(saved, who(run, chosen), chosen.by, chosen.n, chosen.filters, chosen.explain)
    return found | {"seconds": round(time.perf_counter() - start, 4)}


def everyone(run, chosen):
    """Recommend to every user of the data into a file, a block of users at a time; returns how many they are."""
    saved, split = answering(run), run.split
    way, fits = saved.way(chosen.by), lists.allowed(run.movies, chosen.filters, answers.known_count(split))
    score, known, rated = saved.scorer(way), split.known, split.ratings.matrix()
    n_users = split.ratings.shape[0]
    with bulk.writing(chosen.csv or chosen.parquet, bool(chosen.parquet), run) as write:
        for block in np.array_split(np.arange(n_users), -(-n_users // BLOCK)):
            given = known[block]
            scores = np.where(fits, score(given, block), -np.inf)
            if not chosen.filters.include_seen:
                ranking.hide_seen(scores, rated[block])
            rows, top = answers.best_of_each(saved, chosen.n, chosen.filters, given, scores)
            write(block[rows], top, scores[rows, top], saved.stars_of(given, block, rows, top))
    return n_users


def main(argv=None):
    """Find the run, answer, print."""
    chosen = options.parse(Options, argv or [], "recommend.py", __doc__)
    run = runs.find(chosen.run, chosen.verify)
    if chosen.all_users:
        start, users = time.perf_counter(), everyone(run, chosen)
        if chosen.csv != "-":
            said = f"{users:,} users in {time.perf_counter() - start:.1f} s, written to {chosen.csv or chosen.parquet}"
            from utils import tabular  # rich comes with it, which --json does without

            tabular.console().print(said, soft_wrap=True)
        return
    found = answer(run, chosen)
    if chosen.json:
        options.write_text(chosen.json, json.dumps(found, indent=1, allow_nan=False) + "\n")
    if chosen.csv:
        options.write_text(chosen.csv, answers.as_csv(found))
    if "-" not in (chosen.json, chosen.csv):
        from utils import tabular

        console = tabular.console()
        said = [f"{spoken(one['title'])} {one['rating']:g}" for one in found.get("given", [])]
        ratings = [f"your ratings: {shortened(said, SHOWN)}"] if said else []
        for note in [*found.get("notes", []), *ratings]:
            console.print(note, style="dim", soft_wrap=True)
        console.print(
            tabular.similar_users(found) if chosen.similar_users is not None else tabular.recommendations(found)
        )
        if len(found["items"]) < chosen.n:
            console.print(f"there are no more than these {len(found['items'])}")


if __name__ == "__main__":
    options.run(main)
