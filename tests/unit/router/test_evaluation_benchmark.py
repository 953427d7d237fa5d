"""Reading questions with known documents: what is understood, and what is refused by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.base import Message
from router.evaluation.benchmark import Unanswerable, read_benchmark, sampled
from router.evaluation.lines import BadBenchmark

CORPUS = [
    {"id": "d1", "title": "Boots", "text": "Boots may be returned within 45 days."},
    {"id": "d2", "title": "Hats", "text": ""},
]
QUERIES: list[dict[str, Any]] = [
    {"id": "q1", "text": "How long may boots be returned?"},
    {"id": "q2", "messages": [{"role": "user", "content": "And hats?"}]},
    {"id": "q3", "text": "Judged by nobody"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n"


def folder(
    at: Path,
    *,
    corpus: Sequence[object] = CORPUS,
    queries: Sequence[object] = QUERIES,
    qrels: str = QRELS,
) -> Path:
    """A folder that is right but for what the test says."""
    rows(at / "corpus.jsonl", corpus)
    rows(at / "queries.jsonl", queries)
    (at / "qrels.tsv").write_text(qrels, encoding="utf-8")
    return at


def rows(path: Path, content: Sequence[object]) -> Path:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in content]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_queries_come_with_their_gains_and_unjudged_ones_are_left_out(tmp_path: Path) -> None:
    benchmark = read_benchmark(folder(tmp_path))

    assert [(one.id, one.relevant) for one in benchmark.queries] == [
        ("q1", {"d1": 2.0}),
        ("q2", {"d2": 1.0}),
    ]
    assert benchmark.queries[1].conversation == (Message("user", "And hats?"),)
    assert benchmark.corpus[1].text == "Hats"
    assert benchmark.unanswerable == []


def test_names_as_the_original_benchmark_has_them_are_understood(tmp_path: Path) -> None:
    folder(tmp_path, corpus=[{"_id": "d1", "text": "Boots"}], queries=[{"_id": "q1", "text": "?"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels.tsv").unlink()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\r\nq1\td1\t1\r\n")

    assert read_benchmark(tmp_path).queries[0].relevant == {"d1": 1.0}


def test_queries_of_another_file_may_name_their_documents_themselves(tmp_path: Path) -> None:
    given = [
        {"id": "h1", "text": "Hats?", "relevant_doc": "d2"},
        {"id": "h2", "text": "All?", "relevant_doc": ["d1", "d2"]},
    ]
    other = rows(tmp_path / "other.jsonl", given)
    folder(tmp_path)
    (tmp_path / "qrels.tsv").unlink()

    asked = read_benchmark(tmp_path, queries=other).queries

    assert [one.relevant for one in asked] == [{"d2": 1.0}, {"d1": 1.0, "d2": 1.0}]


def test_a_question_that_is_given_twice_counts_once_as_the_last_file_says(tmp_path: Path) -> None:
    rows(
        folder(tmp_path) / "unanswerable.jsonl", [{"text": "Who?", "source": "own"}, {"text": "X"}]
    )
    more = rows(tmp_path / "more.jsonl", [{"text": "Who?", "messages": None, "kind": "near"}])

    found = read_benchmark(tmp_path, unanswerable=[more]).unanswerable

    assert found == [
        Unanswerable((Message("user", "Who?"),), "near"),
        Unanswerable((Message("user", "X"),), ""),
    ]


def test_a_sample_is_the_same_each_time_and_never_larger_than_what_there_is(
    tmp_path: Path,
) -> None:
    many = [{"id": f"q{n}", "text": f"{n}?", "relevant_doc": "d1"} for n in range(50)]
    benchmark = read_benchmark(folder(tmp_path, queries=many))

    few = sampled(benchmark, 5).queries

    assert len(few) == 5
    assert few == sampled(benchmark, 5).queries
    assert sampled(benchmark, 500).queries == benchmark.queries


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"corpus": [CORPUS[0], "{"]}, "corpus.jsonl:2: this is not JSON"),
        ({"corpus": ["[]"]}, "corpus.jsonl:1: a line must be a JSON object"),
        ({"corpus": ["", {"title": "Boots"}]}, "corpus.jsonl:2: the row has no id"),
        ({"corpus": [{"id": "d1"}]}, "corpus.jsonl:1: the document has neither title nor text"),
        ({"corpus": [*CORPUS, CORPUS[0]]}, "corpus.jsonl:3: the id 'd1' occurs twice"),
        ({"corpus": [{"id": "d", "text": "\0"}]}, "corpus.jsonl:1: text holds NUL characters"),
        ({"corpus": [{"id": "d", "text": 7}]}, "corpus.jsonl:1: text must be text"),
        ({"corpus": []}, "corpus.jsonl: there are no documents in it"),
        ({"queries": []}, "qrels.tsv:2: no query has the id 'q1'"),
        ({"queries": [{"id": "q1"}]}, "queries.jsonl:1: there is neither text nor messages"),
        (
            {"queries": [{"id": "q1", "messages": [{"role": "assistant", "content": "Hi"}]}]},
            "queries.jsonl:1: the last message must be the user's question",
        ),
        (
            {"queries": [{"id": "q1", "messages": [{"role": "user"}]}]},
            "queries.jsonl:1: a message needs a role",
        ),
        (
            {"queries": [{"id": "q1", "text": "?", "relevant_doc": "d9"}]},
            "queries.jsonl:1: no document of the corpus has the id 'd9'",
        ),
        ({"qrels": "q1\td9\t1"}, "qrels.tsv:1: no document of the corpus has the id 'd9'"),
        ({"qrels": QRELS + "q1 d1 1"}, "qrels.tsv:5: a line is query-id, corpus-id, score"),
        ({"qrels": "q1\td1\tyes"}, "qrels.tsv:1: the score 'yes' is not a whole number"),
        ({"qrels": "q1\td1\t0"}, "queries.jsonl: there are no queries in it"),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_line(
    tmp_path: Path, wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadBenchmark) as raised:
        read_benchmark(folder(tmp_path, **wrong))

    assert str(raised.value).startswith(f"{tmp_path}/{told}")


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    (folder(tmp_path) / missing).unlink()

    with pytest.raises(BadBenchmark, match=f"{missing}: cannot be read .no such file"):
        read_benchmark(tmp_path)


def test_a_folder_in_place_of_questions_without_an_answer_is_named(tmp_path: Path) -> None:
    (folder(tmp_path) / "unanswerable.jsonl").mkdir()

    with pytest.raises(BadBenchmark, match=r"unanswerable\.jsonl: cannot be read"):
        read_benchmark(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadBenchmark, match="nowhere: there is no such folder"):
        read_benchmark(tmp_path / "nowhere")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (folder(tmp_path) / "corpus.jsonl").write_bytes(b'{"id": "\xff"}')

    with pytest.raises(BadBenchmark, match=r"corpus\.jsonl: is not UTF-8 text"):
        read_benchmark(tmp_path)
