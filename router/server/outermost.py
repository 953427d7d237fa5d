"""The outermost layer: every request leaves with its headers, an honest error and a log line."""

from __future__ import annotations

import asyncio
import json
import traceback
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import MutableHeaders

from router.errors import RouterError
from router.server.errors import (
    ClientLeft,
    error_json,
    headers_of,
    status_of,
    unexpected_json,
)
from router.server.notes import Notes, begin_notes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

SEND_TIMEOUT_S: Final = 30.0
"""A client that takes nothing for so long has gone, whatever its connection says."""

CLIENT_LEFT: Final = 499
"""nginx's convention for a request whose client did not wait; only in the log."""

STREAM_END: Final = b"data: [DONE]\n\n"

_MOST_LOGGED: Final = 500
"""Characters of an error's sentence in the log."""

_MOST_CAUSES: Final = 4


class Outermost:
    """Turns whatever is raised within into an error of OpenAI's shape.

    Before the first byte an error gets its status; within a stream it becomes an error frame and
    the end mark, because OpenAI's clients take a stream that just ends for a complete one.
    """

    def __init__(
        self, app: ASGIApp, *, log: FilteringBoundLogger, send_timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._app = app
        self._log = log
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but cancellation leaves here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        notes = begin_notes(scope)
        reply = _Reply(send, notes, self._send_timeout_s)
        failure: dict[str, Any] = {}
        began = perf_counter()
        try:
            await self._guarded(scope, receive, reply, failure)
        finally:
            self._log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=reply.status or CLIENT_LEFT,
                ms=round((perf_counter() - began) * 1000, 1),
                route=notes.route,
                trace_id=notes.trace_id,
                request_id=notes.request_id,
                **failure,
            )

    async def _guarded(
        self, scope: Scope, receive: Receive, reply: _Reply, failure: dict[str, Any]
    ) -> None:
        try:
            try:
                await self._app(scope, receive, reply.send)
            except RouterError as error:
                failure |= _told(error)
                await reply.fail(status_of(error), error_json(error), headers_of(error))
            except ClientLeft:
                raise
            except Exception as error:  # noqa: BLE001 - the one place that may: it answers for all
                # Where, but not what: the message of an unforeseen error may quote the question.
                failure["error"] = type(error).__qualname__
                failure["stack"] = traceback.format_tb(error.__traceback__)
                trace = reply.notes.trace_id or reply.notes.request_id
                await reply.fail(500, unexpected_json(trace), {"x-should-retry": "false"})
        except ClientLeft:
            failure["error"] = "client_left"
            reply.status = CLIENT_LEFT


def _told(error: RouterError) -> dict[str, Any]:
    """What the log says of an error: its code, and of one on our side also what failed and why.

    Not the sentence of a caller's mistake, which may quote the question.
    """
    told: dict[str, Any] = {"error": error.code}
    if status_of(error) < 500:
        return told
    told["problem"] = str(error)[:_MOST_LOGGED]
    causes: list[str] = []
    cause = error.__cause__
    while cause is not None and len(causes) < _MOST_CAUSES:
        causes.append(type(cause).__qualname__)
        cause = cause.__cause__
    return told | {"causes": causes} if causes else told


class _Reply:
    """What has been sent so far."""

    def __init__(self, send: Send, notes: Notes, timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._streams = False
        self.notes = notes
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Send on, with the headers that every response has.

        Raises:
            ClientLeft: Nobody reads.
        """
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(self.notes.headers())
            self.status = message["status"]
            self._streams = headers.get("content-type", "").startswith("text/event-stream")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(message)
        except TimeoutError as error:
            raise ClientLeft from error

    async def fail(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        """Say that it failed, in the way that is still possible."""
        data = json_bytes(body)
        if self.status is None:
            await respond(self.send, data, status=status, headers=headers)
        elif self._streams:
            frame = b"data: " + data + b"\n\n" + STREAM_END
            await self.send({"type": "http.response.body", "body": frame})


async def respond(
    send: Send, data: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    """Send a whole JSON response."""
    lines = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        **(headers or {}),
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": data})


def json_bytes(content: object) -> bytes:
    """Return compact JSON; half a surrogate pair, which UTF-8 cannot hold, becomes ``?``."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")
