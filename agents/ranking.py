"""Orders what was found: the passage first whose best sentence answers. Pure.

A passage is about many things, so its own vector is a poor judge of one question; its closest
sentence is a better one (late interaction at the level of sentences). To that come the BM25 score,
the words of the question that stand together in one sentence, and its pairs of neighbouring words.
`python -m router.tuning.fit_evidence` prints what each of them brings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agents.reading import Candidate, Read, rarity, read, share
from backends.terms import words

READ_CLOSELY = 10
"""Candidates whose words are looked at; the others keep their place behind by scores alone."""

# Round numbers in the middle of a flat top: half or double of each changes little.
LEXICAL_WEIGHT = 0.25
TOGETHER_WEIGHT = 0.2
PAIRS_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each sign counts; the cosine of the closest sentence counts 1.

    Attributes:
        lexical: Of the BM25 score, as a share of the best one's.
        together: Of the best share of the question's words in one sentence.
        pairs: Of the share of the question's pairs of neighbouring words that a passage has.
    """

    lexical: float = LEXICAL_WEIGHT
    together: float = TOGETHER_WEIGHT
    pairs: float = PAIRS_WEIGHT


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates in their new order.

    Attributes:
        candidates: All of them, best first.
        reads: The first ones as they were read, at most ``READ_CLOSELY``, in the same order.
        scores: Of the reads, falling, 0 to about 1.5; comparable within one question only.
        worth: What each term of the question is worth among the candidates.
    """

    candidates: tuple[Candidate, ...]
    reads: tuple[Read, ...]
    scores: tuple[float, ...]
    worth: Mapping[str, float]


def rank(question: str, candidates: Sequence[Candidate], weights: Weights = Weights()) -> Ranked:
    """Order candidates by how well they answer a question; of equals the earlier stays first.

    Args:
        question: The words that were searched for.
        candidates: What the store found.
        weights: How much each sign counts.
    """
    terms = words(question)
    best = max((one.hit.lexical for one in candidates), default=0.0) or 1.0

    def first_sight(one: Candidate) -> float:
        return one.closest + weights.lexical * one.hit.lexical / best

    sighted = sorted(candidates, key=first_sight, reverse=True)
    reads = read(terms, sighted[:READ_CLOSELY])
    worth = rarity(terms, reads)
    pairs = frozenset(pairwise(terms))

    def score(one: Read) -> float:
        together = best_sentence_share(one, worth)
        return (
            first_sight(one.candidate)
            + weights.together * together
            + weights.pairs * pairs_share(one, pairs)
        )

    scored = sorted(((score(one), one) for one in reads), key=lambda pair: -pair[0])
    ordered = [one.candidate for _, one in scored] + sighted[READ_CLOSELY:]
    return Ranked(
        tuple(ordered),
        tuple(one for _, one in scored),
        tuple(score for score, _ in scored),
        worth,
    )


def best_sentence_share(one: Read, worth: Mapping[str, float]) -> float:
    """Return the most that one sentence, with what stands above it, has of the terms, 0..1."""
    return max(
        (share(worth, frozenset(one.around).union(terms)) for terms in one.within), default=0.0
    )


def pairs_share(one: Read, pairs: frozenset[tuple[str, str]]) -> float:
    """Return the share, 0..1, of pairs of terms that are neighbours in a sentence or heading."""
    if not pairs:
        return 0.0
    having: set[tuple[str, str]] = set()
    having.update(*(pairwise(terms) for terms in (one.around, *one.within)))
    return len(pairs & having) / len(pairs)
