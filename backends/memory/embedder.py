"""The embedder's twin: hashed words and letter groups, no model, the same vector everywhere."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.base import Vector, Vectors

_WORD = re.compile(r"\w+")
_FREQUENT_WORDS = """
    a an and are as at be by can do does for from has have how i in is it my of on or our that the
    their this to was we what when where which who will with you your
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())
_SUFFIXES = ("ing", "ies", "ed", "es", "s", "y")
_GROUP = 4
_GROUP_WEIGHT = 0.3
_FREQUENT_WEIGHT = 0.15


class HashingEmbedder:
    """Puts texts that share words close together; knows nothing of their meaning.

    Each feature is hashed to one signed place (Weinberger et al. 2009, "Feature hashing").
    """

    def __init__(
        self, dimension: int = 384, *, model: str = "hashing", max_tokens: int = 256
    ) -> None:
        self._dimension = dimension
        self._model = model
        self._max_tokens = max_tokens

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return self._model

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """Words of one text that count; what is longer is cut."""
        return self._max_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d), float32, in order."""
        import numpy as np

        vectors = np.zeros((len(texts), self._dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed_one(text)
        return vectors

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> Sequence[tuple[Vector, Vectors | None]]:
        """Return the vector of each text and of its spans, as `backends.base.SpanEmbedder` says."""
        import numpy as np

        return [
            (
                vector,
                np.stack([self._embed_one(text[start:end]) for start, end in cut])
                if cut
                else np.empty((0, self._dimension), np.float32),
            )
            for vector, text, cut in zip(await self.embed(texts), texts, spans, strict=True)
        ]

    def count_tokens(self, text: str) -> int:
        """Return the number of words and two more, as models count their special tokens."""
        return len(_WORD.findall(text)) + 2

    def _embed_one(self, text: str) -> Vector:
        import numpy as np

        vector = np.zeros(self._dimension, np.float32)
        for feature, weight in _features(text, self._max_tokens - 2).items():
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            place = int.from_bytes(digest[:4], "big") % self._dimension
            vector[place] += weight if digest[4] & 1 else -weight
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            vector[0] = length = 1.0  # a text without words still needs a direction
        return vector / np.float32(length)


def _features(text: str, limit: int) -> dict[str, float]:
    features: dict[str, float] = {}
    words = Counter(_WORD.findall(text.lower())[:limit])
    for word, count in words.items():
        weight = 1 + math.log(count)
        if word in _FREQUENT:
            features[word] = _FREQUENT_WEIGHT * weight
            continue
        stem = _stem(word)
        features[stem] = features.get(stem, 0.0) + weight
        for group in _groups(word):
            features[group] = features.get(group, 0.0) + _GROUP_WEIGHT * weight
    return features


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def _groups(word: str) -> Iterator[str]:
    marked = f"<{word}>"
    for start in range(max(1, len(marked) - _GROUP + 1)):
        yield f"#{marked[start : start + _GROUP]}"
