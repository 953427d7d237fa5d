"""A generator speaks: its words stream out, its citation marks are checked on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from agents.base import AgentEvent, Cited, Reply, Token, ToolCalled
from agents.citations import CitationChecker
from agents.formats import check_json, check_not_empty
from agents.links import LinkGuard
from agents.tools import ToolCalls
from backends.errors import Misconfigured, Refused
from backends.generation import GenerationRequest, Generator, Usage

if TYPE_CHECKING:
    from backends.generation import GenerationChunk

NO_ANSWER: Final = "NO ANSWER"
"""What the prompts tell a model to say when the passages do not hold the answer."""

CUT_SHORT: Final = "length"
"""The finish reason of an answer that ran into its token limit (OpenAI's name)."""

_Read: TypeAlias = Callable[[str], Iterable[Token | Cited]]


async def say(generator: Generator, request: GenerationRequest) -> AsyncGenerator[AgentEvent]:
    """Stream an answer as it is, then its `Reply`.

    Raises:
        BrokenFormat: The answer is empty, or a schema was asked for and it is not JSON.
        BackendError: As the generator.
    """
    said: list[str] = []

    def read(text: str) -> Iterable[Token]:
        said.append(text)
        return [Token(text)] if text else []

    ending = Reply("")
    async with aclosing(_heard(generator, request, read)) as events:
        async for event in events:
            if isinstance(event, Reply):
                ending = event
            else:
                yield event
    text = "".join(said)
    if not ending.tool_calls:
        check_not_empty(text)
        if request.schema is not None and ending.finish_reason != CUT_SHORT:
            check_json(text)
    yield replace(ending, text=text)


async def say_with_citations(
    generator: Generator, request: GenerationRequest, *, nothing_found: Reply
) -> AsyncGenerator[AgentEvent]:
    """Stream an answer that rests on ``request.evidence``, then its `Reply`.

    Marks that do not verify and links that nobody gave are left out of the stream, and the reply
    says how many there were.

    Args:
        generator: Who speaks.
        request: What about.
        nothing_found: Said instead of an answer that is nothing but `NO_ANSWER`.

    Raises:
        BrokenFormat: The answer is empty.
        BackendError: As the generator.
    """
    checker, guard = CitationChecker(request.evidence), LinkGuard(_given(request))
    held: list[Token | Cited] = []
    ending = Reply("")

    def read(text: str) -> Iterable[Token | Cited]:
        return checker.feed(guard.feed(text))

    async with aclosing(_heard(generator, request, read)) as events:
        async for event in events:
            if isinstance(event, Reply):
                ending = event
                continue
            if isinstance(event, ToolCalled):
                yield event
                continue
            held.append(event)
            if not NO_ANSWER.startswith(checker.text.strip()[: len(NO_ANSWER)]):
                for waiting in held:
                    yield waiting
                held.clear()
    held.extend(checker.feed(guard.close()))
    held.extend(checker.close())
    if not ending.tool_calls:
        check_not_empty(checker.text)
    if checker.text.strip().rstrip(".") == NO_ANSWER:
        yield Token(nothing_found.text)
        yield replace(nothing_found, usage=ending.usage, model=ending.model)
        return
    for waiting in held:
        yield waiting
    yield Reply(
        checker.text,
        citations=tuple(checker.citations),
        usage=ending.usage,
        model=ending.model,
        finish_reason=ending.finish_reason,
        degraded=None if ending.tool_calls else _left_out(checker, guard),
        tool_calls=ending.tool_calls,
    )


async def _heard(
    generator: Generator, request: GenerationRequest, read: _Read
) -> AsyncGenerator[AgentEvent]:
    """Hand each piece to ``read`` and yield what it gives, then a `Reply` without text."""
    usage, model, finish_reason = Usage(), "", "stop"
    calls = ToolCalls()
    stream = cast("AsyncGenerator[GenerationChunk]", generator.stream(request))
    try:
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                usage = chunk.usage or usage
                model = chunk.model or model
                finish_reason = chunk.finish_reason or finish_reason
                for event in read(chunk.text):
                    yield event
                if chunk.tool_calls:
                    calls.feed(chunk.tool_calls)
                    yield ToolCalled(chunk.tool_calls)
    except Refused as error:
        if error.status != 404 or request.adapter is not None:
            raise
        # Nobody who asks has named a model, so nobody who asks is at fault.
        raise Misconfigured(
            error.problem,
            backend="model server",
            hint="Set ROUTER_VLLM_MODEL to a model that it serves.",
        ) from error
    yield Reply("", usage=usage, model=model, finish_reason=finish_reason, tool_calls=calls.whole())


def _given(request: GenerationRequest) -> Iterable[str]:
    """Every text whose links an answer may repeat."""
    yield from (turn.content for turn in request.messages)
    for passage in request.evidence:
        yield from (passage.text, passage.source)


def _left_out(checker: CitationChecker, guard: LinkGuard) -> str | None:
    """What a reader must know about what is missing from an answer, in plain words."""
    notes = []
    if checker.removed:
        noun = "citation" if checker.removed == 1 else "citations"
        verb = "was" if checker.removed == 1 else "were"
        notes.append(f"{checker.removed} {noun} could not be verified and {verb} removed.")
    if guard.removed:
        links = "1 link" if guard.removed == 1 else f"{guard.removed} links"
        verb = "was" if guard.removed == 1 else "were"
        notes.append(f"{links} that nobody had given {verb} removed.")
    if not checker.citations:
        notes.append("The answer cites no passage that supports it.")
    return " ".join(notes) or None
