"""What goes wrong at the door itself, and how every error looks on the wire.

The shape is that of OpenAI's API: ``{"error": {"message", "type", "param", "code"}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from router.errors import (
    ConfigurationFault,
    DeadlineExceeded,
    InvalidRequest,
    RouterError,
    Unavailable,
    UnknownModel,
    UnknownPassage,
    UpstreamFailed,
)

RETRY_AFTER_S: Final = 2
"""Long enough for a queue to move on, short enough for a person who waits."""


class ClientLeft(Exception):
    """The client closed the connection, or stopped reading, before the answer was complete."""


class Unauthorized(InvalidRequest):
    """No valid API key came with the request."""

    code = "invalid_api_key"


class ForeignHost(InvalidRequest):
    """A server without keys was addressed by a name that is not this machine's own."""

    code = "host_not_allowed"


class BodyTooLarge(InvalidRequest):
    """The body is longer than ``server.max_body_bytes``."""

    code = "body_too_large"


class SlowBody(InvalidRequest):
    """The body did not arrive in time."""

    code = "body_timeout"


class UnsupportedMedia(InvalidRequest):
    """The body is not plain JSON."""

    code = "unsupported_media_type"


class Overloaded(Unavailable):
    """As many questions are being answered, and wait, as may."""

    code = "overloaded"


class ShuttingDown(Unavailable):
    """The server is about to stop."""

    code = "shutting_down"


class PortUnavailable(ConfigurationFault):
    """The server cannot listen where its settings say."""

    code = "port_unavailable"


_STATUS: Final[tuple[tuple[type[RouterError], int], ...]] = (
    (Unauthorized, 401),
    (ForeignHost, 403),
    (UnknownModel, 404),
    (UnknownPassage, 404),
    (SlowBody, 408),
    (BodyTooLarge, 413),
    (UnsupportedMedia, 415),
    (InvalidRequest, 400),
    (DeadlineExceeded, 504),
    (Unavailable, 503),
    (UpstreamFailed, 502),
    (ConfigurationFault, 500),
)
"""The first class that fits decides; special ones come before general ones."""


def status_of(error: RouterError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def headers_of(error: RouterError) -> dict[str, str]:
    """Return the headers that tell a client what to do next.

    ``x-should-retry`` is read by OpenAI's clients, which otherwise repeat every 5xx.
    """
    match error:
        case Unauthorized():
            return {"www-authenticate": "Bearer"}
        case DeadlineExceeded() | ConfigurationFault():
            return {"x-should-retry": "false"}
        case Unavailable():
            return {"retry-after": str(RETRY_AFTER_S)}
        case _:
            return {}


def error_json(error: RouterError) -> dict[str, Any]:
    """Return what the client reads of an error; who runs the server reads more in its log."""
    return error_object(
        error.public,
        status=status_of(error),
        code=error.code,
        param=error.field if isinstance(error, InvalidRequest) else None,
    )


def unexpected_json(trace: str) -> dict[str, Any]:
    """Return what the client reads of an error that nobody expected: nothing but where to look."""
    message = f"The server failed unexpectedly. Its log says more under {trace}."
    return error_object(message, status=500, code="internal_error")


def error_object(
    message: str, *, status: int, code: str, param: str | None = None
) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error: Mapping[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": error}
