"""Recommend movies: to a user of a trained run (--user 42), to somebody who rates a few (--rate "Toy Story=5"), to
several people together (--for-all), to everyone (--all-users). Or show what is near in latent space: movies like one,
users like one."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import models
from utils.command_line import options, presets
from utils.data.movies import quantity, shortened, spoken
from utils.data.ratings import by_id
from utils.errors import NotInRunError, UserError
from utils.recommend import discoveries, everyone, group, profile, recommendations, reranking
from utils.runs import files, run_folder
from utils.runs.run_folder import Run

if TYPE_CHECKING:
    from utils.personal.ratings import Personal

SHOWN = 8  # ratings of somebody new that are repeated
QUESTIONS = ("user", "rate", "ratings", "for_all", "like_movie", "similar_users", "all_users")


@dataclass(frozen=True)
class Options:
    """Options of recommend.py."""

    user: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """recommend to this user; the id is the data's"""
    rate: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TITLE=STARS ...", help_behavior_hint="")] = ()
    """recommend to somebody with these ratings; the year and the exact spelling may be left out"""
    ratings: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")] = ()
    """recommend to somebody whose ratings are in this file: CSV or .xlsx with title and rating, best with year, or what
    Letterboxd, IMDb, Trakt, TMDB, Simkl, Criticker or MovieLens export; several files are those of several people, as
    with --for-all"""
    ratings_scale: options.Pair = None
    """lowest and highest stars of the files (default: those of their formats, or by their stars)"""
    for_all: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ID|FILE ...", help_behavior_hint="")] = ()
    """recommend to several people together, users of the data or files of ratings, what none of them has seen"""
    join: group.Join = "average"
    """of several people, average: by the mean of a movie's ranks for each; least-misery: by the worst of them; fair:
    the best for each in turn"""
    watchlist: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """recommend among the movies of this file only: a watchlist or list of Letterboxd, IMDb or Trakt, or a title with
    its year a line"""
    like_movie: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TITLE|ID ...", help_behavior_hint="")] = ()
    """movies near this one, or these, in latent space"""
    unlike_movie: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TITLE|ID ...", help_behavior_hint="")] = ()
    """and far from these, with --like-movie"""
    similar_users: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="")] = None
    """users near this one in latent space, and what both like"""
    all_users: bool = False
    """recommend to every user of the data, into the file of --csv or --parquet"""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """how many"""
    run: options.Folder = None
    """run folder (default: the one trained last)"""
    verify: bool = True
    """compare what is read of the run with its checksums before it is used"""
    by: Literal["best", "neighbours", "movies", "decoder", "model"] = "best"
    """neighbours: what the users nearest in latent space liked; movies: what is near the movies that were liked;
    decoder: what the autoencoder predicts; best: the one that did best on validation"""
    filters: Annotated[
        reranking.Options,
        tyro.conf.arg(name="filter", help=reranking.Options.__doc__),  # or tyro parses this file for it, in each call
    ] = field(default_factory=reranking.Options)
    explain: bool = False
    """say for each movie which ratings it is recommended for"""
    preset: Annotated[Path | None, tyro.conf.arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """take the options of this file, too; those beside it on the command line count before them"""
    save_preset: Annotated[Path | None, tyro.conf.arg(metavar="FILE.toml", help_behavior_hint="")] = None
    """write the options of this command line to that file"""
    json: options.Output = None
    """write the recommendations as JSON to this file, or - for standard output and nothing else there"""
    csv: options.Output = None
    """the same as CSV"""
    parquet: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """the same as Parquet, with --all-users"""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """the same as Parquet files of some thousand users each, with --all-users; run again, it writes what is missing"""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """write --out with this number of workers; needs requirements-scale.txt"""
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint="")] = None
    """the Ray cluster of the workers (default: one on this machine)"""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be 1 or more, got {self.n}")
        self._check_question()
        self._check_output()

    def _check_question(self) -> None:
        """Refuse no question or several, and options that the question does not take."""
        given = {name for name in QUESTIONS if getattr(self, name) not in (None, (), False)}
        if len(given) != 1 and given not in ({"rate", "ratings"}, {"for_all", "ratings"}):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in QUESTIONS)
            raise ValueError(f"one of {names} is needed" + ("; more than one was given" if given else ""))
        if self.unlike_movie and not self.like_movie:
            raise ValueError("--unlike-movie takes --like-movie, too")
        files = self.ratings or self.for_all
        if self.ratings_scale and (not files or not self.ratings_scale[0] < self.ratings_scale[1]):
            raise ValueError("--ratings-scale takes the lowest and highest stars of the file of --ratings")
        self._check_people()
        if self.watchlist and given & {"like_movie", "similar_users", "all_users"}:
            raise ValueError("--watchlist is for recommendations to one person or several")
        is_default = self.by == "best" and self.filters == reranking.Options() and not self.explain
        if given & {"like_movie", "similar_users"} and not is_default:
            raise ValueError("--by, --explain and what chooses among movies are for recommendations")

    @property
    def people(self) -> tuple[str, ...]:
        """Ids and files of several people; empty where the question is not about several."""
        people = (*self.for_all, *map(str, self.ratings))
        return people if self.for_all or len(people) > 1 else ()

    def _check_people(self) -> None:
        """Refuse what does not go with several people, and --join without them."""
        people = self.people
        if self.join != "average" and not people:
            raise ValueError("--join says how several people are joined; give --for-all")
        if people and (len(people) < 2 or len(set(people)) < len(people)):
            raise ValueError("--for-all takes two or more people, each once")
        if people and (self.rate or self.explain or self.filters.discover):
            raise ValueError("--rate, --explain and --discover are for one person")
        if self.join == "fair" and (self.filters.diverse or self.filters.calibrated):
            raise ValueError("--join fair takes movies in turn; --diverse and --calibrated go with the other joins")

    def _check_output(self) -> None:
        """Refuse files to write that the question does not have, or that exclude each other, and workers without a
        folder to write."""
        files_of_all = [target for target in (self.csv, self.parquet, self.out) if target]
        if self.all_users and (self.explain or self.json or len(files_of_all) != 1):
            raise ValueError("--all-users writes one of --csv FILE, --parquet FILE, --out DIR; no --json, no --explain")
        if (self.parquet or self.out) and not self.all_users:
            raise ValueError("--parquet and --out are for --all-users")
        if self.json == "-" and self.csv == "-":
            raise ValueError("only one of --json and --csv can go to standard output")
        if (self.workers or self.ray) and not self.out:
            raise ValueError("--workers and --ray are for --all-users --out DIR")
        if (self.workers is not None and self.workers < 1) or (self.ray and not self.workers):
            raise ValueError("--workers must be 1 or more, and --ray takes --workers N")


def read_profile(run: Run, config: Options) -> profile.Profile:
    """Return the profile to recommend to."""
    if config.user is not None:
        return profile.of_user(run.ratings, config.user)
    stars, seen, notes = read_file(run, config, config.ratings[0]) if config.ratings else ({}, set(), [])
    typed, more = profile.read_typed(run.titles, run.ratings.scale, config.rate)
    stars, of_rare = profile.without_rare(run.movies, stars | typed)
    return profile.of_ratings(run.ratings, stars, notes + more + of_rare, seen)


def read_file(run: Run, config: Options, path: Path) -> "Personal":
    """Read a file of one person's ratings."""
    from utils.personal.ratings import read_personal  # imports pandas, half a second

    return read_personal(path, run.titles, run.ratings.scale, run.links, config.ratings_scale)


def read_people(run: Run, config: Options) -> list[group.Person]:
    """Return the people of --for-all and of several --ratings. What is an id of the data is a user, a file or not."""
    people: list[group.Person] = []
    for text in config.people:
        is_file, is_user = Path(text).exists(), text in config.for_all and by_id(run.ratings.user_ids, text) >= 0
        if is_user or not (is_file or Path(text).suffix or text not in config.for_all):
            of_user = profile.of_user(run.ratings, text)
            notes = [f"{text} is read as a user of the data; ./{text} is the file"] if is_file else []
            people.append((run.ratings.user_ids[of_user.user].item(), replace(of_user, notes=notes)))
        else:
            stars, seen, notes = read_file(run, config, Path(text))
            notes = [note if note.startswith(text) else f"{text}: {note}" for note in notes]
            people.append((text, profile.of_ratings(run.ratings, stars, notes, seen)))
    return people


def read_listed(run: Run, config: Options) -> tuple[set[int] | None, list[str]]:
    """Return (indices of the movies of --watchlist or None, notes)."""
    if not config.watchlist:
        return None, []
    from utils.personal.ratings import read_watchlist

    return read_watchlist(config.watchlist, run.titles, run.links)


def answer(run: Run, config: Options) -> dict[str, Any]:
    """Answer the question of the options, as the plain values that --json writes."""
    start, saved = time.perf_counter(), models.open_run(run)
    if config.like_movie:
        _ = saved.space  # a model without one is refused, whatever the title
        liked, unlike = (
            [profile.find_movie(run.titles, text) for text in texts]
            for texts in (config.like_movie, config.unlike_movie)
        )
        facts = recommendations.movies_like(saved, liked, config.n, unlike)
    elif config.similar_users is not None:
        user = profile.find_user(run.ratings, config.similar_users)
        facts = recommendations.users_like(saved, user, config.n)
    else:
        listed, notes = read_listed(run, config)
        if config.people:
            people = read_people(run, config)
            facts = group.recommend(saved, people, config.by, config.n, config.join, config.filters, listed)
        else:
            user_profile = read_profile(run, config)
            facts = recommendations.recommend(
                saved, user_profile, config.by, config.n, config.filters, config.explain, listed
            )
        facts["notes"] = notes + facts["notes"]
    return facts | {"seconds": round(time.perf_counter() - start, 4)}


def for_everyone(run: Run, config: Options) -> str:
    """Recommend to every user of the data, into a file or a folder; returns the line to print about it."""
    start, saved = time.perf_counter(), models.open_run(run)
    request = everyone.Request(config.by, config.n, config.filters)
    if config.out:
        users, parts, existing = everyone.write_parts(
            saved, request, config.out.resolve(), models.open_run, config.workers, config.ray
        )
        were = f", of which {existing} were there" if existing else ""
        where = f"{config.out}, {quantity(parts, 'part')}{were}"
    else:
        where = str(config.csv or config.parquet)
        users = everyone.write(saved, request, where, bool(config.parquet))
    places = saved.places(saved.strategy(config.by), config.filters, config.n)
    ends = f"; each list ends with up to {discoveries.counted(places)}" if places else ""
    return f"{quantity(users, 'user')} in {time.perf_counter() - start:.1f} s, written to {where}{ends}"


def main(argv: list[str] | None = None) -> None:
    """Find the run, answer, print."""
    config = options.parse(Options, presets.read(argv or [], Options, QUESTIONS), "recommend.py", __doc__)
    files.check_targets(config.json, config.csv, config.parquet)
    run = run_folder.find(config.run, config.verify)
    if config.save_preset:
        presets.write(config.save_preset, config)
    if config.all_users:
        message = for_everyone(run, config)
        if config.csv != "-":
            show(run, [], [message])
        return
    try:
        facts = answer(run, config)
    except NotInRunError as error:
        which = run.folder if config.run else f"{run.folder}, which was trained last; --run names another"
        raise UserError(f"{error} (run: {which})") from None
    if config.json:
        files.write_text(config.json, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if config.csv:
        files.write_text(config.csv, recommendations.as_csv(facts))
    if "-" not in (config.json, config.csv):
        show(run, *notes_and_lines(config, facts))


def notes_and_lines(config: Options, facts: dict[str, Any]) -> tuple[list[str], list[Any]]:
    """Return the notes of an answer, and its table with what is missing of it."""
    from utils.report import tables

    given = [f"{spoken(rating['title'])} {rating['rating']:g}" for rating in facts.get("given", [])]
    notes = [*facts.get("notes", []), *([f"your ratings: {shortened(given, SHOWN)}"] if given else [])]
    of_users, count = config.similar_users is not None, len(facts["items"])
    lines: list[Any] = []
    if count:
        lines.append(tables.similar_users(facts) if of_users else tables.recommendations(facts))
    if count < config.n:
        lines.append(reranking.no_more(count) if count or not of_users else "there is no other user")
    return notes, lines


def show(run: Run, notes: list[str], lines: list[Any]) -> None:
    """Print notes and the run's folder, then text or tables."""
    from utils.report import tables  # imports rich, which --json does not need

    console = tables.console()
    for note in [*notes, f"run: {run.folder}"]:
        console.print(note, style="dim", soft_wrap=True)
    for line in lines:
        console.print(line, soft_wrap=isinstance(line, str))


if __name__ == "__main__":
    options.run(main)
