"""The command line of the scripts: a dataclass becomes the options (tyro), and every error one or two lines."""

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

import tyro

from utils.errors import UserError
from utils.runs.paths import DENIED

T = TypeVar("T")
Spec = tyro.constructors.PrimitiveConstructorSpec


def _separated(kind: Callable[[str], Any], metavar: str, length: int | None = None) -> Spec[tuple[Any, ...]]:
    """Make the rule by which tyro reads values of this kind separated by commas. length: how many there must be."""

    def read(arguments: list[str]) -> tuple[Any, ...]:
        is_empty = arguments[0] in ("", "''", '""')  # within --parts there is no shell that takes the quotes away
        try:
            values = () if is_empty else tuple(kind(part) for part in arguments[0].split(","))
        except ValueError:
            values = None
        if values is None or (length and len(values) != length):
            what = f"{length or ''} {'whole ' * (kind is int)}numbers separated by {'a comma' if length else 'commas'}"
            raise ValueError(f"{what.strip()} are needed, got {arguments[0]}")
        return values

    return Spec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(map(str, value or ()))],
    )


def _columns(arguments: list[str]) -> dict[str, str]:
    """Read user=...,movie=...,rating=...[,time=...] as {name of a column of ratings: its heading or number}."""
    pairs = [part.partition("=") for part in arguments[0].split(",")]
    found = {COLUMNS[name.strip()]: value.strip() for name, _, value in pairs if name.strip() in COLUMNS and value}
    if len(found) != len(pairs) or not {"userId", "movieId", "rating"} <= set(found):
        raise ValueError(f"user=...,movie=...,rating=... and maybe time=... are needed, got {arguments[0]}")
    return found


COLUMNS = {"user": "userId", "movie": "movieId", "rating": "rating", "time": "timestamp"}
Columns = Annotated[
    dict[str, str] | None,
    Spec(
        nargs=1,
        metavar="user=NAME,movie=NAME,rating=NAME[,time=NAME]",
        instance_from_str=_columns,
        is_instance=lambda value: value is None or isinstance(value, dict),
        str_from_instance=lambda value: [",".join(f"{name}={column}" for name, column in (value or {}).items())],
    ),
    tyro.conf.arg(help_behavior_hint=""),
]
"""Which columns of a file hold what."""
Sizes = Annotated[tuple[int, ...], _separated(int, "N[,N...]")]
"""Layer sizes, written 500,200 on the command line."""
Names = Annotated[tuple[str, ...], _separated(str, "NAME[,NAME...]")]
"""Names, written genres,year on the command line."""
Pair = Annotated[tuple[float, float] | None, _separated(float, "LOW,HIGH", 2), tyro.conf.arg(help_behavior_hint="")]
"""Two numbers, written 0.5,5 on the command line."""
Threshold = Annotated[float | None, tyro.conf.arg(metavar="STARS", help_behavior_hint="")]
"""A number of stars; the default depends on the data."""
Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]
"""A number that some models have no default of."""
UsualFloat = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")]
"""A number; the option's help tells the default."""
UsualInt = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]
"""A whole number; the option's help tells the default."""
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]
"""A folder; the option's help tells the default."""
Output = Annotated[str | None, tyro.conf.arg(metavar="FILE|-", help_behavior_hint="")]
"""A file to write, or - for standard output."""


def parse(kind: type[T], argv: Sequence[str], prog: str, about: str, default: T | None = None) -> T:
    """Parse the arguments into an instance of the dataclass `kind`; options that are not given are as in `default`.

    `--help` prints and exits 0. Wrong arguments are a `UserError` of one or two lines, which names the most similar
    option where one is unknown or shortened."""
    names = option_names(kind)
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--") and name not in names:
            raise UserError(_unknown(name, names))
    argv = _gather(argv, [flag(field.name) for field in options_of(kind) if takes_several(field.type)])
    given = [argument.split("=")[0] for argument in argv]
    if repeated := [name for name in names if given.count(name) > 1]:
        raise UserError(f"{repeated[0]} is given twice")
    errors, config = io.StringIO(), (tyro.conf.OmitArgPrefixes,)  # --latent, not --config.latent
    try:
        with contextlib.redirect_stderr(errors):
            value, unknown = tyro.cli(
                kind, prog=prog, description=about, args=argv, default=default, return_unknown_args=True, config=config
            )
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        raise UserError(_error_in(errors.getvalue())) from None
    if unknown:
        raise UserError(_unknown(unknown[0], names))
    return cast(T, value)  # tyro takes a default of None for no default


# Python's words for a text that is no number, behind which the text stands
NO_NUMBER = re.compile(
    r"^Error parsing (?P<option>-\w(?=/)|--[\w-]+)\S*: .*?"
    r"(?:(?P<whole>invalid literal for int)|could not convert)[^:]*: (?P<text>['\"].*)$"
)


def _error_in(box: str) -> str:
    """Return the error in what tyro prints: the paragraph after the title, in a box or between rules."""
    lines = [re.sub(r"^[│|]\s?|\s*[│|]\s*$", "", line).strip() for line in box.splitlines()]
    error = re.split(r"^(?:[╭╰].*|[─-]{3,})$", "\n".join(lines), flags=re.MULTILINE)[1].strip().replace("\n", " ")
    if found := NO_NUMBER.search(error):
        return f"{found['option']} takes a {'whole ' if found['whole'] else ''}number, got {found['text']}"
    error = re.sub(r"^Error parsing (?:\w[\w.]*: |(?:-\w/)?(?=--))", "", error)
    return re.sub(r"^Missing from \S+: (--?\S+) .*", r"\1 is needed; --help lists the options", error)


def options_of(kind: Any) -> Iterator[Field]:
    """Yield the fields of the dataclass `kind`, and of the dataclasses in it, that are options."""
    for field in fields(kind):
        nested, *_ = _type_and_rules(field.type)
        if is_dataclass(nested):
            yield from options_of(nested)
        else:
            yield field


def flag(name: str) -> str:
    """Return the option of a field as it is typed."""
    return f"--{name.replace('_', '-')}"


def option_names(kind: Any) -> list[str]:
    """List the long options of the dataclass `kind`, in all spellings that tyro takes."""
    names = ["--help"]
    for field in options_of(kind):
        names += dict.fromkeys((flag(field.name), f"--{field.name}"))
        names += [flag(f"no_{field.name}")] if field.type is bool else []
    return names


def takes_several(kind: Any) -> bool:
    """Tell whether an option of this type takes any number of words: a tuple without a rule of its own."""
    base, *rules = _type_and_rules(kind)
    return get_origin(base) is tuple and not any(isinstance(rule, Spec) for rule in rules)


def _type_and_rules(kind: Any) -> tuple[Any, ...]:
    """Return the type of an option and, behind it, what `Annotated` adds to it."""
    return get_args(kind) if get_origin(kind) is Annotated else (kind,)


def value_of(option: str, argv: Sequence[str]) -> str | None:
    """Return the value of an option in the arguments; None where it is not given."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith(f"{option}=") else [word])]
    return next((after for before, after in pairwise(words) if before == option), None)


def given(name: str, argv: Sequence[str]) -> bool:
    """Tell whether the option of that name is among the arguments."""
    words = {word.split("=")[0].replace("_", "-") for word in argv}
    short = len(name) == 1 and f"-{name}" in words
    return short or flag(name) in words or flag(f"no_{name}") in words


def _gather(argv: Sequence[str], several: Collection[str]) -> list[str]:
    """Move the options that take several words behind the others, each with the words of all its occurrences."""
    others: list[str] = []
    gathered: dict[str, list[str]] = {}
    current = others
    for argument in argv:
        name, equals, value = argument.partition("=")
        if name in several:
            current = gathered.setdefault(name, [])
            current += [value] if equals else []
            continue
        if argument.startswith("--") or argument in ("-n", "-h"):
            current = others
        current.append(argument)
    return others + [word for name, words in gathered.items() for word in (name, *words)]


def _unknown(argument: str, names: Collection[str]) -> str:
    """Word the error about an unknown option, with the most similar one."""
    near = get_close_matches(argument, names, 1, 0.7)
    hint = f"did you mean {near[0]}?" if near else "--help lists the options"
    return f"unknown option {argument}; {hint}"


REFUSED = (*DENIED, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)  # errors about a file or folder that are no bugs
UNWRITTEN = (errno.ENOSPC, errno.EIO, errno.EDQUOT)


def run(main: Callable[[list[str]], object]) -> None:
    """Run a script's `main` and exit: 0 done; 2 with the message of a `UserError`; 130 after Ctrl-C. Anything else is a
    bug and shows its traceback (1)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a title that the terminal can't show is no reason to fail
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
        return
    except UserError as error:
        message = str(error)
    except MemoryError:
        message = "there is not enough memory for this"
    except BrokenPipeError:  # the reader of a pipe, such as head, has stopped
        sys.stderr.close()
        return
    except OSError as error:
        if error.filename is not None and error.errno in REFUSED:  # no better message is known
            message = str(UserError(f"{error.filename} can not be used ({error.strerror})"))
        elif error.errno in UNWRITTEN:
            message = f"the output can't be written ({error.strerror})"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
        else:
            raise
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    with contextlib.suppress(OSError):
        print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {message}", file=sys.stderr)
    sys.exit(2)
