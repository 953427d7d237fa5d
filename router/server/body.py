"""The body of a request: bounded in size and time, JSON, of the shape it must have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers

from router.errors import InvalidRequest
from router.server.errors import BodyTooLarge, ClientLeft, SlowBody, UnsupportedMedia

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_TIMEOUT_S: Final = 30.0
"""For the whole body; the largest one at 0.5 Mbit/s."""

Shape = TypeVar("Shape", bound=BaseModel)


class BodyLimit:
    """Stops reading a body that is too long, announced or not."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        """Wrap an application; ``limit`` is in bytes."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request.

        Raises:
            BodyTooLarge: As soon as that is certain.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._limit:
            raise self._too_large()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"The request body is longer than {self._limit} bytes; "
            "send fewer messages, or raise server.max_body_bytes."
        )


async def read_body(
    scope: Scope, receive: Receive, shape: type[Shape], *, within_s: float = BODY_TIMEOUT_S
) -> Shape:
    """Read a JSON body, all of which must arrive in time.

    Raises:
        UnsupportedMedia: It says that it is something else.
        SlowBody, BodyTooLarge: It does not end.
        ClientLeft: The client went away in the middle.
        InvalidRequest: It is not JSON, or a field is missing or wrong; ``field`` names the first.
    """
    _check_media(Headers(scope=scope))
    try:
        async with asyncio.timeout(within_s):
            data = await _whole(receive)
    except TimeoutError as error:
        raise SlowBody(f"The request body did not arrive within {within_s:g} s.") from error
    try:
        return shape.model_validate_json(data)
    except ValidationError as error:
        raise _malformed(error) from error


def _check_media(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMedia(
            f"The content type {kind[:80]!r} is not understood; send application/json."
        )
    if (coding := headers.get("content-encoding", "identity").lower()) != "identity":
        raise UnsupportedMedia(
            f"The content encoding {coding[:80]!r} is not understood; send the JSON as it is."
        )


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _malformed(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {first['ctx']['error']}.")
    field = path_of(first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{field or 'The body'}: {reason}.", field=field or None)


def path_of(location: tuple[int | str, ...]) -> str:
    """Write where something is as OpenAI does: ``messages[0].content``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
