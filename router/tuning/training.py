"""The rows that the shipped heads are fitted on, and their embeddings."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from router.tuning.compose import Amounts, compose
from router.tuning.rows import Row, own_rows, read_rows

if TYPE_CHECKING:
    from backends.base import Vectors

DEFAULT_DATA = Path("../shared/data/routing/train_ok.jsonl")

_OWN = ("triples", "single")
# The seeds are measured on instead: heads fitted on them too did better on our own triples, and
# worse on questions of strangers.


def training_rows(data: Path | None) -> list[Row]:
    """Put together our own examples, the rows of a file, and what is composed out of both.

    Args:
        data: A file of labelled rows that may train; None for our own alone.

    Raises:
        UnreadableRows: The file cannot be read.
    """
    authored = [row for name in _OWN for row in own_rows(name)]
    given = read_rows(data) if data else []
    rows = [*authored, *given]
    return [*rows, *compose(rows, Amounts())]


def rows_hash(rows: Sequence[Row]) -> str:
    """Name a set of rows by its content."""
    lines = "\n".join(json.dumps(asdict(row), sort_keys=True) for row in rows)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def embed_rows(rows: Sequence[Row], models: Path) -> tuple[Vectors, str]:
    """Embed the texts in process.

    Args:
        rows: Whose texts to embed.
        models: Cache folder of the embedder.

    Returns:
        The vectors and the name of the model.
    """
    from backends.minilm import MiniLmEmbedder

    async def embed() -> tuple[Vectors, str]:
        async with MiniLmEmbedder.open(models, threads=2) as embedder:
            return await embedder.embed([row.text for row in rows]), embedder.model

    return asyncio.run(embed())


def default_models() -> Path:
    """Return where the embedder keeps its graph when nobody says otherwise."""
    from platformdirs import user_data_path

    return user_data_path("agentic-query-router") / "models"
