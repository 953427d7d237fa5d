"""``POST /v1/chat/completions``."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from starlette.datastructures import Headers

from agents.base import Token, ToolCalled
from router.answer import Decided, Finished
from router.server.body import read_body
from router.server.caller import principal_of, trace_of
from router.server.chat_reply import ChatReply
from router.server.chat_request import ChatBody, ChatCall, read_chat
from router.server.leaving import unless_client_leaves
from router.server.notes import Notes, notes_of
from router.server.outermost import STREAM_END, json_bytes, respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from router.answer import Answer, Event
    from router.policy import Decision
    from router.server.asks import Asks
    from router.server.catalogue import Catalogue
    from router.server.gate import Gate


class ChatCompletions:
    """Answers questions, whole or as server-sent events."""

    def __init__(self, router: Asks, catalogue: Catalogue, gate: Gate, *, anonymous: str) -> None:
        self._router = router
        self._catalogue = catalogue
        self._gate = gate
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI).

        Raises:
            RouterError: It cannot be served, or not to its end.
            ClientLeft: The client did not wait for the answer.
        """
        headers = Headers(scope=scope)
        principal = principal_of(headers, self._anonymous)
        call = read_chat(await read_body(scope, receive, ChatBody))
        answering = self._answer(call, principal, trace_of(headers), notes_of(scope), send)
        await unless_client_leaves(receive, answering)

    async def _answer(
        self,
        call: ChatCall,
        principal: str,
        trace: dict[str, str] | None,
        notes: Notes,
        send: Send,
    ) -> None:
        reply = ChatReply(
            call_id=f"chatcmpl-{uuid4().hex}", created=int(time.time()), model=call.model
        )
        writer: _Writer
        writer = _Streamed(reply, call, send) if call.stream else _Whole(reply, send)
        chosen = await self._catalogue.choice(call.model)
        async with self._gate.admitted():
            events = self._router.stream(
                call.conversation,
                principal=principal,
                route=chosen.route,
                adapter=chosen.adapter,
                sampling=call.sampling,
                schema=call.schema,
                extra=call.extra,
                where=call.where,
                traceparent=trace,
            )
            async with aclosing(events):
                async for event in events:
                    _note(event, notes)
                    await writer.hear(event)


class _Writer(Protocol):
    async def hear(self, event: Event) -> None:
        """Send what the event has for the client."""


class _Whole:
    """Sends the answer when it is complete."""

    def __init__(self, reply: ChatReply, send: Send) -> None:
        self._reply = reply
        self._send = send

    async def hear(self, event: Event) -> None:
        if isinstance(event, Finished):
            await respond(self._send, json_bytes(self._reply.whole(event.answer)))


class _Streamed:
    """Sends the answer as it comes.

    The headers wait for the first token: whatever fails before it still gets its own status.
    """

    def __init__(self, reply: ChatReply, call: ChatCall, send: Send) -> None:
        self._reply = reply
        self._send = send
        self._include_usage = call.include_usage
        self._decision: Decision | None = None
        self._started = False

    async def hear(self, event: Event) -> None:
        match event:
            case Decided(decision=decision):
                self._decision = decision
            case Token(text=text) if text:
                await self._start()
                await self._chunks(self._frame(self._reply.piece(text)))
            case ToolCalled(calls=calls):
                await self._start()
                await self._chunks(self._frame(self._reply.calls(calls)))
            case Finished(answer=answer):
                await self._start()
                await self._finish(answer)
            case _:
                pass  # evidence and citations come whole, with the finishing chunk

    async def _start(self) -> None:
        if self._started:
            return
        self._started = True
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),  # nginx would hold the tokens back
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._chunks(self._frame(self._reply.first(self._decision)))

    async def _finish(self, answer: Answer) -> None:
        frames = self._frame(self._reply.last(answer))
        if self._include_usage:
            frames += b"data: " + json_bytes(self._reply.usage(answer)) + b"\n\n"
        await self._chunks(frames + STREAM_END, more=False)

    async def _chunks(self, frames: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": frames, "more_body": more})

    def _frame(self, chunk: dict[str, object]) -> bytes:
        if self._include_usage:
            chunk["usage"] = None
        return b"data: " + json_bytes(chunk) + b"\n\n"


def _note(event: Event, notes: Notes) -> None:
    match event:
        case Decided(decision=decision, trace_id=trace_id):
            notes.decided(decision)
            notes.trace_id = trace_id or notes.trace_id
        case Finished(answer=answer):
            notes.trace_id = answer.trace_id or notes.trace_id
        case _:
            pass
