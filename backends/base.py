"""Ports: the least that the agents need from the world outside, and the records that pass through.

Every port has a real adapter beside it, a twin in ``backends.memory``, and one conformance suite
(``tests/contract``) that both pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Final,
    Literal,
    NewType,
    Protocol,
    TypeAlias,
    runtime_checkable,
)

from backends.filters import Conditions
from backends.principals import Principals
from backends.spans import PassageSentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]
    """One unit-length embedding, shape (d,)."""

    Vectors: TypeAlias = NDArray[np.float32]
    """Unit-length embeddings, shape (n, d)."""

PassageId = NewType("PassageId", str)
DocumentId = NewType("DocumentId", str)

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        extra: What OpenAI's message has beside these two, as it came: ``tool_calls`` of an
            assistant, ``tool_call_id`` of a tool. Only model servers read it.
    """

    role: Role
    content: str
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)


# --- documents -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one version of a document; ``body[start:end] == text`` holds exactly.

    Offsets count Unicode code points in the document's canonical text.
    """

    id: PassageId
    document_id: DocumentId
    title: str
    source: str
    version: int
    ordinal: int
    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage that retrieval found, and how well it fits.

    Attributes:
        score: Fused score in 0..1, comparable within one search only.
        similarity: Cosine of question and passage, -1..1; comparable across searches.
        lexical: BM25 score, 0 or more; 0 when no term of the question occurs.
        superseded_by: Source of the document that replaces this one, if the asker may see that one
            too and it is in effect; empty otherwise.
        sentences: Its sentences with their vectors; None where the store has none.
    """

    passage: Passage
    score: float
    similarity: float
    lexical: float
    superseded_by: str = ""
    sentences: PassageSentences | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for and on whose behalf. Without principals nothing is found.

    Attributes:
        embedding: Of the text, by the model that the documents were embedded with.
        limit: Most passages to return.
        where: What the documents' metadata must satisfy, all of it; can only narrow.
        candidates: How deep the dense and the BM25 ranking are read before they are fused; None
            for what suits the limit.
    """

    text: str
    embedding: Vector
    principals: Principals
    limit: int = 8
    where: Conditions = ()
    candidates: int | None = None

    @property
    def depth(self) -> int:
        """How deep the two rankings are read."""
        return max(50, self.limit) if self.candidates is None else self.candidates


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage on its way into the store; see `Passage` for the offsets.

    Attributes:
        sentences: What `ScoredPassage.sentences` will be.
    """

    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None
    sentences: PassageSentences | None = None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document on its way into the store.

    Attributes:
        source: What identifies it across versions: a path within the ingested folder, or a URI.
        title: Shown in citations.
        body: Canonical text that every offset counts in.
        media_type: IANA media type of what was read.
        fingerprint: Hash of everything that decides what gets stored; equal means unchanged.
        acl: Who may see it; empty means nobody.
        metadata: Facts about the document, such as ``{"country": "DE"}``. Two are understood:
            ``supersedes``, the source of the document that this one replaces, and ``effective``,
            the ISO date from which it does.
    """

    source: str
    title: str
    body: str
    media_type: str
    fingerprint: str
    acl: Principals
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A stored document as the listing shows it."""

    id: DocumentId
    source: str
    title: str
    version: int
    media_type: str
    fingerprint: str
    acl: Principals
    passages: int
    characters: int
    updated_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class Retriever(Protocol):
    """Finds passages that an asker may see."""

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        """Return at most ``query.limit`` visible passages, best first.

        Raises:
            Unavailable: The store cannot be reached in time.
            Misconfigured: The question's embedding does not fit the index.
            UnknownField: ``query.where`` names a field that no visible document has.
        """
        ...


class Reranker(Protocol):
    """Reads question and passage together and says how well they fit; slower than any index."""

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        ...

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return the relevance of each passage, 0..1, in order; comparable across calls.

        Raises:
            Unavailable: It cannot be reached in time.
            Refused: It will not serve this request.
            Garbled: It broke its protocol.
        """
        ...


class DocumentStore(Protocol):
    """Keeps documents; each publish is one atomic step from the old version to the new."""

    async def fingerprints(self, sources: Sequence[str]) -> Mapping[str, str]:
        """Return the stored fingerprint of each source that is known; unknown ones are left out."""
        ...

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        """Store a new version and make it the only visible one, all or nothing.

        What is stored with the same fingerprint stays as it is, and is what is returned.

        Args:
            document: The document; a known ``source`` gets its next version number.
            passages: Its passages in order.
            embeddings: One unit vector a passage, shape (len(passages), d).

        Raises:
            Unavailable: The store cannot be reached in time; nothing was stored.
            Misconfigured: The embeddings do not fit the index.
        """
        ...

    async def documents(
        self,
        *,
        visible_to: Principals | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> Sequence[DocumentInfo]:
        """List documents in the order of their sources (by code points).

        Args:
            visible_to: Whose view; None is the operator's view of everything.
            after: Only sources that come later than this one.
            limit: Most documents to return; None for all.
        """
        ...

    async def document(
        self, source: str, *, visible_to: Principals | None = None
    ) -> tuple[DocumentInfo, str] | None:
        """Return one document with its canonical text, or None when it is unknown or invisible."""
        ...

    async def passage(self, passage_id: PassageId, *, visible_to: Principals) -> Passage | None:
        """Return one passage of a live version, or None when it is unknown or invisible.

        Any text may be asked for; one that is no id is unknown.

        Raises:
            Unavailable: The store cannot be reached in time.
        """
        ...

    async def delete(self, source: str) -> bool:
        """Remove a document with all its versions, vectors and statistics; False when unknown."""
        ...

    async def settle(self) -> None:
        """Bring up to date what need not be so after every publish; call it after many.

        Raises:
            Unavailable: The store cannot be reached in time.
        """
        ...

    async def ping(self) -> None:
        """Return when the store answers, however busy it is; raises as `Retriever.search`."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        ...

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of one text that the model reads; what is longer is cut."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d), float32, in order.

        Raises:
            Unavailable: The embedder cannot be reached in time.
            Misconfigured: It is not the model that it should be.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the text takes, special tokens included, without cutting."""
        ...


@runtime_checkable
class SpanEmbedder(Embedder, Protocol):
    """An embedder that also gives the vectors of parts of a text, from the same pass over it."""

    async def embed_spans(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> Sequence[tuple[Vector, Vectors | None]]:
        """Return for each text its vector, as `embed` does, and one unit vector a span of it.

        The latter are None where the model does not give its tokens away.

        Args:
            texts: Texts of any length.
            spans: For each text (start, end) of its spans, in code points.

        Raises:
            As `embed`.
        """
        ...


# --- decisions -----------------------------------------------------------------------------------

FOR_JUDGE: Final = "X-Router-For-Judge"
"""Header of a question that one router asks another as its judge, which does not hand it on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a question needs, in a judge's view."""

    needs_facts: bool
    needs_manner: bool


class Judge(Protocol):
    """Says what a question needs where the classifier is uncertain; slower, and may be down."""

    @property
    def name(self) -> str:
        """How traces name it."""
        ...

    @property
    def hands_on(self) -> bool:
        """Whether it may ask a judge of its own, and so, in the end, whoever asked it."""
        ...

    async def verdict(self, question: str, *, headers: Mapping[str, str] = ...) -> Verdict:
        """Return what a question needs.

        Args:
            question: Understandable on its own, not blank.
            headers: Trace headers that go along (W3C Trace Context).

        Raises:
            Unavailable: It cannot be reached in time.
            Refused: It will not judge this question.
            Garbled: It answered something that is no verdict.
        """
        ...
