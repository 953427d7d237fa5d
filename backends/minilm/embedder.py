"""The `Embedder` port over one `Encoder`, on threads of its own so that the loop never waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends.minilm.encoder import Encoder, bundled, from_folder
from backends.minilm.turns import Turns

if TYPE_CHECKING:
    from backends.base import Vector, Vectors

# As long as a question waits behind one turn of a big ingestion: a passage or two.
_CHARACTERS_A_TURN = 2_000


class MiniLmEmbedder:
    """Embeds in this process. Callers take turns, so a large call does not shut out a small one.

    A vector depends on its text alone, not on the texts of the same call. The turns of a large call
    run side by side, one a worker, because a core a text was measured to be faster than several
    cores on one text (infra/bench/embedder.py prints the latter).
    """

    def __init__(self, encoder: Encoder, turns: Turns) -> None:
        self._encoder = encoder
        self._turns = turns

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        cache_folder: Path,
        model_folder: Path | None = None,
        *,
        threads: int = 1,
        workers: int | None = None,
        timeout_s: float = 30.0,
        max_waiting: int = 256,
    ) -> AsyncIterator[MiniLmEmbedder]:
        """Load the model for the length of the block.

        Args:
            cache_folder: Where the built graph is kept (35 MB); made when absent.
            model_folder: Another model to use instead: config.json, tokenizer.json and
                onnx/model*.onnx.
            threads: Threads of one inference. More help long texts, not short questions, and cost
                the other requests; infra/bench/embedder.py prints both.
            workers: Texts embedded at the same time; None for the cores that this process may use,
                up to four.
            timeout_s: Longest wait for one turn.
            max_waiting: Calls that may wait at once; one more is refused as `Unavailable`.

        Raises:
            Misconfigured: The model is missing or wrong, or the cache cannot be written.
        """
        if model_folder is None:
            load = partial(bundled, cache_folder, threads)
        else:
            load = partial(from_folder, model_folder, threads)
        async with Turns.open(
            "embedder", workers=workers, timeout_s=timeout_s, max_waiting=max_waiting
        ) as turns:
            yield cls(await turns.load(load), turns)

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return self._encoder.model

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._encoder.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of one text that the model reads; what is longer is cut."""
        return self._encoder.max_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d), float32, in order.

        Raises:
            TimedOut: Others kept the model busy for longer than the timeout.
            Unavailable: Too many calls are waiting already.
        """
        import numpy as np

        turns = [partial(self._encoder.encode, texts[turn]) for turn in _turns(texts)]
        vectors = await self._turns.take(turns)
        return np.concatenate([np.empty((0, self.dimension), np.float32), *vectors])

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> Sequence[tuple[Vector, Vectors | None]]:
        """Return the vector of each text and of its spans, as `backends.base.SpanEmbedder` says.

        Raises:
            As `embed`.
        """
        turns = [
            partial(_encode_spans, self._encoder, texts[turn], spans[turn])
            for turn in _turns(texts)
        ]
        return [each for turn in await self._turns.take(turns) for each in turn]

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the text takes, special tokens included, without cutting."""
        return self._encoder.count_tokens(text)


def _turns(texts: Sequence[str]) -> Iterator[slice]:
    """Cut a call into turns of at least one text and about ``_CHARACTERS_A_TURN``."""
    start, size = 0, 0
    for number, text in enumerate(texts):
        if number > start and size + len(text) > _CHARACTERS_A_TURN:
            yield slice(start, number)
            start, size = number, 0
        size += len(text)
    if start < len(texts):
        yield slice(start, len(texts))


def _encode_spans(
    encoder: Encoder, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
) -> list[tuple[Vector, Vectors | None]]:
    return [encoder.encode_spans(*each) for each in zip(texts, spans, strict=True)]
