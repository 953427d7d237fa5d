"""Candidates as they are read: their sentences, how close each comes, which words of the question.

Pure. Ranking and sufficiency both look at a candidate through this, so that its words are taken
apart once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.base import ScoredPassage
from backends.terms import words_among


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was found, with what its sentences say.

    Attributes:
        hit: The passage and the scores that the store gave it.
        sentences: What it says, in order, as `backends.sentences.statements` cuts it; may be empty.
        cosines: Of the question and each of the sentences, -1..1.
        heading: Of the question and what stands above the passage, title and headings; -1 where
            that is nothing or not known.
    """

    hit: ScoredPassage
    sentences: tuple[str, ...]
    cosines: tuple[float, ...]
    heading: float = -1.0

    @property
    def closest(self) -> float:
        """Cosine of what comes closest, a heading being one sentence more.

        The passage's own cosine where it has neither.
        """
        known = [cosine for cosine in (*self.cosines, self.heading) if cosine > -1.0]
        return max(known, default=self.hit.similarity)


@dataclass(frozen=True, slots=True)
class Read:
    """The question's words as one candidate has them.

    Attributes:
        candidate: The candidate.
        around: Terms of the question in title and heading, in order.
        within: For each sentence, the terms of the question that it has, in its order, each time.
    """

    candidate: Candidate
    around: tuple[str, ...]
    within: tuple[tuple[str, ...], ...]

    @property
    def having(self) -> frozenset[str]:
        """Terms of the question anywhere in the candidate."""
        return frozenset(self.around).union(*self.within)


def read(question: Sequence[str], candidates: Sequence[Candidate]) -> list[Read]:
    """Look up the question's terms in the candidates.

    Args:
        question: Terms of the question, from `backends.terms.words`.
        candidates: What was found.
    """
    texts = [text for one in candidates for text in (_around(one), *one.sentences)]
    found = iter(words_among(texts, frozenset(question)))
    return [
        Read(one, tuple(next(found)), tuple(tuple(next(found)) for _ in one.sentences))
        for one in candidates
    ]


def rarity(question: Sequence[str], reads: Sequence[Read]) -> Mapping[str, float]:
    """Return what each term of the question is worth: the more, the fewer candidates have it.

    The inverse document frequency of BM25 with the candidates as the corpus: what all of them have
    is the topic, and tells nothing about which of them answers.
    """
    having = [one.having for one in reads]
    worth = {}
    for term in question:
        with_term = sum(term in terms for terms in having)
        worth[term] = math.log(1 + (len(reads) - with_term + 0.5) / (with_term + 0.5))
    return worth


def share(worth: Mapping[str, float], having: frozenset[str]) -> float:
    """Return the share, 0..1, of the terms' worth that ``having`` has; 1 without any terms."""
    total = sum(worth.values())
    return sum(worth[term] for term in worth if term in having) / total if total else 1.0


def _around(one: Candidate) -> str:
    return f"{one.hit.passage.title} {one.hit.passage.heading}"
