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
        # ASGI gives bytes as Latin-1; names are written in UTF-8, and a guess could be another's.
        text = given[0].encode("latin-1").decode("utf-8")
        named = parse_principals(text)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The header {PRINCIPAL} is not UTF-8.", field=PRINCIPAL) from error
    except InvalidPrincipal as error:
        raise InvalidRequest(f"The header {PRINCIPAL}: {error}.", field=PRINCIPAL) from error
    if not named:
        raise InvalidRequest(
            f"The header {PRINCIPAL} names nobody; write user:NAME, or leave it out.",
            field=PRINCIPAL,
        )
    return text


def trace_of(headers: Headers) -> dict[str, str] | None:
    """Return the caller's trace headers (W3C Trace Context), None without them."""
    found = {name: headers[name] for name in _TRACE_HEADERS if name in headers}
    return found if "traceparent" in found else None
