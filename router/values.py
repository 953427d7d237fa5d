"""Readers of single JSON values: each returns the value, or says what it expected and got. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


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
    made: Callable[..., Made], readers: dict[str, Callable[[object], float]], kind: str
) -> Callable[[object], Made]:
    """Return a reader of objects of numbers, which may leave any of them out.

    Args:
        made: Takes the numbers by name.
        readers: Each number's own.
        kind: What a number is called whose name is unknown.
    """

    def read(value: object) -> Made:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {value!r}")
        unknown = sorted(set(value) - set(readers))
        if unknown:
            raise ValueError(f"unknown {kind} {unknown[0]!r}")
        return made(**{name: readers[name](given) for name, given in value.items()})

    return read


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
