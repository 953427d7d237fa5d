"""The port of what reads a question for whoever decides about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backends.base import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What an encoder sees in a text.

    Attributes:
        tokens: One vector for each token that was read, not of unit length, shape (n, d).
        spans: Where each token stands in the text, (start, end) in code points; special tokens
            are empty.
        layers: How many layers it took.
    """

    tokens: Vectors
    spans: Sequence[tuple[int, int]]
    layers: int


class QuestionEncoder(Protocol):
    """Reads a question for whoever decides about it, no deeper than it takes."""

    @property
    def fingerprint(self) -> str:
        """Names the weights by their content."""
        ...

    async def read(self, text: str, enough: Callable[[Reading], bool]) -> Reading:
        """Return the first reading that is enough, or the deepest.

        Args:
            text: Any text.
            enough: Says of all but the deepest reading whether it will do; called on a thread.

        Raises:
            TimedOut: Others kept the encoder busy for longer than the timeout.
            Unavailable: Too many readings are waiting already.
        """
        ...
