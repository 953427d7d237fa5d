"""Records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from pgvector import HalfVector, SparseVector
from psycopg.types.json import Jsonb

from backends.base import (
    DocumentId,
    DocumentInfo,
    NewDocument,
    NewPassage,
    Passage,
    PassageId,
    ScoredPassage,
)
from backends.filters import Conditions
from backends.principals import Principal, Principals
from backends.publishing import storable
from backends.spans import PassageSentences
from backends.terms import DIMENSIONS

if TYPE_CHECKING:
    from backends.base import Vector, Vectors

Row = tuple[object, ...]
Weights = Sequence[Mapping[int, float]]


def document_values(document: NewDocument, passages: Sequence[NewPassage]) -> Mapping[str, Any]:
    """A new document as the parameters of `statements.UPSERT_DOCUMENT`."""
    return {
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "fingerprint": document.fingerprint,
        "acl": sorted(document.acl),
        "metadata": Jsonb(dict(document.metadata)),
        "passages": len(passages),
        "characters": len(document.body),
    }


def new_ids(count: int) -> Sequence[UUID]:
    """Ids for passages, known before they are stored, as three tables share them."""
    return [uuid4() for _ in range(count)]


def passage_rows(
    document: UUID, version: int, first: int, ids: Sequence[UUID], passages: Sequence[NewPassage]
) -> Iterator[Row]:
    """Rows of the table passage; ``first`` is the ordinal of the first one."""
    for ordinal, (key, one) in enumerate(zip(ids, passages, strict=True), start=first):
        yield (
            key,
            document,
            version,
            ordinal,
            one.start,
            one.end,
            one.page,
            one.heading,
            one.text,
        )


def term_rows(document: UUID, ids: Sequence[UUID], weights: Weights) -> Iterator[Row]:
    """Rows of the table passage_terms."""
    for key, terms in zip(ids, weights, strict=True):
        yield key, document, sorted(terms), sparse(terms)


def embedding_rows(document: UUID, ids: Sequence[UUID], embeddings: Vectors) -> Iterator[Row]:
    """Rows of the table of an embedding space."""
    for key, embedding in zip(ids, embeddings, strict=True):
        yield key, document, dense(embedding)


def sentence_rows(ids: Sequence[UUID], passages: Sequence[NewPassage]) -> Iterator[Row]:
    """Rows of the table passage_sentences, of those that have any."""
    for key, passage in zip(ids, passages, strict=True):
        if passage.sentences is not None:
            spans = [offset for span in passage.sentences.spans for offset in span]
            yield key, passage.sentences.model, spans, _bytes(passage.sentences.vectors)


def dense(vector: Vector) -> str:
    """A vector of length 1 as text, so that an inner product is a cosine."""
    import numpy as np

    return HalfVector(vector / np.linalg.norm(vector)).to_text()


def sparse(weights: Mapping[int, float]) -> str:
    """Weights of terms as text."""
    # The server counts dimensions from 1, as our terms do; the package counts from 0.
    entries = {term - 1: weight for term, weight in weights.items()}
    return SparseVector(entries, DIMENSIONS).to_text()


def conditions(where: Conditions) -> str:
    """Conditions as the database's ``holds`` reads them: JSON."""
    return json.dumps([asdict(condition) for condition in where])


def storable_only(texts: Sequence[str] | Principals) -> list[str]:
    """Without those that no row can hold, as the server would refuse even to look for them."""
    return [text for text in texts if storable(text)]


def document_info(row: Mapping[str, Any]) -> DocumentInfo:
    """A row of the table document."""
    return DocumentInfo(
        id=DocumentId(str(row["id"])),
        source=row["source"],
        title=row["title"],
        version=row["live_version"],
        media_type=row["media_type"],
        fingerprint=row["fingerprint"],
        acl=frozenset(map(Principal, row["acl"])),
        passages=row["passages"],
        characters=row["characters"],
        updated_at=row["updated_at"],
        metadata=row["metadata"],
    )


def passage_record(row: Mapping[str, Any]) -> Passage:
    """A passage with its document's title and source."""
    return Passage(
        id=PassageId(str(row["id"])),
        document_id=DocumentId(str(row["document_id"])),
        title=row["title"],
        source=row["source"],
        version=row["version"],
        ordinal=row["ordinal"],
        start=row["start_offset"],
        end=row["end_offset"],
        text=row["text"],
        heading=row["heading"],
        page=row["page"],
    )


def scored_passage(row: Mapping[str, Any]) -> ScoredPassage:
    """A row of the function search_passages."""
    return ScoredPassage(
        passage_record(row),
        row["score"],
        row["similarity"],
        row["lexical"],
        row["superseded_by"] or "",
        None if row["sentence_model"] is None else _sentences(row),
    )


def _sentences(row: Mapping[str, Any]) -> PassageSentences:
    flat = row["sentence_spans"]
    spans = tuple(zip(flat[::2], flat[1::2], strict=True))
    return PassageSentences(
        row["sentence_model"], spans, _vectors(row["sentence_vectors"], 1 + len(spans))
    )


def _bytes(vectors: Vectors) -> bytes:
    """A byte a number: the largest of each vector becomes 127, and what is lost is its length."""
    import numpy as np

    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = np.rint(vectors * (127 / np.maximum(largest, 1e-12)))
    return bytes(scaled.astype(np.int8).tobytes())


def _vectors(packed: bytes, count: int) -> Vectors:
    """Unit vectors, which is what they were before."""
    import numpy as np

    vectors = np.frombuffer(packed, np.int8).reshape(count, -1).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
