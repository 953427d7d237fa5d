"""A generator speaks: its words stream out, its citation marks are checked on the way.

An answer that cannot be used is asked for once more, as long as nobody has seen a word of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from agents.base import AgentEvent, Cited, Reply, Token, ToolCalled
from agents.care import NO_ANSWER, Care, CitedAnswer, PlainAnswer, joined
from agents.errors import BrokenFormat, LostFacts
from agents.formats import SchemaCheck, check_not_empty
from agents.limits import AnswerLimit
from agents.tools import ToolCalls
from backends.errors import Misconfigured, Refused
from backends.generation import GenerationRequest, Generator, Usage

if TYPE_CHECKING:
    from backends.generation import GenerationChunk

CUT_SHORT: Final = "length"
"""The finish reason of an answer that ran into its token limit (OpenAI's name)."""

WARMER: Final = 0.7
"""Temperature of a second attempt where the first had less: the same words would come again."""

_Read: TypeAlias = Callable[[str], Iterable[Token | Cited]]
_Attempt: TypeAlias = Callable[[GenerationRequest], AsyncGenerator[AgentEvent]]


async def say(
    generator: Generator, request: GenerationRequest, care: Care = Care()
) -> AsyncGenerator[AgentEvent]:
    """Stream an answer as it is, then its `Reply`.

    Under a schema the answer comes in one piece once it is known to satisfy it: half a JSON object
    cannot be taken back.

    Raises:
        BrokenFormat: The answer is empty, or not what the schema asks for, at both attempts.
        UnusableSchema: The schema is none.
        BackendError: As the generator.
    """
    check = None if request.schema is None else SchemaCheck(request.schema)

    def attempt(asked: GenerationRequest) -> AsyncGenerator[AgentEvent]:
        if check is None:
            return _said(generator, asked, care)
        return _held(generator, asked, care, check)

    async with aclosing(_twice(attempt, request)) as events:
        async for event in events:
            yield event


async def say_with_citations(
    generator: Generator, request: GenerationRequest, *, nothing_found: Reply, care: Care = Care()
) -> AsyncGenerator[AgentEvent]:
    """Stream an answer that rests on ``request.evidence``, then its `Reply`.

    Marks that do not verify, links that nobody gave and statements that no source holds are left
    out of the stream, and the reply says how many there were.

    Args:
        generator: Who speaks.
        request: What about.
        nothing_found: Said instead of an answer that is nothing but `NO_ANSWER`.
        care: What else the answer is held to.

    Raises:
        BrokenFormat: The answer is empty, at both attempts.
        LostFacts: It does not say what ``care.best`` says.
        BackendError: As the generator.
    """

    def attempt(asked: GenerationRequest) -> AsyncGenerator[AgentEvent]:
        return _cited(generator, asked, nothing_found, care)

    async with aclosing(_twice(attempt, request)) as events:
        async for event in events:
            yield event


async def _twice(attempt: _Attempt, request: GenerationRequest) -> AsyncGenerator[AgentEvent]:
    """Try once more after an answer that cannot be used and of which nothing was seen."""
    wasted = Usage()
    try:
        async with aclosing(attempt(request)) as events:
            heard = False
            async for event in events:
                heard = True
                yield event
        return
    except LostFacts:
        raise
    except BrokenFormat as error:
        if heard:
            raise
        wasted = error.usage
    async with aclosing(attempt(_otherwise(request))) as events:
        async for event in events:
            yield replace(event, usage=event.usage + wasted) if isinstance(event, Reply) else event


def _otherwise(request: GenerationRequest) -> GenerationRequest:
    """The same question, so that other words come."""
    asked = request.sampling
    temperature = asked.temperature
    return replace(
        request,
        sampling=replace(
            asked,
            seed=None if asked.seed is None else asked.seed + 1,
            temperature=None if temperature is None else max(temperature, WARMER),
        ),
    )


async def _said(
    generator: Generator, request: GenerationRequest, care: Care
) -> AsyncGenerator[AgentEvent]:
    answer = PlainAnswer(care)
    ending = Reply("")
    async with aclosing(_heard(generator, request, answer.feed)) as events:
        async for event in events:
            if isinstance(event, Reply):
                ending = event
            else:
                yield event
    for token in answer.close():
        yield token
    if not ending.tool_calls:
        _check_not_empty(answer.text, ending)
    note = None if ending.tool_calls else answer.note()
    yield replace(ending, text=answer.text, degraded=joined(ending.degraded, note))


async def _held(
    generator: Generator, request: GenerationRequest, care: Care, check: SchemaCheck
) -> AsyncGenerator[AgentEvent]:
    answer = PlainAnswer(care)
    ending = Reply("")
    async with aclosing(_heard(generator, request, answer.feed)) as events:
        async for event in events:
            match event:
                case Reply():
                    ending = event
                case ToolCalled():
                    yield event
    answer.close()
    text = answer.text if ending.tool_calls else _as_asked(answer.text, ending, check)
    if text:
        yield Token(text)
    note = None if ending.tool_calls else answer.note()
    yield replace(ending, text=text, degraded=joined(ending.degraded, note))


def _as_asked(text: str, ending: Reply, check: SchemaCheck) -> str:
    """The answer in its form; one that the caller's own token limit has cut stays cut."""
    if ending.finish_reason == CUT_SHORT and ending.degraded is None:
        return text
    if ending.degraded is not None:
        raise BrokenFormat(
            f"The model's answer is not the JSON that was asked for. {ending.degraded}",
            usage=ending.usage,
        )
    try:
        return check.checked(text)
    except BrokenFormat as error:
        raise BrokenFormat(str(error), usage=ending.usage) from error


async def _cited(
    generator: Generator, request: GenerationRequest, nothing_found: Reply, care: Care
) -> AsyncGenerator[AgentEvent]:
    answer = CitedAnswer(request, care)
    ending = Reply("")
    async with aclosing(_heard(generator, request, answer.feed)) as events:
        async for event in events:
            match event:
                case Reply():
                    ending = event
                case ToolCalled():
                    yield event
                case Token() | Cited():
                    for ready in answer.let_through(event):
                        yield ready
    rest = answer.close()
    if not ending.tool_calls:
        _check_not_empty(answer.text, ending)
    if answer.text.strip().rstrip(".") == NO_ANSWER:
        yield Token(nothing_found.text)
        yield replace(nothing_found, usage=ending.usage, model=ending.model)
        return
    if answer.waiting() and not ending.tool_calls:
        raise LostFacts(
            "The model's wording left out what the documents say, so it is not shown.",
            usage=ending.usage,
        )
    for event in rest:
        yield event
    note = None if ending.tool_calls else answer.note()
    yield replace(
        ending,
        text=answer.text,
        citations=answer.citations,
        degraded=joined(ending.degraded, note),
    )


async def _heard(
    generator: Generator, request: GenerationRequest, read: _Read
) -> AsyncGenerator[AgentEvent]:
    """Hand each piece to ``read`` and yield what it gives, then a `Reply` without text.

    An answer without end is left where `AnswerLimit` says; the reply is degraded then.
    """
    usage, model, finish_reason = Usage(), "", "stop"
    calls, limit = ToolCalls(), AnswerLimit(request.sampling.max_tokens)
    stream = cast("AsyncGenerator[GenerationChunk]", generator.stream(request))
    try:
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                usage = chunk.usage or usage
                model = chunk.model or model
                finish_reason = chunk.finish_reason or finish_reason
                for event in read(limit.feed(chunk.text)):
                    yield event
                if chunk.tool_calls:
                    calls.feed(chunk.tool_calls)
                    yield ToolCalled(chunk.tool_calls)
                if limit.why is not None:
                    finish_reason = CUT_SHORT
                    break
    except Refused as error:
        if error.status != 404 or request.adapter is not None:
            raise
        # Nobody who asks has named a model, so nobody who asks is at fault.
        raise Misconfigured(
            error.problem,
            backend="model server",
            hint="Set ROUTER_VLLM_MODEL to a model that it serves.",
        ) from error
    yield Reply(
        "",
        usage=usage,
        model=model,
        finish_reason=finish_reason,
        tool_calls=calls.whole(),
        degraded=limit.why,
    )


def _check_not_empty(text: str, ending: Reply) -> None:
    try:
        check_not_empty(text)
    except BrokenFormat as error:
        raise BrokenFormat(str(error), usage=ending.usage) from error
