"""Evidence: find passages, judge whether they are enough, search once more, or say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agents.base import Evidence, Reply, Task
from agents.manner import without_manner
from backends.base import Embedder, Retriever, ScoredPassage, SearchQuery
from backends.terms import question_terms

BEST: Final = 3
"""Passages that are looked at to judge whether the evidence is enough."""

MAX_SHOWN: Final = 160
"""Characters of a query that an abstention repeats."""

_COURTESY = re.compile(
    r"\b(?:please|kindly|hi|hello|hey|thanks|thank you|could you|can you|would you|tell me|"
    r"i(?:'d| would) like to know|i want to know|i was wondering|do you know|quick question)"
    r"\b[\s,:]*",
    re.IGNORECASE,
)


class EvidenceFinder:
    """Retrieves on behalf of an asker and judges what came back.

    Args:
        min_similarity: Cosine, -1..1, that the best passage must reach.
        min_coverage: Share, 0..1, of the question's content words that the best passages must hold.
        limit: Most passages that an answer may rest on.
    """

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        *,
        min_similarity: float,
        min_coverage: float,
        limit: int,
    ) -> None:
        self._retriever = retriever
        self._embedder = embedder
        self._min_similarity = min_similarity
        self._min_coverage = min_coverage
        self._limit = limit

    async def find(self, task: Task, *, hybrid: bool, query: str | None = None) -> Evidence:
        """Search for what the task's question needs.

        Args:
            task: Its embedding is used again when the query is the question itself.
            hybrid: The question also says how to answer; only what to find is searched for.
            query: Other words to search for, from `reformulated`.

        Raises:
            BackendError: The store or the embedder failed.
        """
        words = query or (without_manner(task.question) if hybrid else task.question)
        if words == task.question and task.embedding is not None:
            embedding = task.embedding
        else:
            embedding = (await self._embedder.embed([words]))[0]
        found = await self._retriever.search(
            SearchQuery(words, embedding, task.principals, self._limit)
        )
        coverage = _coverage(words, found)
        return Evidence(
            query=words,
            passages=tuple(found),
            sufficient=self._sufficient(found, coverage),
            coverage=coverage,
        )

    def _sufficient(self, found: Sequence[ScoredPassage], coverage: float) -> bool:
        if not found:
            return False
        similarity = max(hit.similarity for hit in found)
        return similarity >= self._min_similarity and coverage >= self._min_coverage


def reformulated(query: str) -> str:
    """Return the query in other words: no courtesies, no manner, nothing but what to find."""
    bare = _COURTESY.sub(" ", without_manner(query))
    return " ".join(bare.split()).strip(" ,.;:!?") or query


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
        shown = (
            evidence.query if len(evidence.query) <= MAX_SHOWN else evidence.query[:MAX_SHOWN] + "…"
        )
        text = (
            "I could not find an answer to this in the documents that you may see. "
            f"I searched for: “{shown}”."
        )
    return Reply(text, model="none", abstained=True)


def _coverage(query: str, found: Sequence[ScoredPassage]) -> float:
    wanted = set(question_terms(query))
    if not wanted:
        return 0.0
    held: set[int] = set()
    for hit in found[:BEST]:
        passage = hit.passage
        held.update(question_terms(f"{passage.title} {passage.heading} {passage.text}"))
    return len(wanted & held) / len(wanted)
