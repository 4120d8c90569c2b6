"""Keep options of a command line in a TOML file, such as `without-genre = ["War"]`, and read them again.

Options that stand beside --preset on the command line count before those of the file."""

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

from utils.command_line.options import flag, given, options_of, takes_several, value_of
from utils.errors import UserError
from utils.runs import files
from utils.runs.paths import unreadable

PRESET, SAVE = "preset", "save_preset"


def read(argv: Sequence[str], kind: Any, exclusive: Collection[str] = ()) -> list[str]:
    """Return the arguments with those of the file of --preset in front. kind: the dataclass of the options. exclusive:
    names of options of which none is taken from the file where another stands among the arguments."""
    path = value_of(flag(PRESET), argv)
    if path is None:
        return list(argv)
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(Path(path), error) from None
    except ValueError as error:  # no TOML, no UTF-8
        raise UserError(f"{path}: this is no TOML that can be read: {error}") from None
    fields = {field.name: field for field in options_of(kind) if field.name not in (PRESET, SAVE)}
    words, asked = list[str](), any(given(name, argv) for name in exclusive)
    for option, value in values.items():
        name = option.replace("-", "_")
        if name not in fields:
            raise UserError(f"{path}: there is no option {option}; --help lists them")
        if given(name, argv) or (asked and name in exclusive):
            continue
        words += _words(path, option, fields[name], value)
    return [*words, *argv]


def _words(path: str, option: str, field: Field, value: Any) -> list[str]:
    """Return an option of the file as words of the command line."""
    parts, name = value if isinstance(value, list) else [value], field.name
    if field.type is bool:
        if not isinstance(value, bool):
            raise UserError(f"{path}: {option} takes true or false")
        return [flag(name if value else f"no_{name}")]
    if not parts or not all(isinstance(part, str | int | float) and not isinstance(part, bool) for part in parts):
        raise UserError(f"{path}: {option} takes a text, a number, or a list of these")
    texts = [str(part) for part in parts]
    return [flag(name), *texts] if takes_several(field.type) else [f"{flag(name)}={','.join(texts)}"]


def write(path: Path, config: Any) -> None:
    """Write the options that are not as by default. config: an instance of the dataclass of the options."""
    lines = []
    for field, value, default in _values(config):
        if value == default or field in (PRESET, SAVE):
            continue
        plain = [*value] if isinstance(value, tuple) else value
        text = json.dumps(plain, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")  # which TOML wants so
        lines.append(f"{field.replace('_', '-')} = {text}\n")
    files.write_text(str(path), "".join(lines))


def _values(config: Any) -> list[tuple[str, Any, Any]]:
    """Return (name, value, default) of each option."""
    own = {field.name for field in options_of(type(config))}
    found = list[tuple[str, Any, Any]]()
    for name in vars(config):
        value = getattr(config, name)
        found += [(name, value, _default(type(config), name))] if name in own else _values(value)
    return found


def _default(kind: Any, name: str) -> Any:
    return kind.__dataclass_fields__[name].default
