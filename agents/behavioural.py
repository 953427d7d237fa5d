"""Behavioural answers: the fine-tuned model speaks, from the conversation alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from agents.base import AgentEvent, Evidence, Reply, Task, Token
from agents.errors import NoModel
from agents.formats import checked
from backends.base import GenerationRequest, Generator, Usage

if TYPE_CHECKING:
    from backends.base import GenerationChunk


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
        )
        said: list[str] = []
        usage, model, finish_reason = Usage(), "", "stop"
        stream = cast("AsyncGenerator[GenerationChunk]", self._generator.stream(request))
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                usage = chunk.usage or usage
                model = chunk.model or model
                finish_reason = chunk.finish_reason or finish_reason
                if chunk.text:
                    said.append(chunk.text)
                    yield Token(chunk.text)
        text = "".join(said)
        checked(text, task.schema)
        yield Reply(text, usage=usage, model=model, finish_reason=finish_reason)
