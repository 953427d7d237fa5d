"""Hybrid answers: the fine-tuned model speaks, with facts from the evidence, cited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.base import AgentEvent, Evidence, Task
from agents.errors import NoModel
from agents.passages import fenced
from agents.prompts import prompt
from agents.speech import speak
from backends.base import GenerationRequest, Generator, Message


class HybridAgent:
    """Gives the chosen adapter the passages and the user's own words."""

    def __init__(self, generator: Generator | None) -> None:
        self._generator = generator

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        assert evidence is not None, "hybrid answers come after retrieval"
        if self._generator is None:
            raise NoModel("hybrid")
        passages = tuple(hit.passage for hit in evidence.passages)
        system = Message("system", prompt("hybrid", passages=fenced(passages)))
        request = GenerationRequest(
            messages=(system, *task.conversation),
            question=task.question,
            evidence=passages,
            adapter=task.adapter,
            sampling=task.sampling,
        )
        async with aclosing(speak(self._generator, request)) as events:
            async for event in events:
                yield event
