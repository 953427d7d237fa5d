"""The router as a LangChain `Runnable`: composes with ``|`` and serves synchronous callers."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from anyio import EndOfStream, create_memory_object_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig

from agents.base import Token
from backends.base import Message
from router.answer import Event, Finished
from router.errors import InvalidRequest, RouterError
from router.messages import from_langchain, metadata, to_langchain

if TYPE_CHECKING:
    from concurrent.futures import Future

    from router.answer import Answer
    from router.request import Question

T = TypeVar("T")

Input: TypeAlias = str | PromptValue | Sequence[BaseMessage | Mapping[str, str]] | Mapping[str, Any]
"""A question, a prompt, messages, or ``{"question" | "messages": …, "principal": …, …}``."""

CHUNKS_AHEAD: Final = 16
"""How far an answer may run ahead of a synchronous reader."""

_OPTIONS = ("principal", "route", "adapter", "where")
_KEYS = frozenset({"question", "messages", *_OPTIONS})


class RouterRunnable(Runnable[Input, AIMessage]):
    """Answers with an `AIMessage`; decision, citations and trace id are in its metadata.

    The principal comes from the input mapping or from ``config["configurable"]["principal"]``, and
    so do ``where``, ``route`` and ``adapter``.
    """

    def __init__(
        self,
        *,
        ask: Callable[..., Awaitable[Answer]],
        stream: Callable[..., AsyncGenerator[Event]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Bind it to `Router.ask` and `Router.stream`, and to the loop that they run on."""
        self._ask = ask
        self._events = stream
        self._loop = loop

    async def ainvoke(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AIMessage:
        """Answer; arguments and errors as `Router.ask`."""

        async def answer(input: Input) -> AIMessage:
            question, options = _read(input, config, kwargs)
            return to_langchain(await self._ask(question, **options))

        return await self._acall_with_config(answer, input, config)

    def invoke(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AIMessage:
        """Answer, for callers outside the event loop.

        Raises:
            RouterError: As `Router.ask`; also when called inside the router's own event loop,
                where waiting would stop the very loop that has to answer.
        """
        answering = self._start(self.ainvoke(input, config, **kwargs))
        try:
            return answering.result()
        finally:
            answering.cancel()

    async def astream(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any | None
    ) -> AsyncIterator[AIMessageChunk]:
        """Yield the answer as chunks that add up; the last one carries the metadata."""

        async def inputs() -> AsyncIterator[Input]:
            yield input

        async def answers(
            inputs: AsyncIterator[Input], run_manager: Any, config: RunnableConfig
        ) -> AsyncIterator[AIMessageChunk]:
            async for each in inputs:
                async with aclosing(self._chunks(each, config, kwargs)) as chunks:
                    async for chunk in chunks:
                        yield chunk

        # Callbacks hear of it like of any other Runnable's stream.
        running = self._atransform_stream_with_config(inputs(), answers, config)
        async with aclosing(cast("AsyncGenerator[AIMessageChunk]", running)) as chunks:
            async for chunk in chunks:
                yield chunk

    def stream(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any | None
    ) -> Iterator[AIMessageChunk]:
        """Yield the answer as chunks, for callers outside the event loop; errors as `invoke`."""
        send, receive = create_memory_object_stream[AIMessageChunk](CHUNKS_AHEAD)

        async def pump() -> None:
            # One task owns the iterator from beginning to end; contexts do not cross tasks.
            answer = cast("AsyncGenerator[AIMessageChunk]", self.astream(input, config, **kwargs))
            async with send, aclosing(answer) as chunks:
                async for chunk in chunks:
                    await send.send(chunk)

        pumping = self._start(pump())
        try:
            while True:
                try:
                    yield self._start(receive.receive()).result()
                except EndOfStream:
                    break
            pumping.result()
        finally:
            pumping.cancel()
            self._loop.call_soon_threadsafe(receive.close)

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            inside = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            inside = False
        if inside:
            work.close()
            raise RouterError(
                "invoke, stream and batch wait for the event loop and cannot be called inside it. "
                "Use ainvoke, astream and abatch there."
            )
        if self._loop.is_closed():
            work.close()
            raise RouterError("The router is closed. Open one and use its own Runnable.")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _chunks(
        self, input: Input, config: RunnableConfig | None, named: Mapping[str, Any]
    ) -> AsyncGenerator[AIMessageChunk]:
        question, options = _read(input, config, named)
        async with aclosing(self._events(question, **options)) as events:
            async for event in events:
                if (chunk := _chunk(event)) is not None:
                    yield chunk


def _read(
    input: Input, config: RunnableConfig | None, named: Mapping[str, Any]
) -> tuple[Question, dict[str, Any]]:
    """Take the question and the options out of the forms that LangChain hands on.

    The principal is what the host said last: in the input, by keyword (``bind``), in the config.
    """
    if unknown := sorted(set(named) - set(_OPTIONS)):
        raise InvalidRequest(f"Unknown argument {unknown[0]!r}.", field=unknown[0])
    configured = (config or {}).get("configurable") or {}
    options: dict[str, Any] = {key: configured[key] for key in _OPTIONS if key in configured}
    options |= named
    question: object = input
    if isinstance(input, Mapping):
        if unknown := sorted(set(input) - _KEYS):
            raise InvalidRequest(
                f"Unknown key {unknown[0]!r}; use {', '.join(sorted(_KEYS))}.", field=unknown[0]
            )
        question = input.get("question", input.get("messages", ()))
        options |= {key: input[key] for key in _OPTIONS if key in input}
    if isinstance(question, PromptValue):
        question = question.to_messages()
    if isinstance(question, str):
        return question, options
    if not isinstance(question, Sequence):
        raise InvalidRequest("The input must be a question or messages.", field="messages")
    turns: list[Message | Mapping[str, str]] = []
    for turn in question:
        turns.extend(from_langchain([turn]) if isinstance(turn, BaseMessage) else [turn])
    return turns, options


def _chunk(event: Event) -> AIMessageChunk | None:
    match event:
        case Token(text):
            return AIMessageChunk(content=text)
        case Finished(answer):
            return AIMessageChunk(
                content="",
                response_metadata=metadata(answer),
                usage_metadata=to_langchain(answer).usage_metadata,
                chunk_position="last",
            )
        case _:
            return None
