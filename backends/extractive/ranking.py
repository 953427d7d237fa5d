"""Which sentences of the evidence answer a question best. Pure: the cosines come from outside.

A sentence scores by the question's words in it, each weighted by how rare it is in the evidence
(inverse sentence frequency, after Spärck Jones 1972), by its closeness in meaning, and by the rank
of its passage. The weights come from a coarse grid over the questions about the sample company
(infra/bench/sample_company.py), whose figures therefore flatter them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from backends.base import Passage
from backends.sentences import Sentence, split_sentences, without_marks

MOST_QUOTED = 3

_WORDS_WEIGHT = 0.3
_MEANING_WEIGHT = 1.0
_RANK_WEIGHT = 0.05
_NUMBER_BONUS = 0.1
_HEADING_SHARE = 0.4
"""A word that stands in the heading only counts this much."""
_FRAGMENT_FACTOR = 0.6
_FURTHER_AT_LEAST = 0.8
"""A further sentence scores at least this share of the best one."""
_FEWEST_WORDS = 3

_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_WANTS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|often|old|far|big|large|high|late|early|soon)|when|what time|"
    r"which (?:day|date|year)|wie ?(?:viele?|lange?|oft|hoch)|wann)\b",
    re.IGNORECASE,
)
_LEANS_BACK = re.compile(r"(?:it|this|these|they|that|those|such|he|she)\b", re.IGNORECASE)
_NOT_CONTENT_WORDS = """
    a about am an and any are as at be been by can could did do does for from get had has have how
    i if in into is it its me my of on or our shall should so some that the their them then there
    these they this to us was we were what when where which who whom whose why will with would you
    your der die das ein eine einen ich ist sind und oder wie was wann wo wer warum mit von zu im in
    den dem des kann es wir sie
"""
_NOT_CONTENT = frozenset(_NOT_CONTENT_WORDS.split())


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that might be quoted.

    Attributes:
        passage: Index of its passage in the evidence.
        start: Offset within the passage's text, Markdown marks left out.
        end: One past its last code point.
        text: ``passage.text[start:end]``.
        terms: Its content words.
        number: Its place among the candidates of its passage.
        sentence: What it was cut from.
    """

    passage: int
    start: int
    end: int
    text: str
    terms: frozenset[str]
    number: int
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score; higher is better, comparable within one ranking."""

    candidate: Candidate
    score: float


def content_terms(text: str) -> frozenset[str]:
    """Return the words that carry meaning, lower-cased and without their commonest endings."""
    words = _WORD.findall(text.lower())
    return frozenset(_stem(word) for word in words if word not in _NOT_CONTENT)


def candidates_in(evidence: Sequence[Passage]) -> list[Candidate]:
    """Return the quotable sentences of all passages; one that comes twice counts the first time.

    Headings, table headers, rules and questions answer nothing and are left out.
    """
    found: list[Candidate] = []
    seen: set[str] = set()
    for index, passage in enumerate(evidence):
        quotable = [one for one in split_sentences(passage.text) if one.kind not in _SAYS_NOTHING]
        for number, sentence in enumerate(quotable):
            start, end = without_marks(passage.text, sentence.start, sentence.end)
            text = passage.text[start:end]
            terms = content_terms(text)
            if terms and text not in seen and not text.endswith("?"):
                seen.add(text)
                found.append(Candidate(index, start, end, text, terms, number, sentence))
    return found


def by_words(
    question: str, candidates: Sequence[Candidate], evidence: Sequence[Passage]
) -> list[float]:
    """Return for each candidate the weighted share, 0..1, of the question's words that it has."""
    weights = _rarity(content_terms(question), candidates)
    total = sum(weights.values()) or 1.0
    headings = [content_terms(f"{passage.title} {passage.heading}") for passage in evidence]

    def share(candidate: Candidate) -> float:
        around = headings[candidate.passage]
        return sum(
            weight * (1.0 if term in candidate.terms else _HEADING_SHARE)
            for term, weight in weights.items()
            if term in candidate.terms or term in around
        )

    return [share(candidate) / total for candidate in candidates]


def rank(
    question: str, candidates: Sequence[Candidate], words: Sequence[float], cosines: Sequence[float]
) -> list[Ranked]:
    """Return the candidates with their scores, best first.

    Args:
        question: The standalone question.
        candidates: What may be quoted.
        words: Their `by_words`, in the same order.
        cosines: Of question and candidate, -1..1, in the same order.
    """
    wants_number = _WANTS_NUMBER.search(question) is not None
    ranked = []
    for candidate, word, cosine in zip(candidates, words, cosines, strict=True):
        score = _WORDS_WEIGHT * word + _MEANING_WEIGHT * max(cosine, 0.0)
        score += _RANK_WEIGHT / (1 + candidate.passage)
        if wants_number and _DIGIT.search(candidate.text):
            score += _NUMBER_BONUS
        ranked.append(Ranked(candidate, score * (_FRAGMENT_FACTOR if _fragment(candidate) else 1)))
    ranked.sort(key=lambda one: (-one.score, one.candidate.passage, one.candidate.start))
    return ranked


def choose(
    question: str, ranked: Sequence[Ranked], candidates: Sequence[Candidate]
) -> list[Candidate]:
    """Return one to ``MOST_QUOTED`` candidates that together read as an answer.

    The best one; the sentence before it when it leans on that ("It lasts two weeks."); and further
    ones, from its passage or the next best, only as far as they bring words of the question that
    are still missing.
    """
    best, *others = ranked
    chosen = [best.candidate]
    if _LEANS_BACK.match(best.candidate.text):
        chosen.extend(_before(best.candidate, candidates))
    second = next(
        (o.candidate.passage for o in others if o.candidate.passage != chosen[0].passage), -1
    )
    missing = content_terms(question).difference(*(one.terms for one in chosen))
    for other in others:
        if len(chosen) == MOST_QUOTED or other.score < _FURTHER_AT_LEAST * best.score:
            break
        candidate = other.candidate
        near = candidate.passage in (best.candidate.passage, second)
        if near and candidate not in chosen and missing & candidate.terms:
            chosen.append(candidate)
            missing -= candidate.terms
    order = {best.candidate.passage: 0}
    return sorted(chosen, key=lambda one: (order.get(one.passage, 1), one.start))


_SAYS_NOTHING: Collection[str] = frozenset({"heading", "header", "rule"})


def _rarity(terms: frozenset[str], candidates: Sequence[Candidate]) -> Mapping[str, float]:
    weights = {}
    for term in terms:
        having = sum(term in candidate.terms for candidate in candidates)
        weights[term] = math.log(1 + (len(candidates) + 1) / (having + 0.5))
    return weights


def _fragment(candidate: Candidate) -> bool:
    """Whether it announces or labels something rather than saying it."""
    if candidate.sentence.kind in ("row", "code"):
        return False
    return candidate.text.endswith(":") or len(_WORD.findall(candidate.text)) < _FEWEST_WORDS


def _before(candidate: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    return [
        other
        for other in candidates
        if other.passage == candidate.passage
        and other.number == candidate.number - 1
        and other.sentence.block == candidate.sentence.block
    ]


def _stem(word: str) -> str:
    for ending, replacement in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + replacement
    return word.removesuffix("e") if len(word) > 4 else word
