"""RAFT: rows that teach a model to answer from the passages that retrieval brings it.

Zhang et al. 2024 ("RAFT: Adapting Language Model to Domain Specific RAG"): each row has a question,
the passage that answers it among others that do not, and an answer that says what it rests on; in a
share of the rows the right passage is missing. Here the others are what this router's own retrieval
takes for relevant, the prompt is the one that production sends, letter for letter, and where the
right passage is missing the model learns to say so.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agents.base import Evidence, Task
from agents.care import NO_ANSWER
from agents.citations import CitationChecker, supporting_span
from agents.errors import BrokenFormat
from agents.evidence import CANDIDATES
from agents.hybrid import HybridAgent
from backends.adapters import Adapter, AdapterSpec, AdapterState
from backends.finetune.examples import Example
from backends.generation import GenerationChunk, GenerationRequest
from backends.principals import EVERYONE
from backends.sentences import statements
from router.errors import InvalidRequest
from router.evaluation.benchmark import read_benchmark
from router.evaluation.retrieval import document_id, ingest_corpus, searched_task
from router.evaluation.scratch import gather_statistics, scratch_schema

if TYPE_CHECKING:
    from backends.base import Embedder, Message, Passage, ScoredPassage
    from router.app import Retrieval
    from router.config import Settings
    from router.evaluation.benchmark import Benchmark

    Told: TypeAlias = Callable[[int, int], None]
    Prompt: TypeAlias = tuple[Message, ...]

NOT_FOUND: Final = "no passage with the answer was found"
NOT_SHOWN: Final = "the answer is not in what the model reads"
NOTHING_ELSE: Final = "nothing but the right document was found"
TOO_LONG: Final = "longer than the base reads"

_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question, what answers it, and perhaps the words to answer it with.

    Attributes:
        relevant: Ids of documents; None where the passages that support the answer are the right
            ones.
        answer: "" where sentences of the right passages are quoted.
    """

    id: str
    conversation: tuple[Message, ...]
    relevant: frozenset[str] | None = None
    answer: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Raft:
    """What came of it.

    Attributes:
        examples: Rows to learn.
        evidence: The passages of each row's prompt, as its marks number them.
        refusals: How many of them learn to say that there is no answer.
        dropped: Questions that gave no row, by reason.
    """

    examples: tuple[Example, ...]
    evidence: Mapping[Prompt, tuple[Passage, ...]]
    refusals: int
    dropped: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return it for a report."""
        rows = len(self.examples)
        return {"rows": rows, "refusals": self.refusals, "dropped": dict(self.dropped)}


@dataclass(frozen=True, slots=True)
class Way:
    """How the rows are made.

    Attributes:
        spec: The adapter as it will be registered: its instructions and how it reads passages.
        oracle: Share of rows that have the right passage, 0..1.
        fits: Whether the base can read a row.
    """

    spec: AdapterSpec
    oracle: float
    fits: Callable[[Example], bool]


async def raft(
    corpus: Path, given: Sequence[Example], way: Way, settings: Settings, told: Told
) -> Raft:
    """Make rows of a corpus.

    Args:
        corpus: A folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels.tsv``; or any folder
            of documents, and then the questions and answers are ``given``.

    Raises:
        InvalidRequest: The folder cannot be read, or has no questions and none are given.
        BackendError: The documents cannot be taken in.
    """
    async with _opened(corpus, given, settings) as (retrieval, lessons):
        maker = _Maker(retrieval, way, settings.passages)
        made: list[Example] = []
        evidence: dict[Prompt, tuple[Passage, ...]] = {}
        refusals, dropped = 0, Counter[str]()
        for done, lesson in enumerate(lessons, start=1):
            found = await maker.row(lesson)
            if isinstance(found, Example):
                made.append(found)
                evidence[found.prompt] = maker.evidence
                refusals += found.answer == NO_ANSWER
            else:
                dropped[found] += 1
            told(done, len(lessons))
    return Raft(tuple(made), evidence, refusals, dict(dropped.most_common()))


@asynccontextmanager
async def _opened(
    corpus: Path, given: Sequence[Example], settings: Settings
) -> AsyncIterator[tuple[Retrieval, Sequence[Lesson]]]:
    """Take the corpus into a schema of its own; yield what searches it, and the questions."""
    from router.app import open_retrieval

    benchmark, lessons = _lessons(corpus, given)
    async with scratch_schema(settings) as scratch, open_retrieval(scratch) as retrieval:
        if benchmark is not None:
            await ingest_corpus(benchmark.corpus, retrieval)
        else:
            await _ingest_folder(corpus, retrieval)
        await gather_statistics(scratch)
        yield retrieval, lessons


async def _ingest_folder(corpus: Path, retrieval: Retrieval) -> None:
    from backends.ingest import FolderSource, Wishes, ingest_source

    report = await ingest_source(
        FolderSource([corpus]),
        store=retrieval.store,
        embedder=retrieval.embedder,
        wishes=Wishes(frozenset({EVERYONE}), False, False, False, None),
    )
    if not report.published:
        raise InvalidRequest(f"{corpus} holds no document that can be read.", field="raft")
    await retrieval.store.settle()


def _lessons(corpus: Path, given: Sequence[Example]) -> tuple[Benchmark | None, Sequence[Lesson]]:
    lessons = [_lesson_of_row(one) for one in given]
    if (corpus / "corpus.jsonl").is_file():
        benchmark = read_benchmark(corpus)
        own = [Lesson(q.id, q.conversation, frozenset(q.relevant)) for q in benchmark.queries]
        return benchmark, [*own, *lessons]
    if corpus.is_dir() and lessons:
        return None, lessons
    raise InvalidRequest(
        f"{corpus} gives no questions: it needs corpus.jsonl, queries.jsonl and qrels.tsv, or "
        "DATA with questions whose answers rest on its documents.",
        field="raft",
    )


def _lesson_of_row(example: Example) -> Lesson:
    spoken = tuple(turn for turn in example.prompt if turn.role != "system")
    return Lesson(f"line {example.line}", spoken, None, example.answer, example.line)


class _Maker:
    """Makes one row after the other; ``evidence`` has the passages of the last one."""

    def __init__(self, retrieval: Retrieval, way: Way, passages: int) -> None:
        self._retrieval = retrieval
        self._deep = retrieval.finder(CANDIDATES)
        self._way = way
        self._most = passages
        self.evidence: tuple[Passage, ...] = ()

    async def row(self, lesson: Lesson) -> Example | str:
        """Return a row, or why there is none."""
        task = searched_task(lesson.conversation)
        evidence = await self._deep.find(task, hybrid=False)
        right = [hit for hit in evidence.passages if _is_right(hit.passage, lesson)]
        others = [hit for hit in evidence.passages if not _may_answer(hit, lesson, right)]
        if not right:
            return NOT_FOUND
        with_it = _drawn(lesson.id) < self._way.oracle
        if not with_it and not others:
            return NOTHING_ELSE
        shown = _shown(evidence, right[:1] if with_it else [], others, self._most)
        request = await production_request(task, shown, self._way.spec, self._retrieval.asking)
        self.evidence = request.evidence
        answer = await self._answer(lesson, request, right) if with_it else NO_ANSWER
        if not answer:
            return NOT_SHOWN
        example = Example(request.messages, answer, lesson.line)
        return example if self._way.fits(example) else TOO_LONG

    async def _answer(
        self, lesson: Lesson, request: GenerationRequest, right: Sequence[ScoredPassage]
    ) -> str:
        """Return the answer with its marks, each of them checked as production checks it."""
        read = _flat(" ".join(turn.content for turn in request.messages))
        if lesson.answer:
            return cited(lesson.answer, request.evidence, read)
        ids = {hit.passage.id for hit in right}
        quoted = await _quoted(request, ids, self._retrieval.asking)
        checker = CitationChecker(request.evidence)
        for _ in [*checker.feed(quoted), *checker.close()]:
            pass
        known = all(_flat(one.quote) in read for one in checker.citations)
        return quoted if checker.citations and not checker.removed and known else ""


def cited(answer: str, passages: Sequence[Passage], read: str) -> str:
    """Return an answer with a mark behind each statement that a passage supports; "" if none is.

    Args:
        passages: As the model numbers them.
        read: What it reads of them, on one line; support that it cannot see is none.
    """
    pieces, end, marks = [], 0, 0
    for start, stop in statements(answer):
        for number, passage in enumerate(passages, start=1):
            span = supporting_span(answer[start:stop], passage.text)
            if span is not None and _flat(passage.text[slice(*span)]) in read:
                pieces.append(f"{answer[end:stop]} [{number}]")
                marks, end = marks + 1, stop
                break
    return "".join([*pieces, answer[end:]]) if marks else ""


async def production_request(
    task: Task, evidence: Evidence, spec: AdapterSpec, reader: Embedder
) -> GenerationRequest:
    """Return what the router would send a model for this task: the agent itself writes it."""
    recorder = _Recorder()
    registered = Adapter(spec, 1, AdapterState.CANDIDATE, datetime.now(UTC))
    agent = HybridAgent(recorder)
    answer = agent.answer(replace(task, adapter=spec.name, registered=registered), evidence)
    # The recorder has nothing to say, which an agent may take amiss; by then it has asked.
    with suppress(BrokenFormat):
        async with aclosing(answer) as events:
            async for _ in events:
                pass
    assert recorder.seen is not None, "the agent has asked its generator"
    return recorder.seen


class _Recorder:
    """A `Generator` that keeps what it is asked and says that there is no answer."""

    model = "recorder"

    def __init__(self) -> None:
        self.seen: GenerationRequest | None = None

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationChunk]:
        self.seen = request
        yield GenerationChunk(NO_ANSWER)
        yield GenerationChunk(finish_reason="stop")

    async def complete(self, request: GenerationRequest) -> Any:
        raise NotImplementedError

    async def models(self) -> Any:
        raise NotImplementedError


async def _quoted(request: GenerationRequest, ids: set[Any], reader: Embedder) -> str:
    """Quote the right passages alone, with their numbers among all."""
    from backends.extractive import ExtractiveGenerator

    right = [(number, one) for number, one in enumerate(request.evidence, 1) if one.id in ids]
    alone = replace(
        request, evidence=tuple(one for _, one in right), adapter=None, schema=None, grammar=None
    )
    if not right:
        return ""
    said = (await ExtractiveGenerator(reader).complete(alone)).text
    # From the last to the first, so that no new number is taken for an old one.
    for own, (number, _) in reversed(list(enumerate(right, start=1))):
        said = said.replace(f"[{own}]", f"[\0{number}]")
    return said.replace("\0", "")


def _shown(
    evidence: Evidence,
    right: Sequence[ScoredPassage],
    others: Sequence[ScoredPassage],
    most: int,
) -> Evidence:
    """Keep the order of the search, and the right passage whatever its place."""
    kept = {hit.passage.id for hit in [*right, *others[: most - len(right)]]}
    hits = tuple(hit for hit in evidence.passages if hit.passage.id in kept)
    return replace(evidence, passages=hits, sufficient=True)


def _is_right(passage: Passage, lesson: Lesson) -> bool:
    if lesson.relevant is not None:
        return document_id(passage.source) in lesson.relevant
    return _supports(passage, lesson.answer)


def _may_answer(hit: ScoredPassage, lesson: Lesson, right: Sequence[ScoredPassage]) -> bool:
    """Whether it may not stand among those without the answer: of a right document at all."""
    documents = {one.passage.document_id for one in right}
    return hit.passage.document_id in documents or _is_right(hit.passage, lesson)


def _supports(passage: Passage, answer: str) -> bool:
    return any(
        supporting_span(answer[start:end], passage.text) is not None
        for start, end in statements(answer)
    )


def _flat(text: str) -> str:
    return " ".join(text.split())


def _drawn(name: str) -> float:
    """A number of 0..1 that belongs to a question for good."""
    digest = hashlib.sha256(f"{_SEED}\n{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
