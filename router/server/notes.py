"""What the door knows about one request: for its headers and its line in the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Scope

    from router.policy import Decision

_KEY: Final = "router.notes"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# W3C Trace Context, level 1: version, trace id, parent id, flags; ids of zeros are invalid.
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-.{2,}")


@dataclass(slots=True)
class Notes:
    """Filled in while the request is served.

    Attributes:
        request_id: The caller's ``X-Request-Id``, or one made here.
        trace_id: 32 lower-case hex digits, as soon as it is known.
        route: The route, as soon as it is decided.
    """

    request_id: str
    trace_id: str | None = None
    route: str | None = None

    def decided(self, decision: Decision) -> None:
        """Note where the question goes."""
        self.route = decision.route.value

    def headers(self) -> dict[str, str]:
        """Return what every response says about itself."""
        known = {
            "x-request-id": self.request_id,
            "x-router-trace-id": self.trace_id,
            "x-router-route": self.route,
        }
        return {name: value for name, value in known.items() if value}


def begin_notes(scope: Scope) -> Notes:
    """Start the notes of a request; `notes_of` finds them again."""
    headers = Headers(scope=scope)
    given = headers.get("x-request-id", "")
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    notes = Notes(
        request_id=given if _REQUEST_ID.fullmatch(given) else uuid4().hex,
        trace_id=trace[1] if trace else None,
    )
    scope[_KEY] = notes
    return notes


def notes_of(scope: Scope) -> Notes:
    """Return the notes that `begin_notes` made for this request."""
    notes: Notes = scope[_KEY]
    return notes
