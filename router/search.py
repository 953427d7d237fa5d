"""Search without an answer: the passages that an answer would rest on, and one by its id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from agents.base import Task
from backends.base import Message, Passage
from router.answer import Found
from router.errors import DeadlineExceeded, UnknownPassage, translated
from router.request import PassageRequest, SearchRequest
from router.tracing import names
from router.tracing.steps import Trace, step_span

if TYPE_CHECKING:
    from agents.evidence import EvidenceFinder
    from backends.base import DocumentStore
    from router.tracing.setup import Tracing

DEFAULT_LIMIT: Final = 10
"""Passages of a search that does not say how many."""


class Search:
    """Finds passages as the main path does, for those who only want to look.

    Args:
        evidence: Finds as many passages as a search may ask for.
        documents: Keeps them.
        timeout_s: For one search or look-up.
    """

    def __init__(
        self,
        evidence: EvidenceFinder,
        documents: DocumentStore,
        tracing: Tracing,
        *,
        timeout_s: float,
    ) -> None:
        self._evidence = evidence
        self._documents = documents
        self._tracing = tracing
        self._timeout_s = timeout_s

    async def find(
        self, request: SearchRequest, *, traceparent: Mapping[str, str] | None = None
    ) -> Found:
        """Return the passages that fit best.

        Raises:
            RouterError: They cannot be searched, or not in time.
        """
        turn = Message("user", request.words)
        task = Task(request.words, (turn,), request.principals, where=request.where)
        with self._traced(names.SEARCH, traceparent) as trace:
            trace.asked(task.conversation)
            async with self._limited():
                evidence = await self._evidence.find(task, hybrid=False)
            return Found(evidence.query, evidence.passages[: request.limit], trace.id)

    async def passage(
        self, request: PassageRequest, *, traceparent: Mapping[str, str] | None = None
    ) -> Passage:
        """Return one passage of a document's live version.

        Raises:
            UnknownPassage: There is none that the asker may see now.
            RouterError: It cannot be looked up, or not in time.
        """
        with self._traced(names.LOOK_UP, traceparent):
            async with self._limited():
                found = await self._documents.passage(request.id, visible_to=request.principals)
            if found is None:
                raise UnknownPassage(
                    "There is no passage with this id that you may see.", field="id"
                )
            return found

    @contextmanager
    def _traced(self, name: str, traceparent: Mapping[str, str] | None) -> Iterator[Trace]:
        trace = Trace(self._tracing, name, traceparent=traceparent)
        try:
            with step_span(self._tracing, "retrieve", trace.context), translated():
                yield trace
        except BaseException as error:
            trace.failed(error)
            raise
        finally:
            trace.end()

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded(
                f"The search took longer than {self._timeout_s:g} s. "
                "Raise timeouts.request if that is expected."
            ) from error
