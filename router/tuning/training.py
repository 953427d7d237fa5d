"""The rows that the shipped classifier is fitted on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from router.tuning.compose import Amounts, compose
from router.tuning.rows import Row, own_rows, read_rows

DEFAULT_DATA = Path("../shared/data/routing/train_ok.jsonl")

OWN = (
    "triples",
    "single",
    "seeds_one",
    "seeds_two",
    "seeds_three",
    "seeds_four",
    "seeds_five",
    "seeds_six",
)
"""Example files that train; the others are measured on."""

_COMPOSED_FROM = frozenset({"own-triples", "own-single"})


def training_rows(data: Path | None) -> list[Row]:
    """Put together our own examples, the rows of a file, and what is composed out of both.

    Args:
        data: A file of labelled rows that may train; None for our own alone.

    Raises:
        UnreadableRows: The file cannot be read.
    """
    authored = [row for name in OWN for row in own_rows(name)]
    given = read_rows(data) if data else []
    # The long files vary enough by themselves.
    pieces = [row for row in authored if row.source in _COMPOSED_FROM] + given
    return [*authored, *given, *compose(pieces, Amounts())]


def rows_hash(rows: Sequence[Row]) -> str:
    """Name a set of rows by its content."""
    lines = "\n".join(json.dumps(asdict(row), sort_keys=True) for row in rows)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def default_models() -> Path:
    """Return where the router keeps built graphs when nobody says otherwise."""
    from platformdirs import user_data_path

    return user_data_path("agentic-query-router") / "models"
