"""What others make of the same questions: constants, keywords, TF-IDF, and a released router.

A baseline that cannot be had here says so in words, as ``unavailable``, and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.evaluation.peer import Asked, NoPeer, ask_semantic_router, check_semantic_router
from router.evaluation.routing_report import agreement_figures, latency
from router.tuning.baselines import best_constant, keyword_rules, tfidf
from router.tuning.metrics import agreement
from router.tuning.training import DEFAULT_DATA, training_rows

if TYPE_CHECKING:
    from backends.base import Vectors
    from router.policy import Route
    from router.tuning.rows import Row


@dataclass(frozen=True, slots=True)
class Training:
    """The rows that the classifier was fitted on, as far as they are here.

    Attributes:
        said: Which they are, in words.
    """

    rows: Sequence[Row]
    said: str


def training(data: Path = DEFAULT_DATA) -> Training:
    """Put together what the shipped heads were fitted on, or the project's own part of it.

    Args:
        data: The public part.

    Raises:
        UnreadableRows: The file is there and cannot be read.
    """
    if data.is_file():
        rows = training_rows(data)
        return Training(rows, f"the project's own examples and {data}, {len(rows)} rows")
    rows = training_rows(None)
    return Training(
        rows, f"the project's own examples alone, {len(rows)} rows: there is no public {data} here"
    )


def baseline_figures(
    rows: Sequence[Row], known: Training, *, peers: Path | None = None
) -> dict[str, Any]:
    """Return each baseline's agreement with the labels.

    Args:
        rows: At least one.
        known: What the learning ones learn from.
        peers: Also ask semantic-router; the folder that the embedding model is kept in.
    """
    seen = {row.text for row in known.rows}
    about = {
        "fitted_on": known.said,
        "rows_fitted_on_too": sum(row.text in seen for row in rows),
    }
    found = {
        "best_constant": _compared(rows, best_constant(rows)),
        "keyword_rules": _compared(rows, keyword_rules(rows)),
        "tfidf": _tfidf(rows, known.rows) | about,
    }
    if peers is not None:
        found["semantic_router"] = _semantic_router(rows, known.rows, peers) | about
    return found


def _compared(rows: Sequence[Row], routes: Sequence[Route]) -> dict[str, Any]:
    return agreement_figures(agreement([row.route for row in rows], routes))


def _tfidf(rows: Sequence[Row], train: Sequence[Row]) -> dict[str, Any]:
    if find_spec("sklearn") is None:
        return {
            "unavailable": "TF-IDF needs scikit-learn, which is not installed; it comes with the "
            "extra agentic-query-router[tune]."
        }
    return _compared(rows, tfidf(train, rows))


def _semantic_router(rows: Sequence[Row], train: Sequence[Row], models: Path) -> dict[str, Any]:
    try:
        check_semantic_router()
        vectors, model = asyncio.run(_embedded([*train, *rows], models))
        answered = ask_semantic_router(Asked(train, rows, vectors))
    except NoPeer as error:
        return {"unavailable": str(error)}
    return {
        **_compared(rows, answered.routes),
        "version": answered.version,
        "encoder": model,
        # The vectors are given to it, so this is the choice alone.
        "choice_ms": latency(answered.ms),
    }


async def _embedded(rows: Sequence[Row], models: Path) -> tuple[Vectors, str]:
    """Return the vectors of the texts and the name of what made them: the peer's encoder here."""
    from backends.minilm import MiniLmEmbedder

    async with MiniLmEmbedder.open(models, threads=2) as embedder:
        return await embedder.embed([row.text for row in rows]), embedder.model
