"""Prompts of all sorts that people wrote for this repository: what a base must not forget.

Those that are rehearsed and those that measure come from different files, written at different
times, and share no wording.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backends.finetune.examples import normalised
from router.tuning.rows import example_lines

MEASURED: Final = 60
REHEARSED: Final = 120

_MEASURED_FROM: Final = ("single",)
_REHEARSED_FROM: Final = ("seeds_one", "seeds_two", "seeds_four")
_LONGEST: Final = 160
_SMALL_TALK: Final = 0.5
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class General:
    """Prompts without instructions and without a conversation; none is in both."""

    rehearsed: tuple[str, ...]
    measured: tuple[str, ...]


def general_prompts() -> General:
    """Return the prompts, always the same ones, half of them small talk."""
    measured = _some(_MEASURED_FROM, MEASURED, frozenset())
    known = frozenset(map(normalised, measured))
    return General(_some(_REHEARSED_FROM, REHEARSED, known), measured)


def _some(names: Sequence[str], wanted: int, known: frozenset[str]) -> tuple[str, ...]:
    talk: dict[str, str] = {}
    other: dict[str, str] = {}
    for name in names:
        for line in example_lines(name):
            row = json.loads(line)
            text = row.get("text", "")
            if not text or len(text) > _LONGEST or normalised(text) in known:
                continue
            kind = other if row["needs_facts"] or row["needs_manner"] else talk
            kind.setdefault(normalised(text), text)
    draw = random.Random(_SEED)  # noqa: S311 - repeatable, not secret
    chats = draw.sample(sorted(talk.values()), min(len(talk), round(_SMALL_TALK * wanted)))
    rest = draw.sample(sorted(other.values()), wanted - len(chats))
    mixed = [*chats, *rest]
    draw.shuffle(mixed)
    return tuple(mixed)
