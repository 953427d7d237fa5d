"""``POST /v1/search`` and ``GET /v1/passages/{id}``: passages without an answer.

Both see what the principal of the request may see now, and say the same of what is not there and
of what may not be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr
from starlette.datastructures import Headers

from router.request import MAX_RESULTS
from router.search import DEFAULT_LIMIT
from router.serialise import found_json, passage_json
from router.server.body import read_body
from router.server.caller import principal_of, trace_of
from router.server.leaving import unless_client_leaves
from router.server.notes import Notes, notes_of
from router.server.outermost import json_bytes, respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from router.server.asks import Asks
    from router.server.gate import Gate


class SearchBody(BaseModel):
    """The body of ``POST /v1/search``.

    Unlike OpenAI's, its fields are all our own: one that is unknown is a slip, and a slip in
    ``where`` would search more than was meant.
    """

    model_config = ConfigDict(extra="forbid")

    query: StrictStr
    limit: Annotated[StrictInt, Field(ge=1, le=MAX_RESULTS)] = DEFAULT_LIMIT
    where: Any = None


class Searches:
    """Searches (ASGI)."""

    def __init__(self, router: Asks, gate: Gate, *, anonymous: str) -> None:
        self._router = router
        self._gate = gate
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; errors as `ChatCompletions`."""
        headers = Headers(scope=scope)
        principal = principal_of(headers, self._anonymous)
        body = await read_body(scope, receive, SearchBody)
        searching = self._search(body, principal, trace_of(headers), notes_of(scope), send)
        await unless_client_leaves(receive, searching)

    async def _search(
        self,
        body: SearchBody,
        principal: str,
        trace: dict[str, str] | None,
        notes: Notes,
        send: Send,
    ) -> None:
        async with self._gate.admitted():
            found = await self._router.search(
                body.query,
                principal=principal,
                where=body.where,
                limit=body.limit,
                traceparent=trace,
            )
        notes.trace_id = found.trace_id or notes.trace_id
        await respond(send, json_bytes(found_json(found)))


class PassageById:
    """Shows one passage, such as the one that a citation names (ASGI)."""

    def __init__(self, router: Asks, gate: Gate, *, anonymous: str) -> None:
        self._router = router
        self._gate = gate
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            UnknownPassage: Nothing with that id is to be seen.
            RouterError: It cannot be served.
        """
        headers = Headers(scope=scope)
        principal = principal_of(headers, self._anonymous)
        async with self._gate.admitted():
            passage = await self._router.passage(
                scope["path_params"]["id"], principal=principal, traceparent=trace_of(headers)
            )
        await respond(send, json_bytes(passage_json(passage)))
