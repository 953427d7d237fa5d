"""A judge that is a model: asked what a question needs when the classifier is uncertain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agents.passages import fence
from agents.prompts import prompt
from backends.base import Message, Verdict
from backends.errors import Garbled
from backends.generation import GenerationRequest, Generator, Sampling

_VERDICTS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "facts": Verdict(True, False),
        "manner": Verdict(False, True),
        "both": Verdict(True, True),
        "neither": Verdict(False, False),
    }
)


class ModelJudge:
    """Asks a model for one word, held to the four allowed ones by structured output."""

    def __init__(self, generator: Generator, *, model: str | None = None) -> None:
        """Ask ``model``, or the generator's default one; a persona makes a poor judge."""
        self._generator = generator
        self._model = model

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model or self._generator.model

    @property
    def hands_on(self) -> bool:
        """False: a model asks nobody."""
        return False

    async def verdict(
        self, question: str, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Verdict:
        """Return what the model says the question needs.

        Raises:
            Garbled: It said something other than one of the four words.
            BackendError: It could not be asked.
        """
        line = fence()
        generation = await self._generator.complete(
            GenerationRequest(
                messages=(
                    Message("system", prompt("judge", fence=line)),
                    Message("user", f"{line}\n{question}\n{line}"),
                ),
                sampling=Sampling(max_tokens=8, temperature=0.0),
                choices=tuple(_VERDICTS),
                adapter=self._model,
                headers=headers,
            )
        )
        word = generation.text.strip().lower()
        if word not in _VERDICTS:
            raise Garbled(
                f"The judge answered {word[:40]!r} instead of one of four words.",
                backend="model server",
            )
        return _VERDICTS[word]
