"""Holds rows out: what measures an adapter has not trained it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Final

from backends.finetune.data import label_counts
from backends.finetune.examples import Example, normalised

SHARE: Final = 0.2
LEAST: Final = 24
"""Rows held out at least, as long as that is not more than a third: fewer say hardly anything."""
MOST: Final = 200


def held_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Return what trains and what measures, always the same for the same rows and seed.

    Rows that ask the same in other letter case or punctuation stay together; each label gives its
    share.

    Args:
        examples: At least two, each once.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[normalised(example.asked)].append(example)
    by_label: dict[str, list[str]] = defaultdict(list)
    categorical = bool(label_counts(examples))
    for asked, rows in groups.items():
        label = rows[0].label or rows[0].answer.strip() if categorical else ""
        by_label[label].append(asked)
    total = len(groups)
    wanted = min(MOST, max(ceil(SHARE * total), min(LEAST, total // 3)), total - 1)
    chosen = {
        asked
        for label in sorted(by_label)
        for asked in _first(by_label[label], wanted / total, seed)
    }
    if not chosen or len(chosen) == total:
        chosen = set(sorted(groups, key=lambda asked: _draw(asked, seed))[: max(1, wanted)])
    training = [one for one in examples if normalised(one.asked) not in chosen]
    return training, [one for one in examples if normalised(one.asked) in chosen]


def _first(asked: Sequence[str], share: float, seed: int) -> list[str]:
    ordered = sorted(asked, key=lambda one: _draw(one, seed))
    return ordered[: round(share * len(ordered))]


def _draw(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{text}".encode()).digest()
