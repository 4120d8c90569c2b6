"""The command line of what trains a model: the data, how they are split, the model and its options."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from utils.command_line import options
from utils.data import datasets, splits, test_file
from utils.errors import UserError
from utils.training import search_space

if TYPE_CHECKING:
    from utils.scoring.protocols import TrainableModel

    Protocol = str
else:
    Protocol = Literal[tuple(splits.PROTOCOLS)]  # what tyro offers; a type checker can't read a computed one


@dataclass(frozen=True)
class Source:
    """What a model is trained on."""

    data: str = "ml-latest-small-2016"
    """a known set's name, a folder in a MovieLens layout, or a file with userId, movieId, rating[, timestamp]"""
    scale: options.Pair = None
    """lowest and highest stars a rating can have (default: found from the ratings)"""
    like: options.Threshold = None
    """a rating above so many stars is a like: what is learned from, hidden and found again as one (default: 3.5 on a
    scale up to 5, and as high on any other)"""
    protocol: Protocol = "random"
    """what is held out. random: 10% of the ratings are the test, 5% of the rest validation; cold: the same, and a tenth
    of users and of movies keep 0 to 99 ratings; temporal: each user's latest 10%; leave-one-out: each user's last;
    strong: users, of whose likes 80% are given (Liang et al. 2018); strong-ratings: the same with all other ratings
    given too; u1..u5, ua, ub: ml-100k's published folds; fixed: the ratings of --test FILE; all: nothing, for using
    rather than measuring"""
    holding: splits.Options = field(default_factory=splits.Options)
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """take model and options from a file that tune.py wrote; options that are said beside it come first"""


S = TypeVar("S", bound=Source)


def parse(
    argv: Sequence[str], models: ModuleType, kind: type[S], script: str, about: str, usual: str | None = None
) -> tuple[str, S, Any]:
    """Return (model name, an instance of `kind`, which is a `Source`, the model's Config) from the arguments. Only the
    named model is imported, and none for general help. models: the package `models`, whose table says which there are.
    usual: the model where none is named."""
    found, known = configured(argv, models)
    named = bool(argv) and not argv[0].startswith("-")
    name, rest = (argv[0], argv[1:]) if named else (found or usual, argv)
    if not named and {"-h", "--help"} & set(argv):
        which = f" (default: {usual}; --list says what each is)" if usual else ""
        about += f"\nModels: {', '.join(models.names())}{which}. `{script} MODEL --help` adds the model's own options."
        options.parse(kind, argv, f"{script} [MODEL]" if usual else f"{script} MODEL", about)
    _check_place(rest, models, script)
    if name is None:
        raise UserError(f"which model? python {script} MODEL; one of {', '.join(models.names())}")
    if found and found != name:
        raise UserError(f"--config is of {found}, not of {name}")
    config = models.module(name).Config
    kinds: list[tuple[str, Any, Any]] = [("options", kind, field(default_factory=kind))]
    kinds += [("model", config, field(default_factory=lambda: default(config, rest)))]
    beside = [word for one in known if not given(one, rest) for word in search_space.typed({one: known[one]})]
    both: Any = make_dataclass("Command", kinds)
    command = options.parse(both, [*beside, *rest], f"{script} {name}", models.MODELS[name])
    return name, command.options, command.model


def _check_place(words: Sequence[str], models: ModuleType, script: str) -> None:
    """Refuse arguments among which a model's name stands where it is not the model."""
    for before, word in pairwise(["", *words]):
        if word in models.names() and before.endswith(","):
            raise UserError(f'what has spaces wants quotes: "... {before} {word} ..."')
        if word in models.names() and not before.startswith("--"):
            raise UserError(f"the model comes first: python {script} {word} ...")


def configured(argv: Sequence[str], models: ModuleType) -> tuple[str | None, dict[str, Any]]:
    """Read (model, {option: value}) of the file behind `--config`; (None, {}) where there is none."""
    path = behind("--config", argv)
    if path is None or path.startswith("--"):
        return None, {}
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        name, known = found["model"], found["options"]
        if not isinstance(name, str) or not isinstance(known, dict):
            raise TypeError
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is not what tune.py writes: {{"model": ..., "options": {{...}}}} in JSON') from None
    models.check(name)
    usual = models.module(name).Config()
    for one, found in known.items():
        if found is None or isinstance(found, bool) != isinstance(getattr(usual, one, found), bool):
            raise UserError(f"{path}: {one} can't be {json.dumps(found)}")
    if unknown := set(known) - set(models.module(name).Config.__dataclass_fields__):
        raise UserError(f"{path}: {name} has no option {sorted(unknown)[0]}")
    return name, known


def behind(option: str, argv: Sequence[str]) -> str | None:
    """Return what stands behind the option in the arguments, None where it is not said."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith(f"{option}=") else [word])]
    return next((after for before, after in pairwise(words) if before == option), None)


def given(name: str, argv: Sequence[str]) -> bool:
    """Tell whether the arguments say the option of that name."""
    said = {word.split("=")[0].replace("_", "-") for word in argv}
    dashed = name.replace("_", "-")
    return bool({f"--{dashed}", f"--no-{dashed}"} & said)


def default(config: Any, argv: Sequence[str]) -> Any:
    """Return the model's Config as it is where nothing is said: where low ratings are given, they are inputs, too."""
    strong = behind("--protocol", argv) == "strong-ratings"
    signed = strong and "signed" in config.__dataclass_fields__
    return config(signed=True) if signed else config()


def read(chosen: Source) -> tuple[datasets.Dataset, splits.Split]:
    """Read (`Dataset`, `Split`) of what a `Source` asks for."""
    data = datasets.load(chosen.data, scale=chosen.scale, like=chosen.like)
    data, test = test_file.with_test_ratings(data, chosen.protocol, chosen.holding.test, chosen.scale)
    return data, splits.split(data.ratings, chosen.protocol, chosen.holding, test)


def check(model: "TrainableModel", name: str, split: splits.Split, protocol: str) -> None:
    """Refuse a model that knows only the users it is trained on where users are held out."""
    if split.holds_users_out and not model.takes_new_users:
        raise UserError(f"protocol {protocol} holds users out, and this {name} knows only those it is trained on")
    of_likes = [part for part, own in _parts(model, name) if learns_likes_alone(own)]
    if of_likes and not (split.train.data > model.like).any():
        hint = datasets.about_likes(split.ratings) or [f"no training rating is above {model.like:g}; see --like"]
        raise UserError(f"{of_likes[0]} learns from likes alone: {hint[0]}")


def _parts(model: Any, name: str) -> list[tuple[str, "TrainableModel"]]:
    """Return (words, model) of each part of a blend; of any other model itself."""
    if not model.blends:
        return [(name, model)]
    return model.named_parts()


def learns_likes_alone(model: "TrainableModel") -> bool:
    """Tell whether a model learns from likes and from nothing else, so that it can't be trained without any."""
    return model.learns_likes and not model.predicts_ratings
