"""Readers of single values: each returns the value, or says what it expected and got. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Made = TypeVar("Made")


class WrongKeys(ValueError):
    """Keys of an object are wrong; ``problems`` has one line each, which begins with the key."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def number(low: float, high: float, what: str) -> Callable[[object], float]:
    """Return a reader of numbers from ``low`` to ``high``, called ``what`` in its complaints.

    The reader raises TypeError or ValueError.
    """

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"expected {what}, got {value!r}")
        if not low <= value <= high:
            raise ValueError(f"expected {what}, got {value!r}")
        return float(value)

    return read


def numbers(
    made: Callable[..., Made], readers: Mapping[str, Callable[[object], float]]
) -> Callable[[object], Made]:
    """Return a reader of objects of numbers, which may leave any of them out.

    Args:
        made: Takes the numbers by name.
        readers: Each number's own.

    The reader raises TypeError, or `WrongKeys` with all of them.
    """

    def read(value: object) -> Made:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {value!r}")
        if problems := complaints(value, readers):
            raise WrongKeys(problems)
        return made(**{name: readers[name](given) for name, given in value.items()})

    return read


def complaints(
    values: Mapping[str, object], readers: Mapping[str, Callable[[object], object]]
) -> list[str]:
    """Return what is wrong with each of some named values, one line each."""
    found = []
    for name, value in values.items():
        if name not in readers:
            found.append(f"{name}: unknown key")
            continue
        try:
            readers[name](value)
        except WrongKeys as error:
            found += [f"{name}.{problem}" for problem in error.problems]
        except (TypeError, ValueError) as error:
            found.append(f"{name}: {error}")
    return found


def whole_number(value: object) -> int:
    """Read a whole number from 1.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a whole number from 1, got {value!r}")
    return value


def text(value: object) -> str:
    """Read a string.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {value!r}")
    return value
