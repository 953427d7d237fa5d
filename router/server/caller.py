"""On whose behalf a request comes, and which trace it belongs to: headers, never the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backends.principals import InvalidPrincipal, parse_principals
from router.errors import InvalidRequest

if TYPE_CHECKING:
    from starlette.datastructures import Headers

PRINCIPAL: Final = "X-Router-Principal"
_TRACE_HEADERS: Final = ("traceparent", "tracestate")


def principal_of(headers: Headers, anonymous: str) -> str:
    """Return on whose behalf the caller asks.

    The caller is a chat product that knows its user, and is trusted to say so. A header that is
    there but names nobody is taken for a mistake of the caller, not for permission to guess.

    Args:
        headers: Of the request.
        anonymous: Taken when the header is absent.

    Raises:
        InvalidRequest: The header is empty, repeated or malformed.
    """
    given = headers.getlist(PRINCIPAL)
    if not given:
        return anonymous
    if len(given) > 1:
        raise InvalidRequest(
            f"The header {PRINCIPAL} came {len(given)} times; send one, separated by commas.",
            field=PRINCIPAL,
        )
    try:
        named = parse_principals(given[0])
    except InvalidPrincipal as error:
        raise InvalidRequest(f"The header {PRINCIPAL}: {error}.", field=PRINCIPAL) from error
    if not named:
        raise InvalidRequest(
            f"The header {PRINCIPAL} names nobody; write user:NAME, or leave it out.",
            field=PRINCIPAL,
        )
    return given[0]


def trace_of(headers: Headers) -> dict[str, str] | None:
    """Return the caller's trace headers (W3C Trace Context), None without them."""
    found = {name: headers[name] for name in _TRACE_HEADERS if name in headers}
    return found if "traceparent" in found else None
