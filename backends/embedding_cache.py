"""An `Embedder` that remembers: the sentences of a popular passage are embedded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.base import Embedder, Vector, Vectors

MAX_TEXTS = 20_000
"""About 35 MB of vectors with 384 places each, and as much again of sentences."""

MAX_CHARACTERS = 2_000
"""Longer texts are not remembered: they are pasted questions, which nobody asks again."""


class CachingEmbedder:
    """Asks another embedder for what is new to it; forgets what has waited longest.

    A vector depends on its text alone, so nothing about askers can be learnt from it but whether a
    text was embedded before.
    """

    def __init__(self, inner: Embedder, *, max_texts: int = MAX_TEXTS) -> None:
        """Remember the vectors of at most ``max_texts`` texts."""
        self._inner = inner
        self._max_texts = max_texts
        self._known: OrderedDict[str, Vector] = OrderedDict()

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return self._inner.model

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._inner.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of one text that the model reads; what is longer is cut."""
        return self._inner.max_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d), float32, in order."""
        import numpy as np

        found: dict[str, Vector] = {}
        for text in texts:
            if text in self._known:
                self._known.move_to_end(text)
                found[text] = self._known[text]
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found |= zip(missing, await self._inner.embed(missing), strict=True)
            self._remember({text: found[text] for text in missing})
        rows = [found[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the text takes, special tokens included, without cutting."""
        return self._inner.count_tokens(text)

    def _remember(self, vectors: dict[str, Vector]) -> None:
        # Copies, because a row of a batch would keep the whole batch alive.
        self._known |= {
            text: vector.copy() for text, vector in vectors.items() if len(text) <= MAX_CHARACTERS
        }
        while len(self._known) > self._max_texts:
            self._known.popitem(last=False)
