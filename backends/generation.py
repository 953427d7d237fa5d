"""The port of whoever writes text, and the records that pass through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backends.base import Message, Passage


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation, as the backend counts them."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model should choose words; None leaves a field to the backend's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Everything a generator may use.

    Attributes:
        messages: The whole prompt.
        question: The standalone question on its own, for generators that do not read prompts.
        evidence: The passages that the answer must rest on, likewise.
        adapter: Name of the LoRA adapter or model; None for the default model.
        schema: JSON schema that the answer must satisfy (structured output).
        choices: The answer must be one of these, when not empty (structured output).
        grammar: Grammar that the answer must satisfy (structured output).
        extra: Fields of the OpenAI API that go to the server as the caller wrote them, such as
            ``tools``; generators that have no such thing refuse them.
        headers: Sent along to a remote backend; carries ``traceparent``.
    """

    messages: tuple[Message, ...]
    question: str = ""
    evidence: tuple[Passage, ...] = ()
    adapter: str | None = None
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    choices: tuple[str, ...] = ()
    grammar: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """A piece of an answer. The last chunk carries ``finish_reason``; usage and model come once.

    Attributes:
        tool_calls: Pieces of tool calls, as OpenAI's API streams them.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    tool_calls: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """A whole answer; ``tool_calls`` as OpenAI's API writes them."""

    text: str
    finish_reason: str
    usage: Usage
    model: str
    tool_calls: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that a generator serves; ``base`` names the base model when it is an adapter."""

    name: str
    base: str | None = None


class Generator(Protocol):
    """Writes text."""

    @property
    def model(self) -> str:
        """Name of the default model, as it appears in traces."""
        ...

    def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationChunk]:
        """Yield the answer as it comes; closing the iterator stops the generation.

        Raises:
            Unavailable: No answer in time, before or between chunks.
            Refused: The backend will not serve this request (unknown adapter, prompt too long).
            Garbled: The backend broke its protocol, or the stream ended before its end mark.
        """
        ...

    async def complete(self, request: GenerationRequest) -> Generation:
        """Return the whole answer; raises as `stream`."""
        ...

    async def models(self) -> Sequence[ModelCard]:
        """Return what can be asked for by name; raises as `stream`."""
        ...
