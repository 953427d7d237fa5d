"""Finds the stored documents that their source no longer has."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from backends.base import DocumentStore
from backends.errors import UnreadableDocument
from backends.ingest.report import Problem
from backends.ingest.seen import Seen
from backends.ingest.source import Source, Unwalked, is_at_or_below
from backends.ingest.stored import documents_of


class Pruning:
    """Decides what is gone, from what a run has seen and what it could not look at.

    Args:
        source: What was walked.
        store: What is stored.
        seen: The sources of the documents that the walk offered, readable or not.
        allow_empty: A source with nothing at all means that everything is gone.
    """

    def __init__(
        self, source: Source, store: DocumentStore, seen: Seen, *, allow_empty: bool
    ) -> None:
        self._source = source
        self._store = store
        self._seen = seen
        self._allow_empty = allow_empty
        self._unwalked = ""
        self._kept: list[str] = []

    def keep(self, problem: UnreadableDocument) -> None:
        """Take note of something that is there but cannot become a document."""
        if isinstance(problem, Unwalked):
            self._unwalked = self._unwalked or problem.source
        self._kept.append(problem.source)

    def refusal(self) -> Problem | None:
        """Return why nothing may be deleted; None when it may."""
        if self._unwalked:
            return Problem(
                self._unwalked,
                "nothing was pruned, because it could not be looked at",
                "Documents that are only out of reach stay; make it readable and run it again.",
            )
        if self._source.whole and not self._seen and not self._kept and not self._allow_empty:
            return Problem(
                ", ".join(scope.base for scope in self._source.scopes),
                "nothing was pruned, because no document was found",
                "If all of them are meant to be gone, pass --allow-empty.",
            )
        return None

    async def gone(self) -> AsyncGenerator[str, None]:
        """Yield the sources of stored documents that are to be deleted."""
        for scope in self._source.scopes:
            async with aclosing(documents_of(self._store, scope)) as stored:
                async for source in stored:
                    if source not in self._seen and not self._is_kept(source):
                        yield source

    def _is_kept(self, source: str) -> bool:
        return any(is_at_or_below(source, kept) for kept in self._kept)
