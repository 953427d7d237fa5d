"""Asks the questions of a benchmark through the production path, in a schema of their own.

Documents go in by `backends.ingest`, conversations through the rules of `agents.condense`, and
what is found and whether it is enough comes from the evidence finder that a router would have;
nothing but the answering is left out. Three simpler rankings of the same passages are kept beside
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agents.base import Task
from agents.condense import condensed
from agents.evidence import CANDIDATES as FOUND
from agents.evidence import reformulated
from backends.base import SearchQuery
from backends.principals import EVERYONE
from router.evaluation.metrics import reciprocal_rank_fusion
from router.evaluation.scratch import gather_statistics, scratch_schema
from router.steps import shortened

if TYPE_CHECKING:
    from agents.base import Evidence
    from agents.evidence import EvidenceFinder
    from backends.base import Message, ScoredPassage
    from router.app import Retrieval
    from router.config import Settings
    from router.evaluation.benchmark import Benchmark, CorpusDocument, Query, Unanswerable

    Phase: TypeAlias = Literal["reading", "asking"]

    OnProgress: TypeAlias = Callable[[Phase, int, int], None]
    """Called with what is being done, how much of it is done, and how much there is."""

SYSTEM: Final = "system"
BASELINES: Final = ("dense", "bm25", "rrf")

CANDIDATES: Final = 50
"""How deep each leg is read; both legs together are all that any ranking here can hold."""

_WARM_UPS: Final = 10
_SUFFIX: Final = ".txt"
"""Behind each id, as the suffix of a source chooses who reads it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question.

    Attributes:
        ranked: Ids of documents, best first, by whoever ranked them: `SYSTEM` or one of
            `BASELINES`. A document stands where its best passage stands. Empty for a question that
            nothing answers.
        support: Probability that the evidence is enough, 0..1.
        sufficient: Whether the router would answer.
        ms: What the evidence took, embedding the question included.
    """

    ranked: Mapping[str, Sequence[str]]
    support: float
    sufficient: bool
    ms: float


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of all of them, in the order of the benchmark's questions."""

    answerable: Sequence[tuple[Query, Outcome]]
    unanswerable: Sequence[tuple[Unanswerable, Outcome]]
    embedder: str
    min_support: float
    passages: int


async def ask_all(
    benchmark: Benchmark, settings: Settings, on_progress: OnProgress = lambda *_: None
) -> Outcomes:
    """Ingest the corpus into a scratch schema, ask every question, and drop the schema.

    Questions are asked one after the other, after a few to warm up. Sentences of passages that were
    read closely before are remembered, as a router that runs remembers them.

    Raises:
        SettingsError: The policy cannot be read.
        BackendError: A part failed, or a document cannot be ingested; the message names it.
    """
    from router.app import open_retrieval

    async with scratch_schema(settings) as scratch, open_retrieval(scratch) as retrieval:
        passages = await ingest_corpus(benchmark.corpus, retrieval, on_progress)
        await gather_statistics(scratch)
        asking = _Asking(retrieval, settings.passages)
        for document in benchmark.corpus[:_WARM_UPS]:
            await asking.ask_for_evidence(_task_of(document.title or document.id))
        total = len(benchmark.queries) + len(benchmark.unanswerable)
        answerable = []
        for query in benchmark.queries:
            answerable.append((query, await asking.ask_and_rank(query.conversation)))
            on_progress("asking", len(answerable), total)
        unanswerable = []
        for question in benchmark.unanswerable:
            evidence, ms = await asking.ask_for_evidence(searched_task(question.conversation))
            unanswerable.append((question, _outcome({}, evidence, ms)))
            on_progress("asking", len(answerable) + len(unanswerable), total)
        return Outcomes(
            answerable=answerable,
            unanswerable=unanswerable,
            embedder=retrieval.embedder.model,
            min_support=retrieval.policy.evidence_min_support,
            passages=passages,
        )


async def ingest_corpus(
    corpus: Sequence[CorpusDocument],
    retrieval: Retrieval,
    on_progress: OnProgress = lambda *_: None,
) -> int:
    """Publish every document for everyone; return the number of passages.

    Raises:
        BackendError: As `backends.ingest.ingest_bytes`.
    """
    from backends.ingest import ingest_bytes

    passages = 0
    for number, document in enumerate(corpus, start=1):
        info = await ingest_bytes(
            document.id + _SUFFIX,
            document.text.encode(),
            store=retrieval.store,
            embedder=retrieval.embedder,
            acl=frozenset({EVERYONE}),
            title=document.title,
        )
        passages += info.passages if info else 0
        on_progress("reading", number, len(corpus))
    await retrieval.store.settle()
    return passages


class _Asking:
    """Asks one question after the other."""

    def __init__(self, retrieval: Retrieval, passages: int) -> None:
        self._retrieval = retrieval
        self._finder = retrieval.finder(passages)
        # The same search, cut later: figures look at more documents than an answer rests on.
        self._deep = retrieval.finder(FOUND)

    async def ask_for_evidence(
        self, task: Task, began: float | None = None
    ) -> tuple[Evidence, float]:
        """Find evidence as the router's steps do; also returns the milliseconds since ``began``."""
        began = perf_counter() if began is None else began
        evidence = await _found(self._finder, task)
        return evidence, (perf_counter() - began) * 1000

    async def ask_and_rank(self, conversation: Sequence[Message]) -> Outcome:
        began = perf_counter()
        task = searched_task(conversation)
        evidence, ms = await self.ask_for_evidence(task, began)
        deep = await self._deep.find(task, hybrid=False, query=evidence.query)
        ranked = {SYSTEM: ranked_documents(deep.passages), **await self._baselines(task)}
        return _outcome(ranked, evidence, ms)

    async def _baselines(self, task: Task) -> Mapping[str, Sequence[str]]:
        words = searched_words(task)
        query = SearchQuery(
            words,
            (await self._retrieval.asking.embed([words]))[0],
            task.principals,
            limit=2 * CANDIDATES,
            candidates=CANDIDATES,
        )
        return baselines(await self._retrieval.store.search(query))


def baselines(found: Sequence[ScoredPassage]) -> Mapping[str, Sequence[str]]:
    """Rank the documents of all that both legs found: by cosine, by BM25, and by both ranks."""
    by_id = {str(hit.passage.id): hit for hit in found}
    dense = sorted(found, key=lambda hit: -hit.similarity)[:CANDIDATES]
    matched = [hit for hit in found if hit.lexical > 0]
    lexical = sorted(matched, key=lambda hit: -hit.lexical)[:CANDIDATES]
    legs = [[str(hit.passage.id) for hit in leg] for leg in (dense, lexical)]
    fused = [by_id[one] for one in reciprocal_rank_fusion(legs)]
    return {
        "dense": ranked_documents(dense),
        "bm25": ranked_documents(lexical),
        "rrf": ranked_documents(fused),
    }


def ranked_documents(found: Sequence[ScoredPassage]) -> Sequence[str]:
    """Return the ids of the passages' documents, each where its best passage stands."""
    return list(dict.fromkeys(document_id(hit.passage.source) for hit in found))


def document_id(source: str) -> str:
    """Return the corpus' id of what was ingested under this source."""
    return source.removesuffix(_SUFFIX)


def searched_task(conversation: Sequence[Message]) -> Task:
    """Return the task that the router's rules make of a conversation, asked by everyone."""
    found = condensed(conversation)
    return replace(_task_of(shortened(found.question), conversation), carried=found.carried)


def searched_words(task: Task) -> str:
    """Return what the evidence finder searches for."""
    return f"{task.question}\n{task.carried}" if task.carried else task.question


async def _found(finder: EvidenceFinder, task: Task) -> Evidence:
    evidence = await finder.find(task, hybrid=False)
    words = reformulated(evidence.query)
    if evidence.sufficient or words == evidence.query:
        return evidence
    return await finder.find(task, hybrid=False, query=words)


def _task_of(question: str, conversation: Sequence[Message] = ()) -> Task:
    return Task(question, tuple(conversation), frozenset({EVERYONE}))


def _outcome(ranked: Mapping[str, Sequence[str]], evidence: Evidence, ms: float) -> Outcome:
    return Outcome(ranked, evidence.support, evidence.sufficient, ms)
