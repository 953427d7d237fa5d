"""Twin of the document store: the same answers from dictionaries and brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from backends.base import (
    DocumentId,
    DocumentInfo,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import UnknownField
from backends.filters import INTERNAL, holds
from backends.publishing import check_publishable, check_vectors
from backends.spans import PassageSentences
from backends.terms import (
    MAX_QUESTION_TERMS,
    inverse_document_frequency,
    passage_weights,
    question_terms,
)

if TYPE_CHECKING:
    from backends.base import Vector, Vectors
    from backends.principals import Principals


@dataclass(frozen=True, slots=True)
class _Indexed:
    passage: Passage
    embedding: Vector
    weights: Mapping[int, float]
    sentences: PassageSentences | None


@dataclass(frozen=True, slots=True)
class _Stored:
    info: DocumentInfo
    body: str
    passages: Sequence[_Indexed]


@dataclass(frozen=True, slots=True)
class _Scored:
    passage: Passage
    similarity: float
    lexical: float
    sentences: PassageSentences | None


class MemoryStore:
    """Documents and hybrid search in this process, gone when it ends.

    Args:
        dimension: Length of the embeddings.
    """

    def __init__(self, *, dimension: int = 384) -> None:
        self._dimension = dimension
        self._stored: dict[str, _Stored] = {}

    async def settle(self) -> None:
        """Return at once: brute force needs no index."""

    async def ping(self) -> None:
        """Return at once: there is nothing that could be down."""

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        """Return the visible passages that fit best, as `backends.base.Retriever` says."""
        if not query.principals or query.limit < 1:
            return ()
        check_vectors(query.embedding, (self._dimension,), "of the question")
        scored = self._scored(query)
        if not scored:
            self._require_fields(query)
            return ()
        most = query.depth
        dense = sorted(scored, key=lambda one: -one.similarity)[:most]
        ranked = sorted(scored, key=lambda one: -one.lexical)[:most]
        lexical = [one for one in ranked if one.lexical > 0]
        replaced = self._replaced(query.principals)
        by_similarity = _scale([one.similarity for one in dense])
        # A leg that is not full has passages without any of the terms at its end.
        full = len(lexical) == most
        by_lexical = _scale([one.lexical for one in lexical] + [0.0] * (not full))
        fused = [
            ScoredPassage(
                one.passage,
                0.5 * by_similarity(one.similarity)
                + 0.5 * (by_lexical(one.lexical) if one.lexical > 0 else 0.0),
                one.similarity,
                one.lexical,
                replaced.get(one.passage.source, ""),
                one.sentences,
            )
            for one in {one.passage.id: one for one in [*dense, *lexical]}.values()
        ]
        return sorted(fused, key=_best_first)[: query.limit]

    async def fingerprints(self, sources: Sequence[str]) -> Mapping[str, str]:
        """Return what is known of the sources, as `backends.base.DocumentStore` says."""
        known = set(sources) & self._stored.keys()
        return {source: self._stored[source].info.fingerprint for source in known}

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        """Store a new version, as `backends.base.DocumentStore` says.

        Raises:
            Refused: The document holds what a database cannot, or contradicts itself.
        """
        check_publishable(document, passages, embeddings, self._dimension)
        old = self._stored.get(document.source)
        if old is not None and old.info.fingerprint == document.fingerprint:
            return old.info
        info = self._next(document, len(passages))
        weights = passage_weights(document.title, passages)
        indexed = [
            _Indexed(_passage(info, ordinal, new), embedding, terms, new.sentences)
            for ordinal, (new, embedding, terms) in enumerate(
                zip(passages, embeddings, weights, strict=True)
            )
        ]
        self._stored[document.source] = _Stored(info, document.body, indexed)
        return info

    async def documents(
        self,
        *,
        visible_to: Principals | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> Sequence[DocumentInfo]:
        """List documents, as `backends.base.DocumentStore` says."""
        found = [stored.info for stored in self._visible(visible_to) if stored.info.source > after]
        return sorted(found, key=lambda info: info.source)[:limit]

    async def document(
        self, source: str, *, visible_to: Principals | None = None
    ) -> tuple[DocumentInfo, str] | None:
        """Return one document and its text, as `backends.base.DocumentStore` says."""
        for stored in self._visible(visible_to):
            if stored.info.source == source:
                return stored.info, stored.body
        return None

    async def passage(self, passage_id: PassageId, *, visible_to: Principals) -> Passage | None:
        """Return one passage by its id, as `backends.base.DocumentStore` says."""
        for stored in self._visible(visible_to):
            for indexed in stored.passages:
                if indexed.passage.id == passage_id:
                    return indexed.passage
        return None

    async def delete(self, source: str) -> bool:
        """Remove a document and all that came of it, as `backends.base.DocumentStore` says."""
        return self._stored.pop(source, None) is not None

    def _next(self, document: NewDocument, passages: int) -> DocumentInfo:
        old = self._stored.get(document.source)
        return DocumentInfo(
            id=old.info.id if old else DocumentId(str(uuid4())),
            source=document.source,
            title=document.title,
            version=old.info.version + 1 if old else 1,
            media_type=document.media_type,
            fingerprint=document.fingerprint,
            acl=document.acl,
            passages=passages,
            characters=len(document.body),
            updated_at=datetime.now(UTC),
            metadata=dict(document.metadata),
        )

    def _visible(self, principals: Principals | None) -> Iterator[_Stored]:
        for stored in self._stored.values():
            if principals is None or stored.info.acl & principals:
                yield stored

    def _replaced(self, principals: Principals) -> Mapping[str, str]:
        """Which visible document, now in effect, replaces which."""
        today = datetime.now(UTC).date().isoformat()
        newer = sorted((one.info for one in self._visible(principals)), key=lambda one: one.source)
        return {
            info.metadata["supersedes"]: info.source
            for info in reversed(newer)
            if "supersedes" in info.metadata and info.metadata.get("effective", "") <= today
        }

    def _scored(self, query: SearchQuery) -> Sequence[_Scored]:
        worth = self._worth(question_terms(query.text))
        return [
            _Scored(
                indexed.passage,
                _cosine(indexed.embedding, query.embedding),
                sum(indexed.weights.get(term, 0.0) * value for term, value in worth.items()),
                indexed.sentences,
            )
            for stored in self._visible(query.principals)
            if holds(query.where, stored.info.metadata)
            for indexed in stored.passages
        ]

    def _require_fields(self, query: SearchQuery) -> None:
        visible = self._visible(query.principals)
        known = sorted({name for one in visible for name in one.info.metadata} - INTERNAL)
        for condition in query.where:
            if condition.field not in known:
                raise UnknownField(condition.field, known)

    def _worth(self, terms: Sequence[int]) -> Mapping[int, float]:
        """What each term of a question is worth, the rarest ones of those that occur at all."""
        everything = [one.weights for stored in self._stored.values() for one in stored.passages]
        having: Counter[int] = Counter()
        for weights in everything:
            having.update(term for term in terms if term in weights)
        rarest = sorted(having, key=lambda term: (having[term], term))[:MAX_QUESTION_TERMS]
        return {term: inverse_document_frequency(len(everything), having[term]) for term in rarest}


def _passage(info: DocumentInfo, ordinal: int, new: NewPassage) -> Passage:
    return Passage(
        id=PassageId(str(uuid4())),
        document_id=info.id,
        title=info.title,
        source=info.source,
        version=info.version,
        ordinal=ordinal,
        start=new.start,
        end=new.end,
        text=new.text,
        heading=new.heading,
        page=new.page,
    )


def _cosine(one: Vector, other: Vector) -> float:
    import numpy as np

    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.dot(one, other) / lengths)


def _scale(scores: Sequence[float]) -> Callable[[float], float]:
    low, high = min(scores), max(scores)

    def scaled(score: float) -> float:
        return 1.0 if score >= high else max(0.0, (score - low) / (high - low or 1.0))

    return scaled


def _best_first(found: ScoredPassage) -> tuple[float, float, str, int]:
    return -found.score, -found.similarity, found.passage.source, found.passage.ordinal
