"""Behavioural answers: the fine-tuned model speaks, from the conversation alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agents.base import AgentEvent, Evidence, Task
from agents.care import Care
from agents.errors import NoModel
from agents.speech import say
from agents.voicing import voiced
from backends.generation import Generator


class BehaviouralAgent:
    """Lets the chosen adapter answer, or the default one."""

    def __init__(self, generator: Generator | None) -> None:
        self._generator = generator

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        if self._generator is None:
            raise NoModel("behavioural")
        made = voiced(task)
        care = Care(slots=made.slots, repeated=made.repeated)
        async with aclosing(say(self._generator, made.request, care)) as events:
            async for event in events:
                yield event
