"""Options that are worth searching for: each says beside its default where tune.py may look. The values that a search
tries and the text that stands for them on the command line are one, so that what was found can be typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from optuna import Trial

DIGITS = 3  # of a number that a search draws: more would be noise


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, whole where these are; log: small ones are searched as closely as large ones."""

    low: float
    high: float
    log: bool = False

    def draw(self, trial: Trial, name: str) -> float:
        """Draw a value that the Optuna trial suggests."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return float(f"{trial.suggest_float(name, self.low, self.high, log=self.log):.{DIGITS}g}")

    def stored(self, value: float) -> float:
        """Return what Optuna knows the value by."""
        return value

    def contains(self, value: Any) -> bool:
        """Tell whether a search can come upon the value."""
        return self.low <= value <= self.high


class Choice:
    """One of the values."""

    def __init__(self, *values: Any) -> None:
        self.values = {as_text(value): value for value in values}

    def __repr__(self) -> str:
        return f"Choice({', '.join(self.values)})"

    def draw(self, trial: Trial, name: str) -> Any:
        """Draw a value that the Optuna trial suggests."""
        return self.values[trial.suggest_categorical(name, tuple(self.values))]

    def stored(self, value: Any) -> str:
        """Return what Optuna knows the value by."""
        return as_text(value)

    def contains(self, value: Any) -> bool:
        """Tell whether a search can come upon the value."""
        return as_text(value) in self.values


Space: TypeAlias = Range | Choice


def tuned(default: Any, space: Space) -> Any:
    """Make the field of a Config whose option has that default, and that space to be searched."""
    return field(default=default, metadata={"space": space})


def spaces(config: Any) -> dict[str, Space]:
    """Return {name: space} of the options of a Config, or of its class, that can be searched for."""
    return {one.name: one.metadata["space"] for one in fields(config) if "space" in one.metadata}


def as_text(value: Any) -> str:
    """Return the value of an option as it is typed."""
    if isinstance(value, tuple | list):
        return ",".join(map(as_text, value))
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def typed(values: Mapping[str, Any]) -> list[str]:
    """Return the arguments of a command line that say {option: value}; those that are None say nothing."""
    argv = []
    for name, value in values.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            argv.append(f"--{dashed}" if value else f"--no-{dashed}")
        elif value is not None:
            argv += [f"--{dashed}", as_text(value)]
    return argv
