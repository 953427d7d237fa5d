"""Reads questions with known documents: a folder in the layout of BEIR (Thakur et al., 2021).

- ``corpus.jsonl``: ``id``, ``title`` and ``text`` of each document;
- ``queries.jsonl``: ``id`` and ``text``, or ``messages`` of a conversation that ends in a question;
- ``qrels.tsv``: a header, then ``query-id``, ``corpus-id``, ``score``, with tabs between;
- ``unanswerable.jsonl``, which may be absent: ``text`` or ``messages``, and perhaps a ``kind``.

``_id`` for ``id`` and ``qrels/test.tsv`` for ``qrels.tsv``, as BEIR itself has it, are read too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from backends.base import Message
from backends.publishing import storable
from router.errors import InvalidRequest

_SEED: Final = 7
_ROLES: Final = frozenset({"system", "user", "assistant"})

_Item = TypeVar("_Item")


class BadBenchmark(InvalidRequest):
    """A file is missing or is not what it should be; the message names file and line."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}", field="folder")


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
        raise BadBenchmark(str(folder), "there is no such folder")
    corpus = _corpus(folder / "corpus.jsonl")
    asked = _queries(queries or folder / "queries.jsonl", {one.id for one in corpus}, folder)
    own = folder / "unanswerable.jsonl"
    given = ([own] if own.exists() else []) + list(unanswerable)
    without = {one.conversation: one for path in given for one in _unanswerable(path)}
    return Benchmark(folder.resolve().name, corpus, asked, list(without.values()))


def sampled(benchmark: Benchmark, limit: int) -> Benchmark:
    """Return it with at most ``limit`` questions of each sort, always the same ones."""
    chosen = random.Random(_SEED)  # noqa: S311 - a seeded sample, not a secret

    def some(items: Sequence[_Item]) -> Sequence[_Item]:
        kept = sorted(chosen.sample(range(len(items)), min(limit, len(items))))
        return [items[place] for place in kept]

    return replace(
        benchmark, queries=some(benchmark.queries), unanswerable=some(benchmark.unanswerable)
    )


def _corpus(path: Path) -> Sequence[CorpusDocument]:
    found: dict[str, CorpusDocument] = {}
    for where, row in _rows(path):
        identity = _id(where, row)
        if identity in found:
            raise BadBenchmark(where, f"the id {identity!r} occurs twice")
        title, text = _text(where, row, "title"), _text(where, row, "text")
        if not (title + text).strip():
            raise BadBenchmark(where, "the document has neither title nor text")
        found[identity] = CorpusDocument(identity, title, text if text.strip() else title)
    if not found:
        raise BadBenchmark(str(path), "there are no documents in it")
    return list(found.values())


def _queries(path: Path, documents: set[str], folder: Path) -> Sequence[Query]:
    found: dict[str, Query] = {}
    judged_here = False
    for where, row in _rows(path):
        identity = _id(where, row)
        if identity in found:
            raise BadBenchmark(where, f"the id {identity!r} occurs twice")
        own = _relevant_docs(where, row, documents)
        judged_here = judged_here or bool(own)
        found[identity] = Query(identity, _conversation(where, row), own)
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
    for number, line in _lines(path):
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
    for where, row in _rows(path):
        kind = _text(where, row, "kind") or _text(where, row, "source")
        yield Unanswerable(_conversation(where, row), kind)


def _conversation(where: str, row: Mapping[str, Any]) -> tuple[Message, ...]:
    turns = row.get("messages")
    if turns is None or turns == []:
        text = _text(where, row, "text")
        if not text.strip():
            raise BadBenchmark(where, "there is neither text nor messages")
        return (Message("user", text),)
    if not isinstance(turns, list):
        raise BadBenchmark(where, "messages must be a list")
    conversation = tuple(_message(where, turn) for turn in turns)
    if conversation[-1].role != "user" or not conversation[-1].content.strip():
        raise BadBenchmark(where, "the last message must be the user's question")
    return conversation


def _message(where: str, turn: object) -> Message:
    if isinstance(turn, dict):
        role, content = turn.get("role"), turn.get("content")
        if role in _ROLES and isinstance(content, str):
            return Message(role, _storable(where, "a message", content))
    raise BadBenchmark(
        where, "a message needs a role (system, user or assistant) and a content that is text"
    )


def _id(where: str, row: Mapping[str, Any]) -> str:
    identity = row.get("id", row.get("_id"))
    if not isinstance(identity, str) or not identity.strip():
        raise BadBenchmark(where, "the row has no id")
    return _storable(where, "the id", identity)


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadBenchmark(where, f"{name} must be text")
    return _storable(where, name, value)


def _storable(where: str, what: str, text: str) -> str:
    if not storable(text):
        raise BadBenchmark(where, f"{what} holds NUL characters or broken Unicode")
    return text


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadBenchmark(where, f"this is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadBenchmark(where, "a line must be a JSON object")
        yield where, row


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise BadBenchmark(str(path), f"cannot be read ({reason})") from error
    except UnicodeDecodeError as error:
        raise BadBenchmark(str(path), "is not UTF-8 text") from error
