"""Hybrid answers: the fine-tuned model speaks, with facts from the evidence, cited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.base import AgentEvent, Evidence, Task
from agents.care import Care
from agents.errors import LostFacts, NoModel
from agents.evidence import abstention
from agents.sources import Sources
from agents.speech import say, say_with_citations
from agents.voicing import EVIDENCE_CHARACTERS, Voiced, voiced_with
from backends.base import Embedder
from backends.generation import Generator


class HybridAgent:
    """Gives the chosen adapter the passages and the user's own words.

    What the passages and the user do not state is taken out of its answer. An adapter that reads
    single sentences is heard to the first fact that it keeps before anything is shown; where it
    keeps none, the agent gives up (`LostFacts`), so that the documents can be quoted instead. An
    answer under a JSON schema has no room for citation marks; its evidence still stands in the
    answer's record.

    Args:
        generator: Who speaks.
        reader: Compares questions with sentences where only some of them can be read; by their
            words alone without one.
        characters: So much of the passages is read by a model that no adapter's record speaks for.
        plain: Whether the model can word facts without an adapter; a small one cannot.
    """

    def __init__(
        self,
        generator: Generator | None,
        reader: Embedder | None = None,
        *,
        characters: int = EVIDENCE_CHARACTERS,
        plain: bool = True,
    ) -> None:
        self._generator = generator
        self._reader = reader
        self._characters = characters
        self._plain = plain

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        assert evidence is not None, "hybrid answers come after retrieval"
        if self._generator is None:
            raise NoModel("hybrid")
        if not self._plain and task.registered is None:
            raise LostFacts("The model that is connected has learnt no voice for facts.")
        made = await voiced_with(
            task,
            evidence.query,
            evidence.passages,
            characters=self._characters,
            reader=self._reader,
        )
        if made.request.schema is not None:
            speech = say(self._generator, made.request, _care(task, evidence, made))
        else:
            speech = say_with_citations(
                self._generator,
                made.request,
                nothing_found=abstention(task, evidence),
                care=_care(task, evidence, made),
            )
        async with aclosing(speech) as events:
            async for event in events:
                yield event


def _care(task: Task, evidence: Evidence, made: Voiced) -> Care:
    passages = [hit.passage for hit in evidence.passages]
    stated = [f"{one.title}\n{one.heading}\n{one.text}" for one in passages]
    said = [task.question, *(turn.content for turn in task.conversation)]
    spec = task.registered.spec if task.registered else None
    return Care(
        slots=made.slots,
        sources=Sources([*stated, *said, spec.system_prompt if spec else ""]),
        given=(*made.given, *(text for one in passages for text in (one.text, one.source))),
        lines=tuple(" ".join(one.text.split()) for one in made.lines),
        best=made.lines[0].text if made.lines else None,
    )
