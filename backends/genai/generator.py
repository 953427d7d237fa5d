"""The `Generator` port over onnxruntime-genai: a small model speaks in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from backends.genai.answer import Answer, Piece, plan_for
from backends.genai.host import GenaiHost, Source
from backends.genai.workers import Deadline, Workers
from backends.generation import Generation, GenerationChunk, GenerationRequest, ModelCard, Usage

_PLACES: Final = 4
_THREADS: Final = 2


class GenaiGenerator:
    """Speaks in this process; adapters are loaded through its `host`.

    Without a temperature the likeliest token is taken each time, so that the same prompt gets the
    same answer.
    """

    def __init__(self, host: GenaiHost, workers: Workers, timeout_s: float) -> None:
        self._host = host
        self._workers = workers
        self._timeout_s = timeout_s

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        name: str,
        folder: Path,
        cache: Path,
        *,
        other_hashes: Callable[[], Collection[str]] = frozenset,
        timeout_s: float = 120.0,
        max_waiting: int = 64,
        in_memory: int = 3,
    ) -> AsyncIterator[GenaiGenerator]:
        """Serve a model for the length of the block. It is read when it is first needed.

        Args:
            name: Of the model.
            folder: Its config.json, model.safetensors and tokenizer.json.
            cache: Where built graphs are kept; made when absent.
            other_hashes: As of `Source`.
            timeout_s: Longest time for one answer, waiting included.
            max_waiting: Answers that may wait at once; one more is refused as `Unavailable`.
            in_memory: So many adapters stay in memory.
        """
        async with Workers.open(
            threads=_THREADS, places=_PLACES, max_waiting=max_waiting
        ) as workers:
            source = Source(name, folder, cache, other_hashes)
            yield cls(GenaiHost(source, workers, in_memory=in_memory), workers, timeout_s)

    @property
    def model(self) -> str:
        """Name of the base model."""
        return self._host.model

    @property
    def host(self) -> GenaiHost:
        """Loads and unloads adapters."""
        return self._host

    async def ready(self) -> None:
        """Read the base model into memory now, so that the first question need not wait.

        Raises:
            Misconfigured: Its files are absent or damaged, or the cache cannot be written.
        """
        await self._host.engine(self.model)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """Yield the answer as it comes; closing the iterator ends it with the token in the making.

        Raises:
            Unavailable: Too many answers wait already, or it took too long.
            Refused: There is no such adapter, the prompt is too long, or it asks for something that
                this model has not.
            Misconfigured: The model's files are damaged.
            Garbled: The runtime broke.
        """
        deadline = Deadline(self._timeout_s)
        name = request.adapter or self.model
        self._host.check(name)
        async with self._workers.place(deadline):
            async with deadline.holding():
                base = await self._host.base()
                engine = await self._host.engine(name)
                plan = await self._workers.run(
                    partial(plan_for, request, base.form, base.shape.context)
                )
            answer = Answer(plan, base.form, request.sampling.stop)
            step: Callable[[], Piece] = partial(answer.begin, engine)
            try:
                while True:
                    async with deadline.holding():
                        piece = await self._workers.run(step)
                    if piece.text:
                        yield GenerationChunk(piece.text)
                    if piece.finish_reason is not None:
                        break
                    step = answer.go_on
            finally:
                answer.leave()
            yield GenerationChunk(finish_reason=piece.finish_reason, usage=answer.usage, model=name)

    async def complete(self, request: GenerationRequest) -> Generation:
        """Return the whole answer; raises as `stream`."""
        said: list[str] = []
        last = GenerationChunk()
        async with aclosing(self.stream(request)) as chunks:
            async for last in chunks:
                said.append(last.text)
        return Generation(
            "".join(said),
            last.finish_reason or "stop",
            last.usage or Usage(),
            last.model or self.model,
        )

    async def models(self) -> Sequence[ModelCard]:
        """Return the base model and the adapters; raises `Misconfigured` as `ready`."""
        await self._host.base()
        served = await self._host.loaded()
        adapters = sorted(name for names in served.values() for name in names)
        return (ModelCard(self.model), *(ModelCard(name, base=self.model) for name in adapters))
