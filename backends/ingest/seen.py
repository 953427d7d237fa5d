"""Remembers which sources a run has seen, in eight bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b

_RECENT = 65_536


class Seen:
    """A set of texts that only grows.

    Keeps 64 bits of each text's BLAKE2 hash: among a million texts, two are taken for one with a
    probability of one in ten million.
    """

    def __init__(self) -> None:
        self._sorted = array("Q")
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, text: str) -> bool:
        return self._has(_key(text))

    def add(self, text: str) -> bool:
        """Remember a text; False when it was there already."""
        key = _key(text)
        if self._has(key):
            return False
        self._recent.add(key)
        if len(self._recent) >= _RECENT:
            self._merge()
        return True

    def _has(self, key: int) -> bool:
        if key in self._recent:
            return True
        place = bisect_left(self._sorted, key)
        return place < len(self._sorted) and self._sorted[place] == key

    def _merge(self) -> None:
        import numpy as np

        merged = np.concatenate(
            [np.frombuffer(self._sorted, np.uint64), np.fromiter(self._recent, np.uint64)]
        )
        merged.sort()
        self._sorted = array("Q", merged.tobytes())
        self._recent = set()


def _key(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
