"""The command line of the scripts: a dataclass becomes the options (tyro), and every error one or two lines."""

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

import tyro

from utils.errors import UserError
from utils.runs.paths import DENIED

T = TypeVar("T")


def _listed(
    number: Callable[[str], Any], metavar: str, length: int | None = None
) -> tyro.constructors.PrimitiveConstructorSpec[tuple[Any, ...]]:
    """Make the rule by which tyro reads values separated by commas. length: how many there must be."""

    def read(arguments: list[str]) -> tuple[Any, ...]:
        numbers = tuple(number(part) for part in arguments[0].split(","))
        if length and len(numbers) != length:
            raise ValueError(f"{length} numbers separated by a comma are needed, got {arguments[0]}")
        return numbers

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(map(str, value or ()))],
    )


Sizes = Annotated[tuple[int, ...], _listed(int, "N[,N...]")]
"""Layer sizes, written 500,200 on the command line."""
Names = Annotated[tuple[str, ...], _listed(str, "NAME[,NAME...]")]
"""Names, written genres,year on the command line."""
Pair = Annotated[tuple[float, float] | None, _listed(float, "LOW,HIGH", 2), tyro.conf.arg(help_behavior_hint="")]
"""Two numbers, written 0.5,5 on the command line."""
Threshold = Annotated[float | None, tyro.conf.arg(metavar="STARS", help_behavior_hint="")]
"""A number of stars; the default depends on the data."""
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]
"""A folder; the option's help tells the default."""
Output = Annotated[str | None, tyro.conf.arg(metavar="FILE|-", help_behavior_hint="")]
"""A file to write, or - for standard output."""

_CONFIG = (tyro.conf.OmitArgPrefixes,)  # --latent, not --config.latent


def parse(kind: type[T], argv: Sequence[str], prog: str, description: str, default: T | None = None) -> T:
    """Parse the arguments into an instance of the dataclass `kind`; options that are not given are as in `default`.

    `--help` prints and exits 0. Wrong arguments are a `UserError` of one or two lines, which names the most similar
    option where one is unknown or shortened."""
    names = _names(kind)
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--") and name not in names:
            raise UserError(_unknown(name, names))
    argv = _gathered(argv, _several(kind))
    given = [argument.split("=")[0] for argument in argv]
    if repeated := [name for name in names if given.count(name) > 1]:
        raise UserError(f"{repeated[0]} is given twice")
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            value, unknown = tyro.cli(
                kind,
                args=argv,
                prog=prog,
                description=description,
                default=default,
                return_unknown_args=True,
                config=_CONFIG,
            )
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        raise UserError(_one_line(errors.getvalue())) from None
    if unknown:
        raise UserError(_unknown(unknown[0], names))
    return cast(T, value)  # tyro takes a default of None for no default


def _one_line(box: str) -> str:
    """Take the error, the first paragraph, out of the box of several lines that tyro draws."""
    lines = [re.sub(r"^[│|]\s?|\s*[│|]\s*$", "", line).strip() for line in box.splitlines()]
    if len(lines) > 1 and re.fullmatch(r"[─-]+", lines[1]):  # without a box, as where stdout is not utf-8
        lines = lines[2:]
    text = []
    for line in lines:
        if re.match(r"^[╭╰]", line):
            continue
        if re.fullmatch(r"[─-]+", line):
            break
        text.append(line)
    error = re.sub(r"^Error parsing \w[\w.]*: ", "", " ".join(text))
    return re.sub(r"^Missing from \S+: (--?\S+) .*", r"\1 is needed; --help lists the options", error)


def _names(kind: Any) -> list[str]:
    """List the long options of the dataclass `kind` and of the dataclasses in it."""
    names = ["--help"]
    for field in fields(kind):
        if is_dataclass(field.type):
            names += _names(field.type)
        else:
            dashed = field.name.replace("_", "-")
            names += dict.fromkeys((f"--{dashed}", f"--{field.name}"))  # both spellings are taken
            names += [f"--no-{dashed}"] if field.type is bool else []
    return names


def _several(kind: Any) -> list[str]:
    """List the long options of `kind`, and of the dataclasses in it, that take any number of values."""
    names = []
    for field in fields(kind):
        if is_dataclass(field.type):
            names += _several(field.type)
        else:
            base = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
            listed = get_origin(base) is tuple and not _reads_itself(field.type)
            names += [f"--{field.name.replace('_', '-')}"] if listed else []
    return names


def _reads_itself(kind: Any) -> bool:
    """Whether a type has its own rule to be read from one argument, as `Sizes` has."""
    of = tyro.constructors.PrimitiveConstructorSpec
    return any(isinstance(extra, of) for extra in getattr(kind, "__metadata__", ()))


def _gathered(argv: Sequence[str], several: Collection[str]) -> list[str]:
    """Move all values of each option that takes several, however often it is given, behind its first occurrence."""
    gathered: list[str | list[str]] = []
    values: dict[str, list[str]] = {}
    at: list[str] | None = None
    for argument in argv:
        name, equals, value = argument.partition("=")
        if name in several:
            at = values.setdefault(name, [])
            if not at:
                gathered += [name, at]
            at += [value] if equals else []
        elif at is None or argument.startswith("--") or argument in ("-n", "-h"):
            at = None
            gathered.append(argument)
        else:
            at.append(argument)
    return [one for part in gathered for one in (part if isinstance(part, list) else [part])]


def _unknown(argument: str, names: Collection[str]) -> str:
    """Word the error about an unknown option, with the most similar one."""
    near = get_close_matches(argument, names, 1, 0.7)
    return f"unknown option {argument}" + (f"; did you mean {near[0]}?" if near else "; --help lists the options")


REFUSED = (*DENIED, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)  # errors about a file or folder that are no bugs


def run(main: Callable[[list[str]], object]) -> None:
    """Run a script's `main` and exit: 0 done; 2 with the message of a `UserError`; 130 after Ctrl-C. Anything else is a
    bug and shows its traceback (1)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a title that the terminal can't show is no reason to fail
    name = sys.argv[0].rsplit("/", 1)[-1]
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name != os.environ.get("KERAS_BACKEND"):
            raise
        print(f"{name}: KERAS_BACKEND={error.name} is not installed: pip install {error.name}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print(f"{name}: there is not enough memory for this", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe, such as head, has stopped
        sys.stderr.close()
    except OSError as error:
        if error.filename is not None and error.errno in REFUSED:  # no better message is known
            print(f"{name}: {UserError(f'{error.filename} can not be used ({error.strerror})')}", file=sys.stderr)
            sys.exit(2)
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or Python tries to write once more when it ends
        with contextlib.suppress(OSError):
            print(f"{name}: the output can't be written ({error.strerror})", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
