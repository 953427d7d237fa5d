"""``/healthz``: the process lives. ``/readyz``: send it questions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.server.outermost import json_bytes, respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

    from router.server.asks import Asks
    from router.server.gate import Gate

FRESH_S: Final = 1.0
"""So long a result is believed, so that probes cost next to nothing."""

PING_TIMEOUT_S: Final = 5.0

_DISPENSABLE: Final = frozenset({"model server", "starter model", "adapters"})
"""Without them factual questions are still answered, and others say what is missing."""


class Live:
    """Always well, as long as it answers (ASGI)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await respond(send, json_bytes({"status": "ok"}))


class Ready:
    """Whether the parts work that no question can do without (ASGI).

    The answer, which needs no key, names parts that fail but not why; the log has the reason.
    """

    def __init__(self, router: Asks, gate: Gate, *, log: FilteringBoundLogger) -> None:
        self._router = router
        self._gate = gate
        self._log = log
        self._asking = asyncio.Lock()
        self._asked_at: float | None = None
        self._parts: Mapping[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: 200, or 503 while draining or when a part fails."""
        if self._gate.closed:
            await respond(send, json_bytes({"status": "draining"}), status=503)
            return
        parts = await self._current()
        failing = {name for name, state in parts.items() if state != "ok"}
        ready = failing <= _DISPENSABLE
        body = {
            "status": "ready" if ready else "not ready",
            "parts": {name: "failing" if name in failing else "ok" for name in parts},
        }
        await respond(send, json_bytes(body), status=200 if ready else 503)

    async def _current(self) -> Mapping[str, str]:
        async with self._asking:
            if self._asked_at is None or monotonic() - self._asked_at >= FRESH_S:
                before, self._parts = self._parts, await self._ping()
                self._asked_at = monotonic()
                for name, state in self._parts.items():
                    if state != before.get(name, "ok"):
                        self._log.warning("part changed", part=name, state=state)
        return self._parts

    async def _ping(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                return await self._router.ping()
        except TimeoutError:
            return {"router": f"no answer within {PING_TIMEOUT_S:g} s"}
