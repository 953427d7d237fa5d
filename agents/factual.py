"""Factual answers: from the evidence and from nothing else, every statement cited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agents.base import AgentEvent, Evidence, Reply, Task, Token
from agents.passages import fenced
from agents.prompts import prompt
from agents.speech import speak
from backends.base import GenerationRequest, Generator, Message
from backends.errors import Unavailable


class FactualAgent:
    """Lets a model word the answer when there is one, and quotes the evidence otherwise.

    Args:
        quoting: Answers without a model server, from the evidence at hand.
        wording: The model server, None to always quote.
    """

    def __init__(self, quoting: Generator, wording: Generator | None = None) -> None:
        self._quoting = quoting
        self._wording = wording

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`; a model server that is down does not stop a factual answer."""
        assert evidence is not None, "factual answers come after retrieval"
        request = self._request(task, evidence)
        degraded: str | None = None
        if self._wording is not None:
            spoken = False
            try:
                async with aclosing(speak(self._wording, request)) as events:
                    async for event in events:
                        spoken = spoken or isinstance(event, Token)
                        yield event
                return
            except Unavailable as error:
                if spoken:
                    raise
                degraded = f"Quoted from the documents, not worded by a model: {error}"
        async with aclosing(speak(self._quoting, replace(request, adapter=None))) as events:
            async for event in events:
                yield replace(event, degraded=degraded) if isinstance(event, Reply) else event

    def _request(self, task: Task, evidence: Evidence) -> GenerationRequest:
        passages = tuple(hit.passage for hit in evidence.passages)
        system = Message("system", prompt("factual", passages=fenced(passages)))
        return GenerationRequest(
            messages=(system, Message("user", task.question)),
            question=task.question,
            evidence=passages,
            adapter=task.adapter,
            sampling=task.sampling,
        )
