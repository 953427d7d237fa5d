"""How close the sentences of passages come to a question, by their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agents.reading import Candidate
from backends.base import Embedder, ScoredPassage
from backends.sentences import statements

if TYPE_CHECKING:
    from backends.base import Vector
    from backends.spans import PassageSentences

READ_ANEW: Final = 3
"""Passages whose sentences are embedded where the store does not bring their vectors along."""

MAX_SENTENCES: Final = 24
"""Sentences that are embedded then; each costs an embedding when it was not seen before."""


async def compared(
    question: str, hits: Sequence[ScoredPassage], reader: Embedder
) -> list[Candidate]:
    """Compare a question with the sentences that came along, or embed those of the first few.

    Embedding sentences while somebody waits is slow, hence only of the first few; the others are
    then left out.

    Args:
        question: What was searched for.
        hits: What was found.
        reader: Makes vectors as the store keeps them.

    Raises:
        Unavailable: The reader cannot be reached in time.
    """
    known = [(hit, hit.sentences) for hit in hits if hit.sentences is not None]
    if len(known) == len(hits) and {one.model for _, one in known} == {reader.model}:
        vector = (await reader.embed([question]))[0]
        return [_compared(hit, sentences, vector) for hit, sentences in known]
    first = hits[:READ_ANEW]
    spans = list(_spans(first))
    texts = [
        hit.passage.text[start:end]
        for hit, cut in zip(first, spans, strict=True)
        for start, end in cut
    ]
    vectors = await reader.embed([question, *texts])
    cosines = iter((vectors[1:] @ vectors[0]).tolist())
    return [
        Candidate(
            hit,
            tuple(hit.passage.text[start:end] for start, end in cut),
            tuple(next(cosines) for _ in cut),
        )
        for hit, cut in zip(first, spans, strict=True)
    ]


def _compared(hit: ScoredPassage, sentences: PassageSentences, vector: Vector) -> Candidate:
    heading, *cosines = (sentences.vectors @ vector).tolist()
    text = hit.passage.text
    return Candidate(
        hit, tuple(text[start:end] for start, end in sentences.spans), tuple(cosines), heading
    )


def _spans(hits: Sequence[ScoredPassage]) -> Iterator[list[tuple[int, int]]]:
    left = MAX_SENTENCES
    for hit in hits:
        spans = statements(hit.passage.text)[:left]
        left -= len(spans)
        yield spans
