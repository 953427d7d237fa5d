"""One HTTP call to a model server, and its answer while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from backends.errors import TimedOut
from backends.vllm import wire
from backends.vllm.pacing import Clock
from backends.vllm.replicas import Replica

MAX_ANSWER_BYTES = 16 << 20

_END_OF_BODY_S = 0.1


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call; ``body=None`` makes it a GET. ``path`` begins with ``/v1``, if at all."""

    path: str
    body: Mapping[str, object] | None
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    """What it asks for; None for a call that any server can answer."""
    by_name: bool = False
    """Whether somebody named that model, so that a server may well not serve it."""


class Reply:
    """An answer with status 200 whose body is still to be read."""

    def __init__(self, response: aiohttp.ClientResponse, replica: Replica, clock: Clock) -> None:
        self._response = response
        self._clock = clock
        self.replica = replica
        self.server = replica.name

    async def whole(self) -> bytes:
        """Return the body.

        Raises:
            TimedOut: It did not come in time.
            Garbled: It was cut, or is longer than ``MAX_ANSWER_BYTES``.
        """
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise wire.garbled(self.server, f"answered more than {MAX_ANSWER_BYTES} bytes")
        return b"".join(pieces)

    async def piece(self) -> bytes:
        """Return the next bytes as they come, empty at the end; raises as `whole`."""
        try:
            async with asyncio.timeout_at(self._clock.until()):
                return await self._response.content.readany()
        except aiohttp.ClientError as error:
            raise wire.garbled(self.server, "stopped in the middle of its answer") from error
        except TimeoutError as error:
            raise timed_out(self.server, self._clock) from error

    async def finish(self) -> None:
        """Read what follows the last event, so that the connection can serve the next call."""
        try:
            async with asyncio.timeout(_END_OF_BODY_S):
                while not self._response.content.at_eof():
                    await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError):
            # The answer is whole already; closing the connection costs only the next call a little.
            self._response.close()

    @property
    def is_event_stream(self) -> bool:
        """Whether the server streams."""
        return self._response.content_type == "text/event-stream"


def timed_out(server: str, clock: Clock) -> TimedOut:
    """Return the error for a clock that has run out."""
    return TimedOut(
        f"The model server at {server} {clock.what_ran_out()}.",
        backend=wire.BACKEND,
        hint="It may be overloaded; its queue length tells.",
    )
