"""Evidence: find passages, judge whether they are enough, search once more, or say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agents.base import Evidence, Reply, Task
from agents.manner import LOOKED_AT, without_manner
from agents.past import asks_for_the_past, years
from backends.base import Embedder, Retriever, ScoredPassage, SearchQuery
from backends.sentences import split_sentences, without_marks

READ_CLOSELY: Final = 3
"""Passages whose sentences are compared with the question."""

MAX_SENTENCES: Final = 24
"""Sentences that are compared; each costs an embedding when it was not seen before."""

MAX_SHOWN: Final = 160
"""Characters of a query that an abstention repeats."""

_COURTESY = re.compile(
    # At the beginning only: "how long can you wear boots" and "a thank you note" are content.
    r"(?:(?:please|kindly|hi|hello|hey|thanks|thank you|(?:could|can|would|will) you|tell me|"
    r"i(?:['’]d| would) like to know|i want to know|i was wondering|do you know|quick question)"
    r"\b(?!-)[\s,:.!]*)+",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?<![\s,.!?])[\s,.!?]*\b(?:please|kindly|thanks|thank you)[\s.!?]*$", re.IGNORECASE
)
_SAYS_NOTHING: Final = frozenset({"heading", "header", "rule", "code"})


class EvidenceFinder:
    """Retrieves on behalf of an asker and judges what came back.

    Args:
        embedder: The one that the documents were embedded with.
        reader: Compares sentences with the question; ``min_support`` is in its cosines.
        min_support: Cosine, -1..1, of question and best sentence from which evidence is enough.
        limit: Most passages that an answer may rest on.
    """

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        reader: Embedder,
        *,
        min_support: float,
        limit: int,
    ) -> None:
        self._retriever = retriever
        self._embedder = embedder
        self._reader = reader
        self._min_support = min_support
        self._limit = limit

    async def find(self, task: Task, *, hybrid: bool, query: str | None = None) -> Evidence:
        """Search for what the task's question needs.

        Args:
            task: Its embedding is used again when the question itself is all that is searched for.
            hybrid: The question also says how to answer; only what to find is searched for.
            query: Other words to search for, from `reformulated`.

        Raises:
            BackendError: The store or the embedder failed.
        """
        words = query or (without_manner(task.question) if hybrid else task.question)
        searched = f"{words}\n{task.carried}" if task.carried else words
        if searched == task.question and task.embedding is not None:
            embedding = task.embedding
        else:
            embedding = (await self._embedder.embed([searched]))[0]
        found = await self._retriever.search(
            SearchQuery(searched, embedding, task.principals, self._limit, where=task.where)
        )
        passages = current(found, words)
        support = await self._support(words, passages)
        return Evidence(
            query=words,
            passages=tuple(passages),
            sufficient=support >= self._min_support,
            support=support,
        )

    async def _support(self, words: str, passages: Sequence[ScoredPassage]) -> float:
        """How close the best sentence comes to the question.

        A passage is about many things; whether one of its sentences answers is seen sentence by
        sentence. infra/bench/sample_company.py prints how well it tells the two apart.
        """
        sentences = list(_sentences(passages[:READ_CLOSELY]))[:MAX_SENTENCES]
        if not sentences:
            return 0.0
        vectors = await self._reader.embed([words, *sentences])
        return float((vectors[1:] @ vectors[0]).max())


def current(found: Sequence[ScoredPassage], query: str) -> Sequence[ScoredPassage]:
    """Leave out passages of documents that were replaced, unless the question is about the past.

    Args:
        found: Passages, best first.
        query: What they were found for; "the old rule" or the year in a title asks for the past.
    """
    if asks_for_the_past(query):
        return found
    asked = years(query)
    return [hit for hit in found if not hit.superseded_by or asked & years(hit.passage.title)]


def reformulated(query: str) -> str:
    """Return the query in other words: no courtesies, no manner, nothing but what to find."""
    words = without_manner(query).strip()
    if opening := _COURTESY.match(words, 0, LOOKED_AT):
        words = words[opening.end() :]
    words = words[:-LOOKED_AT] + _CLOSING.sub("", words[-LOOKED_AT:])
    return " ".join(words.split()).strip(" ,.;:!?") or query


def abstention(task: Task, evidence: Evidence) -> Reply:
    """Say in plain words that the documents do not hold the answer, and what was looked for.

    It says the same whether a document does not exist or may not be seen.
    """
    if not task.principals:
        text = (
            "I cannot look this up: the question came without a principal, so no document may be "
            "searched for it."
        )
    else:
        shown = evidence.query[:MAX_SHOWN] + ("…" if len(evidence.query) > MAX_SHOWN else "")
        text = (
            "I could not find an answer to this in the documents that you may see. "
            f"I searched for: “{shown}”."
        )
    return Reply(text, model="none", abstained=True)


def _sentences(passages: Sequence[ScoredPassage]) -> Iterator[str]:
    for hit in passages:
        text = hit.passage.text
        for sentence in split_sentences(text):
            if sentence.kind not in _SAYS_NOTHING:
                start, end = without_marks(text, sentence.start, sentence.end)
                yield text[start:end]
