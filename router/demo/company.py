"""Loads the sample company: settings of its own, the handbook, the questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from backends.principals import EVERYONE

if TYPE_CHECKING:
    from backends.base import DocumentStore, Embedder
    from backends.ingest import IngestReport, Progress
    from router.config import Settings

SCHEMA: Final = "router_demo"
"""Apart from the documents that people ingest themselves."""

HANDBOOK: Final = Path(__file__).parent / "handbook"

Outcome: TypeAlias = Literal["answered", "abstained", "spoken"]


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question of the demonstration.

    Attributes:
        principal: Who asks, as on the command line.
        expects: The route that a person would choose.
        outcome: What should come of it with the model that ships: an answer with citations, a
            refusal, or words of the model's own.
        shows: What it demonstrates.
    """

    question: str
    principal: str
    expects: str
    outcome: Outcome
    shows: str


def demo_settings(settings: Settings) -> Settings:
    """Return the settings turned to the sample company: embedded database, schema of its own."""
    return settings.model_copy(update={"database_url": None, "database_schema": SCHEMA})


def questions() -> tuple[DemoQuestion, ...]:
    """Return the questions of the demonstration, in order."""
    text = (Path(__file__).parent / "questions.json").read_text(encoding="utf-8")
    return tuple(DemoQuestion(**entry) for entry in json.loads(text))


async def ingest_handbook(
    store: DocumentStore,
    embedder: Embedder,
    on_progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Publish what is new or changed in the handbook.

    Raises:
        BackendError: The store or the embedder failed.
    """
    from backends.ingest import ingest

    return await ingest(
        [HANDBOOK],
        store=store,
        embedder=embedder,
        acl=frozenset({EVERYONE}),
        name=HANDBOOK.name,
        on_progress=on_progress,
    )
