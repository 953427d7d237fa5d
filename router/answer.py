"""What comes back: the events of a stream, the whole `Answer`, and what a search found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from agents.base import Citation, Cited, Evidence, Token, ToolCalled
from backends.base import ScoredPassage
from backends.generation import Usage
from router.policy import Decision


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and why it is what it is.

    Attributes:
        text: What to show; citation marks are ``[n]``.
        decision: Route, probabilities and reason.
        citations: Verified citations in the order of the text.
        evidence: What retrieval found, None on routes without retrieval.
        usage: Tokens of the generation that wrote the text.
        timings_ms: Milliseconds by step, ``first_token`` and ``total``.
        degraded: None, or in plain words what is missing from this answer and why.
        abstained: True when the documents do not hold the answer, and the text says so.
        standalone_question: The question as it was understood, without its conversation.
        model: Who wrote the text: a model, an adapter, or ``extractive``.
        finish_reason: ``stop``, ``length`` or what the model server said.
        trace_id: 32 lower-case hex digits (W3C Trace Context).
        tool_calls: What the model wants from the caller's tools, as OpenAI's API writes it.
    """

    text: str
    decision: Decision
    citations: tuple[Citation, ...] = ()
    evidence: Evidence | None = None
    usage: Usage = Usage()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    degraded: str | None = None
    abstained: bool = False
    standalone_question: str = ""
    model: str = ""
    finish_reason: str = "stop"
    trace_id: str = ""
    tool_calls: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        query: The words that were searched for.
        passages: Best first; nothing that the asker may not see.
        trace_id: 32 lower-case hex digits (W3C Trace Context).
    """

    query: str
    passages: tuple[ScoredPassage, ...]
    trace_id: str


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision stands; comes first.

    ``trace_id`` is that of the answer to come, or of the decision where nothing is answered.
    """

    decision: Decision
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """Retrieval came back; once for each search, at most twice."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete; comes last."""

    answer: Answer


Event: TypeAlias = Decided | EvidenceFound | Token | Cited | ToolCalled | Finished
