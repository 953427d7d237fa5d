"""What documents come from: the port that a folder, a sitemap and a SQL query share."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from backends.errors import UnreadableDocument
from backends.ingest.document import ReadDocument


@dataclass(frozen=True, slots=True)
class Content:
    """One document as it was fetched.

    Attributes:
        mark: Of what was fetched, should that have changed since `Item.mark` was taken.
        read: Turns it into text; blocks, may be called from any thread, and raises
            `UnreadableDocument`.
    """

    mark: bytes
    read: Callable[[], ReadDocument]


@dataclass(frozen=True, slots=True)
class Item:
    """One document that a source offers.

    Attributes:
        source: Identifies the document across versions.
        origin: Tells sources apart that offer documents of the same name; 16 hexadecimal digits.
        mark: Changes whenever the document does; as cheap as the source can make it.
        content: Fetches it; asked for only when it is new or has changed. Raises
            `UnreadableDocument`, or `Withdrawn`.
    """

    source: str
    origin: str
    mark: bytes
    content: Callable[[], Awaitable[Content]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which stored documents a source answers for: when it no longer has them, they are gone.

    Attributes:
        base: The document of this name and whatever is named below it (``base/…``).
        origin: Only those that came from there; empty for any source that a run has read.
    """

    base: str
    origin: str = ""

    def covers(self, source: str, origin: str) -> bool:
        """Whether a stored document is one of these."""
        named = is_at_or_below(source, self.base)
        return named and bool(origin) and self.origin in ("", origin)


class Unwalked(UnreadableDocument):
    """A part of a source that could not be looked at: what is missing there need not be gone."""


class Empty(Unwalked):
    """A source that holds nothing at all, which is what one that is not mounted looks like too."""


class Withdrawn(Exception):
    """The document is there, but asks not to be kept."""


Offer: TypeAlias = Item | UnreadableDocument


class Source(Protocol):
    """Where documents come from."""

    @property
    def replaces(self) -> bool:
        """Whether its documents take the place of those of the same name from elsewhere."""
        ...

    @property
    def scopes(self) -> Sequence[Scope]:
        """What it answers for once it was walked to its end."""
        ...

    @property
    def whole(self) -> bool:
        """Whether everything within the scopes is walked, so that to find nothing is suspicious."""
        ...

    def batches(self) -> AsyncGenerator[Sequence[Offer], None]:
        """Yield everything it has, in batches small enough to be held in memory.

        What cannot become a document is yielded as the error that says why; an `Unwalked` among
        them means that there may be more than was seen.
        """
        ...


def mark_of(data: bytes) -> bytes:
    """Return the mark of a document that is known by its bytes alone."""
    return hashlib.sha256(data).digest()


def origin_of(place: bytes) -> str:
    """Return the origin for a place, which itself is nobody's business."""
    return hashlib.sha256(place).hexdigest()[:16]


def is_at_or_below(source: str, base: str) -> bool:
    """Whether a source is ``base`` itself or named below it."""
    return source == base or source.startswith(f"{base}/")
