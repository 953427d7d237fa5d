"""A generator that says what a test, or a demonstration without a model, tells it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

from backends.errors import BackendError, Refused
from backends.generation import Generation, GenerationChunk, GenerationRequest, ModelCard, Usage

_BACKEND: Final = "model server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One answer, and how it comes.

    Attributes:
        text: The answer; it comes word by word.
        finish_reason: Why it ends.
        tool_calls: Pieces of tool calls that come after the words.
        fails_with: Raised after ``fails_after`` words, at the latest when all are said.
        fails_after: 0 fails before the first word.
        gate: Waited for before each word after the first, so that a test holds the answer open.
    """

    text: str = ""
    finish_reason: str = "stop"
    tool_calls: tuple[Mapping[str, object], ...] = ()
    fails_with: BackendError | None = None
    fails_after: int = 0
    gate: asyncio.Event | None = None


Rule: TypeAlias = Callable[[GenerationRequest], Script | str]


class ScriptedGenerator:
    """The twin of a model server.

    Args:
        rule: What to answer: always the same text or script, or one that depends on the request.
        model: Name of the default model.
        adapters: Names of the adapters that may be asked for; others are refused.

    Attributes:
        requests: Every request so far, in order.
        unavailable: Raised by every call while it is set, as if the server were down.
        abandoned: Set when a reader has left an answer before its end.
    """

    def __init__(
        self,
        rule: Rule | Script | str = "A scripted answer.",
        *,
        model: str = "scripted",
        adapters: Sequence[str] = (),
    ) -> None:
        self._rule = rule
        self._model = model
        self._adapters = tuple(adapters)
        self.requests: list[GenerationRequest] = []
        self.unavailable: BackendError | None = None
        self.abandoned = asyncio.Event()

    @property
    def model(self) -> str:
        """Name of the default model."""
        return self._model

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """Yield the scripted answer word by word; raises what the script says."""
        script = self._begin(request)
        words = _words(script.text)
        model = request.adapter or self._model
        finished = False
        try:
            for at, word in enumerate(words):
                if script.fails_with is not None and at >= script.fails_after:
                    break
                if script.gate is not None and at > 0:
                    await script.gate.wait()
                yield GenerationChunk(word)
            if script.fails_with is not None:
                raise script.fails_with
            for piece in script.tool_calls:
                yield GenerationChunk(tool_calls=(piece,))
            finished = True
            usage = Usage(_input_tokens(request), len(words))
            yield GenerationChunk(finish_reason=script.finish_reason, usage=usage, model=model)
        except (GeneratorExit, asyncio.CancelledError):
            if not finished:
                self.abandoned.set()
            raise

    async def complete(self, request: GenerationRequest) -> Generation:
        """Return the scripted answer; raises as `stream`."""
        pieces: list[str] = []
        last = GenerationChunk()
        async with aclosing(self.stream(request)) as chunks:
            async for last in chunks:
                pieces.append(last.text)
        return Generation(
            "".join(pieces),
            last.finish_reason or "stop",
            last.usage or Usage(),
            last.model or self._model,
        )

    async def models(self) -> Sequence[ModelCard]:
        """Return the default model and the adapters."""
        if self.unavailable is not None:
            raise self.unavailable
        adapters = (ModelCard(name, base=self._model) for name in self._adapters)
        return (ModelCard(self._model), *adapters)

    def _begin(self, request: GenerationRequest) -> Script:
        self.requests.append(request)
        if self.unavailable is not None:
            raise self.unavailable
        if request.adapter not in (None, self._model, *self._adapters):
            raise Refused(
                f"There is no model or adapter {request.adapter!r}.",
                backend=_BACKEND,
                hint=f"It serves {', '.join((self._model, *self._adapters))}.",
                status=404,
            )
        said = self._rule(request) if callable(self._rule) else self._rule
        script = said if isinstance(said, Script) else Script(text=said)
        if request.choices and script.text not in request.choices:
            # A real server cannot say anything else either.
            return Script(text=request.choices[0], gate=script.gate)
        return script


def _words(text: str) -> Sequence[str]:
    if not text:
        return ()
    first, *rest = text.split(" ")
    return (first, *(f" {word}" for word in rest))


def _input_tokens(request: GenerationRequest) -> int:
    return sum(len(turn.content.split()) for turn in request.messages)
