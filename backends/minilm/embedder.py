"""The `Embedder` port over one `Encoder`, on threads of its own so that the loop never waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backends.errors import TimedOut, Unavailable
from backends.minilm.encoder import Encoder, bundled, from_folder

if TYPE_CHECKING:
    from backends.base import Vector, Vectors

_Result = TypeVar("_Result")

# As long as a question waits behind one turn of a big ingestion: a passage or two.
_CHARACTERS_A_TURN = 2_000

_MOST_WORKERS = 4
"""Texts embedded at once by default, where there are as many cores; the rest is for the others."""


class MiniLmEmbedder:
    """Embeds in this process. Callers take turns, so a large call does not shut out a small one.

    A vector depends on its text alone, not on the texts of the same call. The turns of a large call
    run side by side, one a worker, because a core a text was measured to be faster than several
    cores on one text (infra/bench/embedder.py prints the latter).
    """

    def __init__(
        self,
        encoder: Encoder,
        executor: ThreadPoolExecutor,
        *,
        workers: int,
        timeout_s: float,
        max_waiting: int,
    ) -> None:
        self._encoder = encoder
        self._executor = executor
        self._workers = workers
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._waiting = 0
        # First come, first served: a question is next as soon as any worker ends its turn.
        self._turn = asyncio.Semaphore(workers)

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
        workers = workers or min(_usable_cores(), _MOST_WORKERS)
        executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="embedder")
        loop = asyncio.get_running_loop()
        try:
            if model_folder is None:
                load = partial(bundled, cache_folder, threads)
            else:
                load = partial(from_folder, model_folder, threads)
            encoder = await loop.run_in_executor(executor, load)
            yield cls(
                encoder, executor, workers=workers, timeout_s=timeout_s, max_waiting=max_waiting
            )
        finally:
            # A running turn is short; waiting for it here would block the loop.
            executor.shutdown(wait=False, cancel_futures=True)

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
        vectors = await self._side_by_side(turns)
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
        return [each for turn in await self._side_by_side(turns) for each in turn]

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the text takes, special tokens included, without cutting."""
        return self._encoder.count_tokens(text)

    async def _side_by_side(self, turns: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """Take each turn once; a call holds no more places in the queue than there are workers.

        Raises:
            As `embed`.
        """
        if self._waiting >= self._max_waiting:
            raise Unavailable(
                f"The embedder has {self._waiting} calls waiting already.",
                backend="embedder",
                hint="Try again in a moment, or run an embedding server beside the router.",
            )
        self._waiting += 1
        try:
            if len(turns) == 1:
                return [await self._take_turn(turns[0])]
            return await self._in_groups(turns)
        finally:
            self._waiting -= 1

    async def _in_groups(self, turns: Sequence[Callable[[], _Result]]) -> list[_Result]:
        taken: dict[int, _Result] = {}
        left = iter(enumerate(turns))

        async def work() -> None:
            for number, turn in left:
                taken[number] = await self._take_turn(turn)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._workers, len(turns))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            first = failed.exceptions[0]
            raise first from first.__cause__
        return [taken[number] for number in range(len(turns))]

    async def _take_turn(self, work: Callable[[], _Result]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, work)
        except TimeoutError as error:
            raise TimedOut(
                f"The embedder was busy for longer than {self._timeout_s:g} s.",
                backend="embedder",
                hint="Try again, or run an embedding server beside the router.",
            ) from error


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


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
