"""What an agent is given, what it yields, and the form of an agent.

A question falls down, events rise: an agent takes a `Task` and yields `Token` and `Cited` events
as they come, `ToolCalled` where the caller brought tools, then exactly one `Reply`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from backends.adapters import Adapter
from backends.base import DocumentId, Message, PassageId, ScoredPassage
from backends.filters import Conditions
from backends.generation import Sampling, Usage
from backends.principals import Principals

NOTHING_FOUND: Final = (
    "I could not find an answer to this in the documents that you may see. I searched for:"
)
"""How an abstention begins; what was searched for follows."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question, ready to be answered.

    Attributes:
        question: The standalone question: understandable without the conversation, and of bounded
            length even where the conversation is long.
        conversation: The turns as they were said; the last one is the user's, or what a tool said.
        principals: On whose behalf.
        adapter: Name of the adapter or model that answers, as its server has it; None for the
            default.
        registered: What the registry says about that adapter, where it knows it.
        sampling: How the model should choose words.
        schema: JSON schema that the answer must satisfy.
        extra: Fields of OpenAI's API that go to the model as the caller wrote them.
        where: What the documents' metadata must satisfy; can only narrow what is searched.
        model_failed: The model has just failed on this task; asking it again would only take time.
        carried: Names and phrases of earlier turns that the question leans on; for search alone.
    """

    question: str
    conversation: tuple[Message, ...]
    principals: Principals
    adapter: str | None = None
    registered: Adapter | None = None
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    where: Conditions = ()
    model_failed: bool = False
    carried: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The passages that an answer may rest on.

    Attributes:
        query: The words that were searched for.
        passages: What was found, best first.
        sufficient: Whether it is enough to answer from.
        support: Probability, 0..1, that the passages answer the query (`agents.sufficiency`).
        reranked_by: Name of the model that ordered the passages; empty where none did.
        not_reranked: Why the configured one did not; empty otherwise.
    """

    query: str
    passages: tuple[ScoredPassage, ...]
    sufficient: bool
    support: float
    reranked_by: str = ""
    not_reranked: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement comes from: a verbatim span of one version of one document.

    Attributes:
        number: The ``[n]`` in the answer.
        text_start: Where that mark begins in the answer, in code points.
        text_end: Where it ends.
        start: Where the quote begins in the document's canonical text, in code points.
        end: Where it ends.
        quote: Exactly the document's text between them.
        passage: The whole passage around the quote.
        page: Page of a paged document, from 1.
    """

    number: int
    text_start: int
    text_end: int
    passage_id: PassageId
    document_id: DocumentId
    title: str
    source: str
    version: int
    start: int
    end: int
    quote: str
    passage: str
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation mark was written and verified."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """Pieces of tool calls, as OpenAI's API streams them: joined by their ``index``."""

    calls: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agent said, whole.

    Attributes:
        text: All tokens, joined.
        tool_calls: What the model wants to know from the caller's tools, as OpenAI writes it.
        citations: Every verified citation, in the order of the text.
        abstained: True when the agent said that it cannot answer from what it found.
        degraded: None, or in plain words what is missing from this reply and why.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    finish_reason: str = "stop"
    abstained: bool = False
    degraded: str | None = None
    tool_calls: tuple[Mapping[str, object], ...] = ()


AgentEvent: TypeAlias = Token | Cited | ToolCalled | Reply


class Agent(Protocol):
    """Who answers. ``evidence`` is None on routes without retrieval."""

    def answer(self, task: Task, evidence: Evidence | None) -> AsyncIterator[AgentEvent]:
        """Yield tokens and citations as they come, then one `Reply`.

        Raises:
            NoModel: The route needs a model and none is connected.
            BrokenFormat: The model's answer does not have the form that it must have.
            BackendError: A backend failed; nothing is yielded after that.
        """
        ...
