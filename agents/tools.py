"""Tool calls in pieces, put together: a model asks the caller to run one of the caller's tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class ToolCalls:
    """Takes pieces as OpenAI's API streams them; gives back whole calls.

    Pieces of one call share an ``index``; names and arguments grow, everything else comes once
    (OpenAI, "Function calling", streaming).
    """

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, pieces: Iterable[Mapping[str, object]]) -> None:
        """Take the next pieces; one without an index begins a call of its own."""
        for piece in pieces:
            index = piece.get("index")
            at = index if isinstance(index, int) else len(self._calls)
            _grow(self._calls.setdefault(at, {}), piece)

    def whole(self) -> tuple[Mapping[str, object], ...]:
        """Return the calls so far, in order, without their indexes."""
        return tuple(self._calls[at] for at in sorted(self._calls))


_GROWING = ("name", "arguments")


def _grow(call: dict[str, Any], piece: Mapping[str, object]) -> None:
    for key, value in piece.items():
        if key == "index" or value is None:
            continue
        if isinstance(value, Mapping):
            _grow(call.setdefault(key, {}), value)
        elif key in _GROWING and isinstance(value, str):
            call[key] = call.get(key, "") + value
        else:
            call[key] = value
