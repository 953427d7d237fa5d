"""What an ingestion says about itself, while it runs and afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backends.errors import BackendError


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one document, or one given place, did not become what it should."""

    source: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One document is done with; ``passages`` counts those published for it."""

    source: str
    outcome: Literal["published", "unchanged", "unreadable", "pruned"]
    passages: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did: counts of documents and passages, problems in order, seconds.

    Attributes:
        pruned: Documents deleted because their source no longer has them.
    """

    published: int = 0
    unchanged: int = 0
    pruned: int = 0
    passages: int = 0
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


class IngestStopped(BackendError):
    """The store or the embedder failed; ``__cause__`` is its error, ``report`` what was done."""

    def __init__(self, cause: BackendError, report: IngestReport) -> None:
        done = f"{report.published} published and {report.unchanged} unchanged before that"
        super().__init__(
            f"Ingestion stopped: {cause.problem} ({done}.)",
            backend=cause.backend,
            hint=f"{cause.hint} Run it again to go on from there.".strip(),
        )
        self.report = report
