"""What can go wrong outside, as one small tree.

    BackendError
    ├── Unavailable        cannot be reached or cannot serve now; worth another try later
    │   └── TimedOut       did not answer within the time it was given
    ├── Refused            will not serve this request; the same request fails again
    │   ├── CallsNoTools   tools came with the request, and the server is not set up for any
    │   └── UnknownField   a condition on a metadata field that no visible document has
    ├── Garbled            answered something that is not its protocol, or stopped in the middle
    ├── Misconfigured      there, but not what the settings promise (version, checksum)
    │   └── OtherModel     vectors of another embedding model than those of the index
    └── UnreadableDocument a file that cannot become a document

Every adapter translates its library's exceptions into these once, at its edge, and chains them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

Backend: TypeAlias = Literal[
    "database",
    "model server",
    "starter model",
    "embedder",
    "reranker",
    "judge",
    "classifier",
    "extractive generator",
    "adapters",
    "fine-tuning",
    "ingestion",
]
"""The parts that can fail; the router tells callers which."""


class BackendError(Exception):
    """Something outside failed.

    Args:
        problem: What failed, with which input; one sentence, no secrets.
        backend: Which part.
        hint: What to do next; one sentence, may be empty.
    """

    def __init__(self, problem: str, *, backend: Backend, hint: str = "") -> None:
        self.problem = problem
        self.backend = backend
        self.hint = hint
        super().__init__(f"{problem} {hint}".strip())


class Unavailable(BackendError):
    """It cannot be reached or is overloaded; nothing was answered."""


class TimedOut(Unavailable):
    """It did not answer in time."""


class Refused(BackendError):
    """It will not serve this request; ``status`` is its HTTP status where it has one."""

    def __init__(
        self, problem: str, *, backend: Backend, hint: str = "", status: int | None = None
    ) -> None:
        super().__init__(problem, backend=backend, hint=hint)
        self.status = status


class CallsNoTools(Refused):
    """Tools came with the request, and the server is not set up to let its model call any."""


class UnknownField(Refused):
    """A condition names a metadata field that no document has which the asker may see.

    Args:
        field: As the condition names it.
        known: Fields that there are, in order; only those of visible documents.
    """

    def __init__(self, field: str, known: Sequence[str]) -> None:
        self.field = field
        self.known = tuple(known)
        there = f"there are {', '.join(known[:20])}" if known else "there are none"
        super().__init__(
            f"No document that you may see has the metadata field {field[:80]!r}.",
            backend="database",
            hint=f"Of those that you may see {there}.",
        )


class Garbled(BackendError):
    """It broke its own protocol: malformed data, or a stream cut before its end."""


class Misconfigured(BackendError):
    """It is there, but is not what the settings promise."""


class OtherModel(Misconfigured):
    """Vectors cannot be compared: of one model those of the index, of another those at hand."""


class UnreadableDocument(BackendError):
    """A file that cannot become a document; ``source`` names it."""

    def __init__(self, source: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{source}: {reason}.", backend="ingestion", hint=hint)
        self.source = source
        self.reason = reason
