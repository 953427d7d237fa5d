"""Evidence: find passages, judge whether they are enough, search once more, or say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from agents.base import NOTHING_FOUND, Evidence, Reply, Task
from agents.closeness import compared
from agents.manner import LOOKED_AT, without_manner
from agents.past import asks_for_the_past, years
from agents.ranking import Ranked, rank
from agents.sufficiency import Sufficiency, features, shipped
from backends.base import (
    Embedder,
    Reranker,
    Retriever,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import BackendError

CANDIDATES: Final = 30
"""Passages that are asked for and put in order, of which the best few are kept;
`python -m router.tuning.fit_evidence` prints how seldom the right one is further behind."""

RERANKED: Final = 20
"""Passages that a reranker reads; it is slow, and the right one is hardly ever further behind."""

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


class EvidenceFinder:
    """Retrieves on behalf of an asker, orders what came back, and judges whether it is enough.

    Args:
        embedder: The one that the documents were embedded with.
        reader: The one whose sentence vectors the store keeps and the sufficiency was fitted on.
        min_support: Probability, 0..1, from which evidence is enough.
        limit: Most passages that an answer may rest on.
        sufficiency: Gives that probability; the one that ships when None.
        reranker: Orders the first passages instead of us; its best score counts half of the
            support. When it fails, the question goes on without it.
    """

    def __init__(
        self,
        retriever: Retriever,
        embedder: Embedder,
        reader: Embedder,
        *,
        min_support: float,
        limit: int,
        sufficiency: Sufficiency | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._retriever = retriever
        self._embedder = embedder
        self._reader = reader
        self._min_support = min_support
        self._limit = limit
        self._sufficiency = sufficiency or shipped()
        self._reranker = reranker

    async def find(self, task: Task, *, hybrid: bool, query: str | None = None) -> Evidence:
        """Search for what the task's question needs.

        Args:
            task: The question, and who asks.
            hybrid: The question also says how to answer; only what to find is searched for.
            query: Other words to search for, from `reformulated`.

        Raises:
            BackendError: The store or the embedder failed.
        """
        words = query or words_to_find(task, hybrid=hybrid)
        searched = f"{words}\n{task.carried}" if task.carried else words
        embedding = (await self._embedder.embed([searched]))[0]
        most = max(self._limit, CANDIDATES)
        found = await self._retriever.search(
            SearchQuery(searched, embedding, task.principals, most, where=task.where)
        )
        hits = current(found, words)
        if not hits:
            return Evidence(words, (), sufficient=False, support=0.0)
        ranked = rank(searched, await compared(searched, hits, self._reader))
        support = self._sufficiency.probability(features(searched, ranked))
        passages = _in_order(ranked, hits)
        evidence = Evidence(words, tuple(passages), sufficient=False, support=support)
        if self._reranker is not None:
            evidence = await _reranked(evidence, self._reranker)
        return replace(
            evidence,
            passages=evidence.passages[: self._limit],
            sufficient=evidence.support >= self._min_support,
        )


def words_to_find(task: Task, *, hybrid: bool) -> str:
    """Return what is searched for first: the question, for hybrid answers without its manner."""
    return without_manner(task.question) if hybrid else task.question


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
        text = f"{NOTHING_FOUND} “{shown}”."
    return Reply(text, model="none", abstained=True)


def _in_order(ranked: Ranked, hits: Sequence[ScoredPassage]) -> list[ScoredPassage]:
    """What was read in its new order, the rest behind it in the order of the store."""
    read = [one.hit for one in ranked.candidates]
    known = {hit.passage.id for hit in read}
    return [*read, *(hit for hit in hits if hit.passage.id not in known)]


async def _reranked(evidence: Evidence, reranker: Reranker) -> Evidence:
    """Let a model order the first passages; without it, things stay as they are."""
    first, rest = evidence.passages[:RERANKED], evidence.passages[RERANKED:]
    try:
        scores = await reranker.scores(evidence.query, [_shown(hit) for hit in first])
    except BackendError as error:
        return replace(evidence, not_reranked=str(error))
    order = sorted(range(len(first)), key=lambda at: -scores[at])
    return replace(
        evidence,
        passages=(*(first[at] for at in order), *rest),
        support=(evidence.support + max(scores)) / 2,
        reranked_by=reranker.model,
    )


def _shown(hit: ScoredPassage) -> str:
    """What a reranker reads: the passage below its title and headings."""
    passage = hit.passage
    return "\n".join(part for part in (passage.title, passage.heading, passage.text) if part)
