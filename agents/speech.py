"""A model speaks from passages: its words stream out, its citation marks are checked on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from agents.base import AgentEvent, Reply
from agents.citations import CitationChecker
from backends.base import GenerationRequest, Generator, Usage

if TYPE_CHECKING:
    from backends.base import GenerationChunk


async def speak(generator: Generator, request: GenerationRequest) -> AsyncGenerator[AgentEvent]:
    """Stream an answer that rests on ``request.evidence``, then its `Reply`.

    Marks that do not verify are left out of the stream, and the reply says how many there were.

    Raises:
        BackendError: As the generator.
    """
    checker = CitationChecker(request.evidence)
    usage, model, finish_reason = Usage(), "", "stop"
    stream = cast("AsyncGenerator[GenerationChunk]", generator.stream(request))
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            usage = chunk.usage or usage
            model = chunk.model or model
            finish_reason = chunk.finish_reason or finish_reason
            for event in checker.feed(chunk.text):
                yield event
    for event in checker.close():
        yield event
    yield Reply(
        checker.text,
        citations=tuple(checker.citations),
        usage=usage,
        model=model,
        finish_reason=finish_reason,
        removed_citations=checker.removed,
        degraded=_removed(checker.removed),
    )


def _removed(marks: int) -> str | None:
    if not marks:
        return None
    noun = "citation" if marks == 1 else "citations"
    return f"{marks} {noun} of the model could not be verified and were removed."
