"""Hybrid answers: the fine-tuned model speaks, with facts from the evidence, cited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.base import AgentEvent, Evidence, Task
from agents.errors import NoModel
from agents.evidence import abstention
from agents.passages import passages_prompt
from agents.speech import say, say_with_citations
from backends.generation import GenerationRequest, Generator


class HybridAgent:
    """Gives the chosen adapter the passages and the user's own words.

    An answer under a JSON schema has no room for citation marks; its evidence still stands in the
    answer's record.
    """

    def __init__(self, generator: Generator | None) -> None:
        self._generator = generator

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        assert evidence is not None, "hybrid answers come after retrieval"
        if self._generator is None:
            raise NoModel("hybrid")
        passages = tuple(hit.passage for hit in evidence.passages)
        request = GenerationRequest(
            messages=passages_prompt("hybrid", passages, task.conversation),
            question=task.question,
            evidence=passages,
            adapter=task.adapter,
            sampling=task.sampling,
            schema=task.schema,
            extra=task.extra,
        )
        if task.schema is not None:
            speech = say(self._generator, request)
        else:
            nothing = abstention(task, evidence)
            speech = say_with_citations(self._generator, request, nothing_found=nothing)
        async with aclosing(speech) as events:
            async for event in events:
                yield event
