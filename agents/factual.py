"""Factual answers: from the evidence and from nothing else, every statement cited."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from agents.base import AgentEvent, Evidence, Reply, Task
from agents.errors import BrokenFormat, named_by_caller
from agents.evidence import abstention
from agents.passages import passages_prompt
from agents.speech import say_with_citations
from backends.base import Message
from backends.errors import BackendError
from backends.generation import GenerationRequest, Generator


class Voice(Protocol):
    """An agent that speaks by an adapter and may be left in the middle of an answer."""

    def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`."""
        ...


class FactualAgent:
    """Lets a model word the answer when there is one, and quotes the evidence otherwise.

    Args:
        quoting: Answers without a model server, from the evidence at hand.
        wording: The model server, None to always quote.
        voiced: Answers instead of a quotation where the caller named the adapter that speaks.
    """

    def __init__(
        self,
        quoting: Generator,
        wording: Generator | None = None,
        voiced: Voice | None = None,
    ) -> None:
        self._quoting = quoting
        self._wording = wording
        self._voiced = voiced

    async def answer(self, task: Task, evidence: Evidence | None) -> AsyncGenerator[AgentEvent]:
        """See `agents.base.Agent`; a model that fails does not stop a factual answer."""
        assert evidence is not None, "factual answers come after retrieval"
        request = _request(task, evidence)
        degraded: str | None = None
        worded = self._worded(task, evidence, request)
        if worded is not None:
            spoken = False
            try:
                async with aclosing(worded) as events:
                    async for event in events:
                        spoken = True
                        yield event
                return
            except (BackendError, BrokenFormat) as error:
                if spoken or named_by_caller(error, task.adapter):
                    raise
                degraded = "The model gave no answer; quoted from the documents instead."
        unnamed = replace(request, adapter=None, extra={})
        quoted = say_with_citations(
            self._quoting, unnamed, nothing_found=abstention(task, evidence)
        )
        async with aclosing(quoted) as events:
            async for event in events:
                yield replace(event, degraded=degraded) if isinstance(event, Reply) else event

    def _worded(
        self, task: Task, evidence: Evidence, request: GenerationRequest
    ) -> AsyncGenerator[AgentEvent] | None:
        if task.model_failed:
            return None
        if self._wording is not None:
            return say_with_citations(
                self._wording, request, nothing_found=abstention(task, evidence)
            )
        if self._voiced is not None and task.registered is not None:
            return self._voiced.answer(task, evidence)
        return None


def _request(task: Task, evidence: Evidence) -> GenerationRequest:
    passages = tuple(hit.passage for hit in evidence.passages)
    asked = [turn for turn in task.conversation if turn.role == "system"]
    turns = (*asked, Message("user", task.question))
    return GenerationRequest(
        messages=passages_prompt("factual", passages, turns),
        question=task.question,
        evidence=passages,
        adapter=task.adapter,
        sampling=task.sampling,
        extra=task.extra,
    )
