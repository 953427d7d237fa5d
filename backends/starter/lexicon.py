"""The word lists that training texts are composed from, and the blanks that they fill."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Final, TypeAlias

Lists: TypeAlias = Mapping[str, tuple[str, ...]]

_BLANK: Final = re.compile(r"\{([A-Za-z_0-9]+)\}")


def read_lists(name: str) -> dict[str, tuple[str, ...]]:
    """Return the lists of ``texts/<name>.txt``: a line ``# key`` and under it items between bars.

    Raises:
        FileNotFoundError: There is no such file.
    """
    text = resources.files("backends.starter.texts").joinpath(f"{name}.txt").read_text("utf-8")
    lists: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        key, _, items = block.partition("\n")
        found = (item.strip() for item in re.split(r" \|(?: |$)", items.replace("\n", " ")))
        lists[key.strip()] = tuple(item for item in found if item)
    return lists


def read_rows(name: str) -> list[Any]:
    """Return the JSON lines of ``texts/<name>``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    text = resources.files("backends.starter.texts").joinpath(name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def pairs(items: Sequence[str]) -> dict[str, str]:
    """Return items of the form ``left=right`` as a mapping."""
    return dict(item.split("=", 1) for item in items if "=" in item)


def fill(pattern: str, blanks: Mapping[str, Callable[[], str]]) -> str:
    """Return the pattern with each ``{blank}`` filled; ``{Blank}`` begins with a capital letter.

    Raises:
        KeyError: A blank has no filler.
    """

    def filled(found: re.Match[str]) -> str:
        key = found[1]
        if key in blanks:
            return blanks[key]()
        return capital(blanks[key[0].lower() + key[1:]]())

    text = pattern
    while (again := _BLANK.sub(filled, text)) != text:
        text = again
    return text


def capital(text: str) -> str:
    """Return the text with a capital letter in front."""
    return text[:1].upper() + text[1:]


def pick(rng: random.Random, items: Sequence[str]) -> str:
    """Return one of them."""
    return items[rng.randrange(len(items))]
