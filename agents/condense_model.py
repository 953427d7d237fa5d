"""The standalone question by a model, for turns that lean on their conversation."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

from agents.condense import Condensed, condensed
from agents.errors import BrokenFormat
from agents.mentions import phrases
from agents.passages import fence
from agents.prompts import prompt
from backends.base import Message
from backends.errors import BackendError
from backends.generation import GenerationRequest, Generator, Sampling

MAX_TURNS: Final = 8
"""Turns that the model reads, the last one among them."""

MAX_TURN: Final = 600
"""Characters of each."""

MAX_QUESTION: Final = 400
"""Characters of the question; a longer one is no question."""

_MAX_TOKENS: Final = 160
_SCHEMA: Final = {
    "type": "object",
    "properties": {"question": {"type": "string"}},
    "required": ["question"],
    "additionalProperties": False,
}
_ALIKE: Final = 4
"""Letters by which two forms of a word are taken for one: "book", "booking"."""


class ModelCondenser:
    """Asks a model for the standalone question, and believes it only so far.

    The model reads the turns and nothing else: no passage, no principal. What it writes is used as
    a question, whatever a turn may have talked it into.
    """

    def __init__(self, generator: Generator, *, model: str | None = None) -> None:
        """Ask ``model``, or the generator's default one; a persona makes a poor reader."""
        self._generator = generator
        self._model = model

    async def question(self, conversation: Sequence[Message]) -> str:
        """Return the last turn as a question of its own: one line, at most `MAX_QUESTION` long.

        Args:
            conversation: The last turn is the user's.

        Raises:
            BrokenFormat: The model wrote nothing, too much, an answer, or something made up.
            BackendError: It could not be asked.
        """
        line = fence()
        turns = _turns(conversation)
        generation = await self._generator.complete(
            GenerationRequest(
                messages=(
                    Message("system", prompt("condense", fence=line)),
                    Message("user", "\n".join([line, *turns, line])),
                ),
                sampling=Sampling(max_tokens=_MAX_TOKENS, temperature=0.0),
                schema=_SCHEMA,
                adapter=self._model,
            )
        )
        question = _read(generation.text)
        _check(question, turn=conversation[-1].content, said=" ".join(turns))
        return question


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A turn for the steps that follow, who wrote it, and why it was not the model if it failed."""

    condensed: Condensed
    by: Literal["rules", "model"]
    failure: BackendError | BrokenFormat | TimeoutError | None = None


async def rewrite(
    conversation: Sequence[Message], model: ModelCondenser | None, *, timeout_s: float
) -> Rewritten:
    """Rewrite the last turn by rules; one that leans on its conversation by the model, if any.

    The question by rules stands where the model fails: it is a help, not a requirement.
    """
    found = condensed(conversation)
    if model is None or not found.leans:
        return Rewritten(found, "rules")
    try:
        async with asyncio.timeout(timeout_s):
            question = await model.question(conversation)
    except TimeoutError:
        late = TimeoutError(f"The model took longer than {timeout_s:g} s.")
        return Rewritten(found, "rules", late)
    except (BackendError, BrokenFormat) as error:
        return Rewritten(found, "rules", error)
    alone = question == conversation[-1].content.strip()
    return Rewritten(Condensed(question) if alone else replace(found, question=question), "model")


def _turns(conversation: Sequence[Message]) -> list[str]:
    """The last turns, oldest first; of the user's last one, the end that asks."""
    spoken = (turn for turn in reversed(conversation) if turn.role in ("user", "assistant"))
    shown = [(turn.role.capitalize(), turn.content) for turn in islice(spoken, MAX_TURNS)]
    (role, last), *earlier = shown
    cut = [f"{who}: {what[:MAX_TURN]}" for who, what in reversed(earlier)]
    return [*cut, f"{role}: {last[-MAX_TURN:]}"]


def _read(text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise BrokenFormat("The standalone question did not come as JSON.") from error
    question = answer.get("question") if isinstance(answer, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise BrokenFormat("The model wrote no standalone question.")
    return question.strip()


def _check(question: str, *, turn: str, said: str) -> None:
    """Check the form; the messages hold nothing of what was written, as they go onto spans.

    Raises:
        BrokenFormat: It cannot be the turn in other words.
    """
    if len(question) > MAX_QUESTION or not question.isprintable():
        raise BrokenFormat("The standalone question is longer than a question, or than a line.")
    if "?" in turn and "?" not in question:
        raise BrokenFormat("The model answered the question instead of rewriting it.")
    known = _stems(said)
    own = _stems(" ".join(phrases(question)))
    if len(own & known) * 2 < len(own):
        raise BrokenFormat("The standalone question is about something that nobody spoke of.")


def _stems(text: str) -> set[str]:
    return {word[:_ALIKE] for word in re.findall(r"\w+", text.casefold())}
