"""Behavioural answers: the fine-tuned model speaks, from the conversation alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.base import AgentEvent, Evidence, Task
from agents.errors import NoModel
from agents.speech import say
from backends.generation import GenerationRequest, Generator


class BehaviouralAgent:
    """Lets the chosen adapter answer, or the default one."""

    def __init__(self, generator: Generator | None) -> None:
        self._generator = generator

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        if self._generator is None:
            raise NoModel("behavioural")
        request = GenerationRequest(
            messages=task.conversation,
            question=task.question,
            adapter=task.adapter,
            sampling=task.sampling,
            schema=task.schema,
            extra=task.extra,
        )
        async with aclosing(say(self._generator, request)) as events:
            async for event in events:
                yield event
