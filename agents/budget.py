"""How much of the evidence a model reads: whole passages while they fit, then the best sentences.

A citation is still checked against the whole passage; what is left out here is only not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from agents.closeness import compared
from agents.reading import Candidate, rarity, read, share
from backends.base import Embedder, Passage, ScoredPassage
from backends.sentences import statements
from backends.terms import words

MOST_LINES: Final = 4
"""Sentences that a model which reads single sentences gets at most."""

GAP: Final = " … "
"""Stands where sentences of a passage were left out."""

# As the extractive generator weighs a sentence; it was fitted there.
_WORDS_WEIGHT: Final = 0.3
_HEADING_SHARE: Final = 0.4
_RANK_WEIGHT: Final = 0.05
_NUMBER_BONUS: Final = 0.1
_FRAGMENT_FACTOR: Final = 0.6
_FURTHER_AT_LEAST: Final = 0.8
_WANTED_AT_LEAST: Final = 0.6

_FEWEST_WORDS: Final = 3
_WANTS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|often|old|far|big|large|high|late|early|soon)|when|what time|"
    r"rates?|which (?:day|date|year)|wie ?(?:viele?|lange?|oft|hoch)|wann)\b",
    re.IGNORECASE,
)
_LEANS_BACK = re.compile(r"(?:it|this|these|they|that|those|such|he|she)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage, and what a model reads of it: all of its text, or sentences with `GAP` between."""

    passage: Passage
    text: str


@dataclass(frozen=True, slots=True)
class _Scored:
    passage: int
    at: int
    text: str
    score: float


async def excerpts(
    query: str, hits: Sequence[ScoredPassage], characters: int, reader: Embedder | None = None
) -> list[Excerpt]:
    """Return what fits of the passages, in their order.

    Args:
        query: What was searched for.
        hits: What was found, best first.
        characters: How much may be read; the best sentence is, whatever its length.
        reader: Compares the query with sentences where they have to be chosen; by their words alone
            without one.

    Raises:
        Unavailable: The reader cannot be reached in time.
    """
    if sum(len(hit.passage.text) for hit in hits) <= characters:
        return [Excerpt(hit.passage, hit.passage.text) for hit in hits]
    whole = _whole(hits, characters)
    left = characters - sum(len(hits[at].passage.text) for at in whole)
    chosen: list[_Scored] = []
    for one in _by_score(query, await _candidates(query, hits, reader)):
        cost = len(one.text) + len(GAP)
        fits = cost <= left or not (whole or chosen)
        if one.passage not in whole and fits:
            chosen.append(one)
            left -= cost
    texts = {at: hits[at].passage.text for at in whole} | _joined(chosen)
    return [Excerpt(hits[at].passage, texts[at]) for at in sorted(texts)]


async def lines(
    query: str,
    hits: Sequence[ScoredPassage],
    characters: int,
    reader: Embedder | None = None,
    *,
    least: int = 1,
) -> list[Excerpt]:
    """Return the sentences that support an answer best, the best one first.

    The best one; the sentence before it where it leans on that ("It lasts two weeks."), in one
    piece with it; and further ones that score nearly as high.

    Args:
        query: What was searched for.
        hits: What was found, best first.
        characters: How much may be read; the best sentence is, whatever its length.
        reader: As for `excerpts`.
        least: So many are wanted if there are any that come near, for an answer in so many points.

    Raises:
        Unavailable: The reader cannot be reached in time.
    """
    candidates = await _candidates(query, hits, reader)
    ranked = _by_score(query, candidates)
    kept: list[Excerpt] = []
    left = characters
    for one in ranked:
        enough = _FURTHER_AT_LEAST if len(kept) >= least else _WANTED_AT_LEAST
        if len(kept) == MOST_LINES or one.score < enough * ranked[0].score:
            break
        text = one.text
        if one.at and _LEANS_BACK.match(text):
            text = f"{candidates[one.passage].sentences[one.at - 1]} {text}"
        known = any(text in line.text or line.text in text for line in kept)
        if not known and (len(text) <= left or not kept):
            kept.append(Excerpt(hits[one.passage].passage, text))
            left -= len(text)
    return kept


def _whole(hits: Sequence[ScoredPassage], characters: int) -> set[int]:
    """The first passages, as long as they fit."""
    fitting: set[int] = set()
    for at, hit in enumerate(hits):
        characters -= len(hit.passage.text)
        if characters < 0:
            break
        fitting.add(at)
    return fitting


async def _candidates(
    query: str, hits: Sequence[ScoredPassage], reader: Embedder | None
) -> list[Candidate]:
    """Every passage with its sentences, and their cosines as far as they are known."""
    near = [] if reader is None else await compared(query, hits, reader)
    return [*near, *(_by_words_alone(hit) for hit in hits[len(near) :])]


def _by_words_alone(hit: ScoredPassage) -> Candidate:
    text = hit.passage.text
    return Candidate(hit, tuple(text[start:end] for start, end in statements(text)), ())


def _by_score(query: str, candidates: Sequence[Candidate]) -> list[_Scored]:
    terms = words(query)
    reads = read(terms, candidates)
    worth = rarity(terms, reads)
    wants_number = _WANTS_NUMBER.search(query) is not None
    scored = []
    for passage, (candidate, one) in enumerate(zip(candidates, reads, strict=True)):
        around = frozenset(one.around)
        for at, (text, having) in enumerate(zip(candidate.sentences, one.within, strict=True)):
            within = share(worth, frozenset(having))
            above = share(worth, around.union(having)) - within
            score = _WORDS_WEIGHT * (within + _HEADING_SHARE * above)
            score += max(candidate.cosines[at], 0.0) if candidate.cosines else 0.0
            score += _RANK_WEIGHT / (1 + passage)
            score += _NUMBER_BONUS if wants_number and re.search(r"\d", text) else 0.0
            scored.append(
                _Scored(passage, at, text, score * (_FRAGMENT_FACTOR if _fragment(text) else 1))
            )
    return sorted(scored, key=lambda one: -one.score)


def _fragment(text: str) -> bool:
    """Whether it announces, asks or labels something rather than saying it."""
    return text.endswith((":", "?")) or "|" in text or len(text.split()) < _FEWEST_WORDS


def _joined(chosen: Sequence[_Scored]) -> dict[int, str]:
    """The sentences of each passage in their order."""
    texts = {}
    ordered = sorted(chosen, key=lambda one: (one.passage, one.at))
    for passage, group in groupby(ordered, key=lambda one: one.passage):
        texts[passage] = _with_gaps(list(group))
    return texts


def _with_gaps(sentences: Sequence[_Scored]) -> str:
    text = sentences[0].text
    for before, one in pairwise(sentences):
        text += (" " if one.at == before.at + 1 else GAP) + one.text
    return text
