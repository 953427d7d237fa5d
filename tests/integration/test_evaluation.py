"""Retrieval measured on the real parts: right figures, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from agents.evidence import CANDIDATES as FOUND
from backends.base import (
    DocumentId,
    Message,
    Passage,
    PassageId,
    ScoredPassage,
    SearchQuery,
)
from backends.errors import UnreadableDocument
from backends.principals import EVERYONE
from router.app import open_retrieval
from router.cli.boundary import run
from router.config import Settings
from router.evaluation.benchmark import Benchmark, CorpusDocument, Query, Unanswerable
from router.evaluation.report import report
from router.evaluation.retrieval import ask_all, baselines, ingest_corpus, searched_task
from router.evaluation.scratch import PREFIX, scratch_schema
from router.steps import MAX_QUESTION

CORPUS = [
    CorpusDocument("boots", "Returns", "Unworn boots may be returned within 45 days of delivery."),
    CorpusDocument("leave", "Leave", "Employees in France take 25 days of paid leave a year."),
    CorpusDocument("badge.pdf", "Badges", "A lost badge is reported to the front desk at once."),
    CorpusDocument("parking", "Parking", "Visitors park their cars behind the warehouse."),
]
TALK = (
    Message("user", "How many days of paid leave do employees in Spain take?"),
    Message("assistant", "22 days."),
    Message("user", "And in France?"),
)
BENCHMARK = Benchmark(
    name="shop",
    corpus=CORPUS,
    queries=[
        Query("q1", (Message("user", "How long may unworn boots be returned?"),), {"boots": 1.0}),
        Query("q2", TALK, {"leave": 1.0}),
        Query("q3", (Message("user", "Where is a lost badge reported?"),), {"badge.pdf": 1.0}),
    ],
    unanswerable=[
        Unanswerable((Message("user", "Who discovered the rings of Saturn?"),), "far"),
        Unanswerable((Message("user", "How heavy is a blue whale?"),), ""),
    ],
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def settings(home: Path, url: str) -> Settings:
    return Settings(home=home, database_url=SecretStr(url))


def scratch_schemas(url: str) -> list[str]:
    with psycopg.connect(url) as session:
        found = session.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [PREFIX]
        )
        return [row[0] for row in found.fetchall()]


async def test_every_figure_is_there_and_nothing_stays_in_the_database(
    home: Path, database_url: str
) -> None:
    phases = set()

    outcomes = await ask_all(
        BENCHMARK, settings(home, database_url), lambda phase, _, __: phases.add(phase)
    )
    figures = report(BENCHMARK, outcomes)

    assert (figures["n"], figures["documents"], figures["passages"]) == (3, 4, 4)
    for ranker in (figures, *figures["baselines"].values()):
        assert ranker["ndcg_at_10"] == ranker["hit_at_1"] == ranker["recall_at_5"] == 1.0
        assert ranker["mrr_at_10_ci"] == [1.0, 1.0]
    assert figures["baselines"].keys() == {"dense", "bm25", "rrf"}
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    abstention = figures["abstention"]
    assert (abstention["auroc"], abstention["n"]) == (1.0, 2)
    assert abstention["false_answer_rate_at_90_coverage"] == 0.0
    assert abstention["by_kind"].keys() == {"far"}
    assert phases == {"reading", "asking"}
    assert scratch_schemas(database_url) == []


async def test_rankings_are_of_what_the_router_looks_at_and_of_nothing_behind_it(
    home: Path, database_url: str
) -> None:
    corpus = [
        CorpusDocument(f"d{number}", f"Page {number}", f"Boots of kind {number} are brown.")
        for number in range(FOUND + 5)
    ]
    asked = Query("q", (Message("user", "Which boots are brown?"),), {"d1": 1.0})

    outcomes = await ask_all(Benchmark("b", corpus, [asked], []), settings(home, database_url))

    [(_, outcome)] = outcomes.answerable
    assert len(outcome.ranked["system"]) == FOUND


def test_a_huge_question_is_searched_as_the_router_would() -> None:
    task = searched_task([Message("user", "boots " * 20_000)])

    assert len(task.question) < MAX_QUESTION + 10


async def test_documents_are_stored_with_their_sentences_as_any_ingestion_stores_them(
    home: Path, database_url: str
) -> None:
    ours = settings(home, database_url)
    async with scratch_schema(ours) as scratch, open_retrieval(scratch) as retrieval:
        await ingest_corpus(CORPUS, retrieval)
        [vector] = await retrieval.asking.embed(["boots"])
        found = await retrieval.store.search(
            SearchQuery("boots", vector, frozenset({EVERYONE}), limit=4)
        )

    assert len(found) == 4
    assert all(hit.sentences is not None for hit in found)


async def test_a_cancelled_evaluation_leaves_nothing_behind(home: Path, database_url: str) -> None:
    asking = asyncio.Event()

    def seen(phase: str, done: int, total: int) -> None:
        if phase == "asking":
            asking.set()

    task = asyncio.create_task(ask_all(BENCHMARK, settings(home, database_url), seen))
    await asking.wait()
    assert len(scratch_schemas(database_url)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert scratch_schemas(database_url) == []


async def test_a_document_that_cannot_be_ingested_is_named_and_leaves_nothing_behind(
    home: Path, database_url: str
) -> None:
    broken = Benchmark("b", [CorpusDocument("one\ntwo", "", "Boots.")], BENCHMARK.queries, [])

    with pytest.raises(UnreadableDocument, match=r"one\\ntwo"):
        await ask_all(broken, settings(home, database_url))

    assert scratch_schemas(database_url) == []


def test_baselines_rank_documents_by_cosine_by_bm25_and_by_both_ranks() -> None:
    def hit(number: int, document: str, similarity: float, lexical: float) -> ScoredPassage:
        passage = Passage(
            id=PassageId(str(number)),
            document_id=DocumentId(document),
            title="",
            source=f"{document}.txt",
            version=1,
            ordinal=0,
            start=0,
            end=0,
            text="",
        )
        return ScoredPassage(passage, 0.0, similarity, lexical)

    found = [hit(1, "a", 0.2, 9), hit(2, "b", 0.9, 1), hit(3, "a", 0.5, 0), hit(4, "c", 0.7, 0)]

    # Ranks: dense 2, 4, 3, 1 and BM25 1, 2; so passage 2 has 1/61 + 1/62, and 1 has 1/64 + 1/61.
    assert baselines(found) == {
        "dense": ["b", "c", "a"],
        "bm25": ["a", "b"],
        "rrf": ["b", "a", "c"],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = [{"id": one.id, "title": one.title, "text": one.text} for one in CORPUS]
    queries = [
        {
            "id": one.id,
            "messages": [{"role": m.role, "content": m.content} for m in one.conversation],
        }
        for one in BENCHMARK.queries
    ]
    _write(tmp_path / "corpus.jsonl", corpus)
    _write(tmp_path / "queries.jsonl", queries)
    judged = [f"{one.id}\t{document}\t1" for one in BENCHMARK.queries for document in one.relevant]
    (tmp_path / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    return tmp_path


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_the_command_prints_one_object_or_a_table(
    home: Path,
    database_url: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ROUTER_HOME", str(home))
    monkeypatch.setenv("ROUTER_DATABASE_URL", database_url)

    assert run(["eval", "retrieval", str(folder), "--json", "--limit", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert run(["eval", "retrieval", str(folder)]) == 0
    table = capsys.readouterr().out

    assert (figures["n"], figures["hit_at_1"]) == (2, 1.0)
    assert figures["abstention"]["auroc"] is None
    assert "3 questions, 4 documents, 4 passages" in table
    assert "nDCG@10    1.000 [1.000, 1.000]" in table


def test_bad_input_is_one_message_with_file_and_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "queries.jsonl").write_text("{broken")

    assert run(["eval", "retrieval", str(folder)]) == 1
    assert f"{folder}/queries.jsonl:1: this is not JSON" in capsys.readouterr().err
    assert run(["eval", "retrieval", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert (told["code"], told["field"]) == ("invalid_request", "file")
    assert run(["eval", "retrieval", str(folder), "--limit", "0"]) == 2
