"""Where tune.py searches for an option: a space beside its default. Every value that a search tries can be typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from utils.command_line.options import flag

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

DIGITS = 3  # of a number that a search draws: more would be noise


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, integers if both are; log: drawn uniformly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    def draw(self, trial: BaseTrial, name: str) -> float:
        """Draw a value that the Optuna trial suggests."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return float(f"{trial.suggest_float(name, self.low, self.high, log=self.log):.{DIGITS}g}")

    def stored(self, value: float) -> float:
        """Return the value as Optuna stores it."""
        return value

    def contains(self, value: Any) -> bool:
        """Tell whether a search can draw the value."""
        return self.low <= value <= self.high


class Choice:
    """One of the values."""

    def __init__(self, *values: Any) -> None:
        self.values = {as_text(value): value for value in values}

    def __repr__(self) -> str:
        return f"Choice({', '.join(self.values)})"

    def draw(self, trial: BaseTrial, name: str) -> Any:
        """Draw a value that the Optuna trial suggests."""
        return self.values[trial.suggest_categorical(name, tuple(self.values))]

    def stored(self, value: Any) -> str:
        """Return the value as Optuna stores it."""
        return as_text(value)

    def contains(self, value: Any) -> bool:
        """Tell whether a search can draw the value."""
        return as_text(value) in self.values


Space: TypeAlias = Range | Choice


def tuned(default: Any, space: Space) -> Any:
    """Make the field of a Config with a default and the space to search."""
    return field(default=default, metadata={"space": space})


def spaces(config: Any) -> dict[str, Space]:
    """Return {name: space} of the options of a Config, or of its class, that can be searched."""
    return {option.name: option.metadata["space"] for option in fields(config) if "space" in option.metadata}


def as_text(value: Any) -> str:
    """Return the value of an option as it is typed."""
    if isinstance(value, tuple | list):
        return ",".join(map(as_text, value))
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def typed(values: Mapping[str, Any]) -> list[str]:
    """Return {option: value} as arguments of a command line; those that are None are left out."""
    argv = []
    for name, value in values.items():
        if isinstance(value, bool):
            argv.append(flag(name if value else f"no_{name}"))
        elif value is not None:
            argv += [flag(name), as_text(value)]
    return argv
