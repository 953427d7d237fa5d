"""The ASGI application: paths, and the layers around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route as Path

from router.server.body import BodyLimit
from router.server.catalogue import Catalogue, ModelList
from router.server.chat import ChatCompletions
from router.server.decisions import Decisions
from router.server.errors import error_object
from router.server.gate import Gate
from router.server.health import Live, Ready
from router.server.keys import Keys
from router.server.log import server_log
from router.server.outermost import Outermost, json_bytes
from router.server.search import PassageById, Searches

if TYPE_CHECKING:
    from starlette.requests import Request
    from structlog.typing import FilteringBoundLogger

    from router.config import ServerSettings
    from router.server.asks import Asks


def create_app(
    router: Asks,
    settings: ServerSettings,
    *,
    gate: Gate | None = None,
    log: FilteringBoundLogger | None = None,
) -> Starlette:
    """Build the application around an open router, which it neither opens nor closes.

    Args:
        router: Answers the questions.
        settings: Where it listens is not read here.
        gate: Admission; whoever runs the server closes it before they stop.
        log: Standard error by default.
    """
    gate = gate or gate_of(settings)
    log = log or server_log()
    catalogue = Catalogue(router)
    models = ModelList(catalogue)
    chat = ChatCompletions(router, catalogue, gate, anonymous=settings.anonymous)
    decisions = Decisions(router, gate, anonymous=settings.anonymous)
    searches = Searches(router, gate, anonymous=settings.anonymous)
    passages = PassageById(router, gate, anonymous=settings.anonymous)
    return Starlette(
        routes=[
            Path("/v1/chat/completions", chat, methods=["POST"]),
            Path("/v1/decisions", decisions, methods=["POST"]),
            Path("/v1/search", searches, methods=["POST"]),
            Path("/v1/passages/{id:path}", passages, methods=["GET"]),
            Path("/v1/models", models, methods=["GET"]),
            Path("/v1/models/{id:path}", models, methods=["GET"]),
            Path("/healthz", Live(), methods=["GET"]),
            Path("/readyz", Ready(router, gate, log=log), methods=["GET"]),
        ],
        middleware=[
            Middleware(Outermost, log=log),
            Middleware(Keys, settings=settings),
            Middleware(BodyLimit, limit=settings.max_body_bytes),
        ],
        exception_handlers={HTTPException: _no_such_thing},
    )


def gate_of(settings: ServerSettings) -> Gate:
    """Return the admission that the settings ask for."""
    return Gate(concurrent=settings.max_concurrent, waiting=settings.max_waiting)


async def _no_such_thing(request: Request, error: Exception) -> Response:
    """Say in OpenAI's shape that a path is unknown or a method wrong."""
    assert isinstance(error, HTTPException), "registered for it"
    said = {
        404: ("not_found", f"There is nothing at {request.url.path[:200]}."),
        405: ("method_not_allowed", f"{request.method} is not possible there."),
    }
    code, message = said.get(error.status_code, ("http_error", error.detail))
    body = error_object(message, status=error.status_code, code=code)
    return Response(
        json_bytes(body),
        status_code=error.status_code,
        headers=error.headers,
        media_type="application/json",
    )
