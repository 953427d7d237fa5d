"""The judge: a model that is asked when the classifier is uncertain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from agents.base import Task
from agents.errors import BrokenFormat
from agents.passages import fence
from agents.prompts import prompt
from backends.base import Message
from backends.generation import GenerationRequest, Generator, Sampling


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the question needs, in the judge's view."""

    needs_facts: bool
    needs_manner: bool


_VERDICTS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "facts": Verdict(True, False),
        "manner": Verdict(False, True),
        "both": Verdict(True, True),
        "neither": Verdict(False, False),
    }
)


class Judge:
    """Asks a model for one word, held to the four allowed ones by structured output."""

    def __init__(self, generator: Generator, *, model: str | None = None) -> None:
        """Ask ``model``, or the generator's default one; a persona makes a poor judge."""
        self._generator = generator
        self._model = model

    async def verdict(self, task: Task) -> Verdict:
        """Return what the model says the question needs.

        Raises:
            BrokenFormat: It said something other than one of the four words.
            BackendError: It could not be asked.
        """
        line = fence()
        question = f"{line}\n{task.question}\n{line}"
        generation = await self._generator.complete(
            GenerationRequest(
                messages=(
                    Message("system", prompt("judge", fence=line)),
                    Message("user", question),
                ),
                sampling=Sampling(max_tokens=8, temperature=0.0),
                choices=tuple(_VERDICTS),
                adapter=self._model,
            )
        )
        word = generation.text.strip().lower()
        if word not in _VERDICTS:
            raise BrokenFormat(f"The judge answered {word[:40]!r} instead of one of four words.")
        return _VERDICTS[word]
