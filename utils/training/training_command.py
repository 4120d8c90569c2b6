"""The command line of what trains a model: the data, how they are split, the model and its options."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, make_dataclass
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
    Protocol = str
else:
    Protocol = Literal[tuple(splits.PROTOCOLS)]  # what tyro offers; a type checker can't read a computed one
OfProtocol = Annotated[splits.Options, tyro.conf.arg(name="protocol", prefix_name=False)]  # the title of their help


@dataclass(frozen=True)
class Source:
    """What a model is trained on."""

    data: str = "ml-latest-small-2016"
    """a known set's name, a folder in a MovieLens layout, or a file with userId, movieId, rating[, timestamp]"""
    scale: options.Pair = None
    """lowest and highest stars a rating can have (default: found from the ratings)"""
    columns: options.Columns = None
    """which columns of the file hold what: their headings, or their numbers from 1 (default: found by their usual
    names, or by their order in a file without a heading)"""
    text_ids: bool = False
    """take ids for text even where most are whole numbers: 007 and 7 are then two"""
    duplicates: Literal["refuse", "last", "mean"] = "refuse"
    """which rating counts where a user has rated a movie twice: none, the last one (by time, otherwise in the file), or
    the mean"""
    like: options.Threshold = None
    """a rating above so many stars is a like: what is learned from, hidden and found again as one (default: 3.5 on a
    scale up to 5, and as high on any other)"""
    min_count: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """leave out movies and users with fewer ratings, before anything is held out, until each has so many (N-core)"""
    protocol: Protocol = "random"
    """what is held out. random: 10% of the ratings are the test, 5% of the rest validation; cold: the same, and a tenth
    of users and of movies keep 0 to 99 ratings; temporal: each user's latest 10%; leave-one-out: each user's last;
    strong: users, of whose likes 80% are given (Liang et al. 2018); strong-ratings: the same with all other ratings
    given too; u1..u5, ua, ub: ml-100k's published folds; fixed: the ratings of --test FILE; all: nothing, for using
    rather than measuring"""
    holding: OfProtocol = field(default_factory=splits.Options)
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """take model and options from a file that tune.py wrote; options beside it on the command line override it"""

    def load(self) -> datasets.Dataset:
        """Read the data."""
        return datasets.load(self.data, scale=self.scale, like=self.like, reading=self.reading())

    def reading(self) -> datasets.Reading:
        """Return how the data are to be read."""
        return datasets.Reading(self.columns, self.text_ids, self.duplicates)


S = TypeVar("S", bound=Source)


def parse(
    argv: Sequence[str], models: ModuleType, kind: type[S], script: str, about: str, default_model: str | None = None
) -> tuple[str, S, Any]:
    """Return (model name, an instance of `kind`, which is a `Source`, the model's Config) from the arguments. Only the
    named model is imported, and none for general help. models: the package `models`. default_model: the model where
    none is named."""
    name, values = read_config(argv, models)
    words = list(argv)
    if words and not words[0].startswith("-"):
        if name and name != words[0]:
            raise UserError(f"--config is of {name}, not of {words[0]}")
        name = words.pop(0)
    elif {"-h", "--help"} & set(words):
        which = f" (default: {default_model}; --list says what each is)" if default_model else ""
        about += f"\nModels: {', '.join(models.names())}{which}. `{script} MODEL --help` adds the model's own options."
        options.parse(kind, words, f"{script} [MODEL]" if default_model else f"{script} MODEL", about)
    _check_place(words, models, script)
    name = name or default_model
    if name is None:
        raise UserError(f"which model? python {script} MODEL; one of {', '.join(models.names())}")
    config = models.module(name).Config
    signed = options.value_of("--protocol", words) == "strong-ratings" and hasattr(config, "signed")
    default = config(signed=True) if signed else config()  # where low ratings are given, they are inputs, too
    common: Any = Annotated[kind, tyro.conf.arg(name="common")]  # the title of their help: common options
    parts = [("options", common, field(default_factory=kind)), ("model", config, field(default=default))]
    command_type: Any = make_dataclass("Command", parts)
    from_file = search_space.typed(
        {option: value for option, value in values.items() if not options.given(option, words)}
    )
    command = options.parse(command_type, [*from_file, *words], f"{script} {name}", models.MODELS[name])
    return name, command.options, command.model


def _check_place(words: Sequence[str], models: ModuleType, script: str) -> None:
    """Refuse arguments among which a model's name stands where it is not the model."""
    for before, word in pairwise(["", *words]):
        if word in models.names() and before.endswith(","):
            raise UserError(f'what has spaces wants quotes: "... {before} {word} ..."')
        if word in models.names() and not before.startswith("--"):
            raise UserError(f"the model comes first: python {script} {word} ...")


def read_config(argv: Sequence[str], models: ModuleType) -> tuple[str | None, dict[str, Any]]:
    """Read (model, {option: value}) of the file behind `--config`; (None, {}) where there is none."""
    path = options.value_of("--config", argv)
    if path is None or path.startswith("--"):
        return None, {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        name, values = content["model"], content["options"]
        if not isinstance(name, str) or not isinstance(values, dict):
            raise TypeError
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f'{path} is not what tune.py writes: {{"model": ..., "options": {{...}}}} in JSON') from None
    models.check(name)
    defaults = asdict(models.module(name).Config())
    if unknown := sorted(set(values) - set(defaults)):
        raise UserError(f"{path}: {name} has no option {unknown[0]}")
    for option, value in values.items():
        mismatch = value is None and defaults[option] is not None
        if mismatch or isinstance(value, bool) != isinstance(defaults[option], bool):
            raise UserError(f"{path}: {option} can't be {json.dumps(value)}")
    return name, values


def read(args: Source) -> tuple[datasets.Dataset, splits.Split]:
    """Read the data that a `Source` asks for, and split them."""
    data = args.load()
    data, test = test_file.with_test_ratings(data, args.protocol, args.holding.test, args.scale, args.reading())
    data, place = datasets.keep_core(data, args.min_count, test)
    return data, splits.split(data.ratings, args.protocol, args.holding, place)


def check(model: Any, name: str, split: splits.Split, protocol: str) -> None:
    """Refuse a model that needs users or likes to train on that the split does not have."""
    if split.holds_users_out and not model.takes_new_users:
        raise UserError(f"protocol {protocol} holds users out, and this {name} knows only those it is trained on")
    if (split.train.data > model.like).any():
        return
    parts = model.named_parts() if model.blends else [(name, model)]
    for words, part in parts:
        if part.learns_likes and not part.predicts_ratings:
            hint = datasets.about_likes(split.ratings) or [f"no training rating is above {model.like:g}; see --like"]
            raise UserError(f"{words} learns from likes alone: {hint[0]}")
