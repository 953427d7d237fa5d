"""Reads questions with known documents: a folder in the layout of BEIR (Thakur et al., 2021).

- ``corpus.jsonl``: ``id``, ``title`` and ``text`` of each document;
- ``queries.jsonl``: ``id`` and ``text``, or ``messages`` of a conversation that ends in a question;
- ``qrels.tsv``: a header, then ``query-id``, ``corpus-id``, ``score``, with tabs between;
- ``unanswerable.jsonl``, which may be absent: ``text`` or ``messages``, and perhaps a ``kind``.

``_id`` for ``id`` and ``qrels/test.tsv`` for ``qrels.tsv``, as BEIR itself has it, are read too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.base import Message
from router.evaluation.lines import (
    BadBenchmark,
    checked,
    read_conversation,
    read_lines,
    read_objects,
    read_text,
    some_of,
)


@dataclass(frozen=True, slots=True)
class CorpusDocument:
    """One document; the text is never empty."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question and the documents that answer it, each with its gain, over 0."""

    id: str
    conversation: tuple[Message, ...]
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A question that no document answers."""

    conversation: tuple[Message, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Documents, and questions with and without an answer in them."""

    name: str
    corpus: Sequence[CorpusDocument]
    queries: Sequence[Query]
    unanswerable: Sequence[Unanswerable]


def read_benchmark(
    folder: Path, *, queries: Path | None = None, unanswerable: Sequence[Path] = ()
) -> Benchmark:
    """Read a folder. Queries that no document is relevant to are left out.

    Args:
        queries: Read instead of ``queries.jsonl``; its rows may name their documents themselves, as
            ``relevant_doc``, an id or a list of them, and then need no qrels.
        unanswerable: Read beside the folder's own; a question that occurs twice counts once, as
            what the last file says that it is.

    Raises:
        BadBenchmark: A file is missing or is not what it should be.
    """
    if not folder.is_dir():
        raise BadBenchmark(str(folder), "there is no such folder", field="folder")
    corpus = _corpus(folder / "corpus.jsonl")
    asked = _queries(queries or folder / "queries.jsonl", {one.id for one in corpus}, folder)
    own = folder / "unanswerable.jsonl"
    given = ([own] if own.exists() else []) + list(unanswerable)
    without = {one.conversation: one for path in given for one in _unanswerable(path)}
    return Benchmark(folder.resolve().name, corpus, asked, list(without.values()))


def sampled(benchmark: Benchmark, limit: int) -> Benchmark:
    """Return it with at most ``limit`` questions of each sort, always the same ones."""
    return replace(
        benchmark,
        queries=some_of(benchmark.queries, limit),
        unanswerable=some_of(benchmark.unanswerable, limit),
    )


def _corpus(path: Path) -> Sequence[CorpusDocument]:
    found: dict[str, CorpusDocument] = {}
    for where, row in read_objects(path):
        identity = _id(where, row)
        if identity in found:
            raise BadBenchmark(where, f"the id {identity!r} occurs twice")
        title, text = read_text(where, row, "title"), read_text(where, row, "text")
        if not (title + text).strip():
            raise BadBenchmark(where, "the document has neither title nor text")
        found[identity] = CorpusDocument(identity, title, text if text.strip() else title)
    if not found:
        raise BadBenchmark(str(path), "there are no documents in it")
    return list(found.values())


def _queries(path: Path, documents: set[str], folder: Path) -> Sequence[Query]:
    found: dict[str, Query] = {}
    judged_here = False
    for where, row in read_objects(path):
        identity = _id(where, row)
        if identity in found:
            raise BadBenchmark(where, f"the id {identity!r} occurs twice")
        own = _relevant_docs(where, row, documents)
        judged_here = judged_here or bool(own)
        found[identity] = Query(identity, read_conversation(where, row), own)
    if not judged_here:
        judged = _judgements(folder, found.keys().__contains__, documents)
        found = {name: replace(one, relevant=judged.get(name, {})) for name, one in found.items()}
    kept = [one for one in found.values() if one.relevant]
    if not kept:
        raise BadBenchmark(str(path), "there are no queries in it that a document is relevant to")
    return kept


def _relevant_docs(where: str, row: Mapping[str, Any], documents: set[str]) -> Mapping[str, float]:
    named = row.get("relevant_doc") or []
    ids = [named] if isinstance(named, str) else named
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise BadBenchmark(where, "relevant_doc must be an id or a list of ids")
    for one in ids:
        if one not in documents:
            raise BadBenchmark(where, f"no document of the corpus has the id {one!r}")
    return dict.fromkeys(ids, 1.0)


def _judgements(
    folder: Path, is_query: Callable[[str], bool], documents: set[str]
) -> Mapping[str, Mapping[str, float]]:
    path = folder / "qrels.tsv"
    if not path.exists() and (folder / "qrels" / "test.tsv").is_file():
        path = folder / "qrels" / "test.tsv"
    found: dict[str, dict[str, float]] = {}
    for number, line in read_lines(path):
        where, fields = f"{path}:{number}", line.split("\t")
        if number == 1 and fields[0] == "query-id":
            continue
        if len(fields) != 3:
            raise BadBenchmark(where, "a line is query-id, corpus-id, score, with tabs between")
        query, document, gain = fields[0], fields[1], _gain(where, fields[2])
        if not is_query(query):
            raise BadBenchmark(where, f"no query has the id {query!r}")
        if document not in documents:
            raise BadBenchmark(where, f"no document of the corpus has the id {document!r}")
        if gain > 0:
            found.setdefault(query, {})[document] = gain
    return found


def _gain(where: str, text: str) -> float:
    try:
        return float(int(text))
    except ValueError as error:
        raise BadBenchmark(where, f"the score {text!r} is not a whole number") from error


def _unanswerable(path: Path) -> Iterator[Unanswerable]:
    for where, row in read_objects(path):
        kind = read_text(where, row, "kind") or read_text(where, row, "source")
        yield Unanswerable(read_conversation(where, row), kind)


def _id(where: str, row: Mapping[str, Any]) -> str:
    identity = row.get("id", row.get("_id"))
    if not isinstance(identity, str) or not identity.strip():
        raise BadBenchmark(where, "the row has no id")
    return checked(where, "the id", identity)
