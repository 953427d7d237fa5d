"""Questions whose evidence is known to be enough, or not, out of the public data.

Each block is one kind of question asked of one corpus. What no document holds comes four ways: near
misses written by people, questions on other subjects, questions whose own article is hidden, and
our own about the sample company.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.principals import EVERYONE, Principals, asker
from router.tuning.evidence_corpus import Corpus, Text, build

if TYPE_CHECKING:
    from backends.base import Vectors
    from backends.minilm.encoder import Encoder
    from router.tuning.evidence_corpus import Mask

SQUAD, STAFF, COMPANY = "squad", "handbook", "company"
_OTHER_SUBJECTS = ("nq-open", "banking77", "dstc11-faq", "medquad", "webquestions")
_FOLDS_OF_UNGROUPED = 16
_HANDBOOK = Path("router/demo/handbook")
_COMPANY_QUESTIONS = Path("tests/data/sample_company_questions.jsonl")


@dataclass(frozen=True, slots=True)
class Block:
    """Questions of one kind.

    Attributes:
        name: What it is called in the report.
        corpus: Which corpus they are asked of.
        texts: The questions.
        relevant: Id of the document that answers, for each; empty where none does.
        groups: What must not be split between fitting and testing, for each question.
        weight: Of each row in the fit; 0 keeps a block for measuring only.
        visible: Which passages each may find; None for all.
    """

    name: str
    corpus: str
    texts: Sequence[str]
    relevant: Sequence[str]
    groups: Sequence[str]
    weight: float
    visible: Mask | None = None

    @property
    def answerable(self) -> list[bool]:
        """Whether a visible document answers, for each question."""
        return [bool(one) for one in self.relevant]


def corpora(encoder: Encoder, data: Path) -> dict[str, Corpus]:
    """Read and embed the three corpora; a minute or two.

    Raises:
        OSError: A file of the data is not there.
    """
    squad = _rows(data / "retrieval" / "squad2" / "corpus.jsonl")
    staff = _rows(data / "handbook" / "corpus.jsonl")
    return {
        SQUAD: build(encoder, [Text(r["id"], r["title"], r["text"], r["title"]) for r in squad]),
        STAFF: build(encoder, [Text(r["id"], r["title"], r["text"], r["id"]) for r in staff]),
        COMPANY: build(encoder, [text for text, _ in _company()]),
    }


def blocks(corpora: dict[str, Corpus], data: Path) -> list[Block]:
    """Read every kind of question.

    Raises:
        OSError: A file of the data is not there.
    """
    squad = data / "retrieval" / "squad2"
    asked, near = _rows(squad / "queries.jsonl"), _rows(squad / "unanswerable.jsonl")
    right = dict(line.split("\t")[:2] for line in _lines(squad / "qrels.tsv")[1:])
    headings = _rows(data / "handbook" / "heading_questions.jsonl")
    other = [
        row
        for row in _rows(data / "routing" / "train_ok.jsonl")
        if row["source"] in _OTHER_SUBJECTS
    ]
    unknown = [
        row
        for row in _rows(data / "retrieval" / "unanswerable.jsonl")
        if row["kind"] == "no_known_answer"
    ]
    titles = [row["title"] for row in asked]
    hidden = [at for at in range(len(asked)) if at % 3 == 0]
    return [
        Block("squad", SQUAD, _texts(asked), [right[r["id"]] for r in asked], titles, 1),
        _unanswered("near miss", SQUAD, near, [row["title"] for row in near], 1),
        Block(
            "article hidden",
            SQUAD,
            [asked[at]["text"] for at in hidden],
            [""] * len(hidden),
            [titles[at] for at in hidden],
            0.7,
            _without(corpora[SQUAD], [titles[at] for at in hidden]),
        ),
        _unanswered("other subjects", SQUAD, other, _spread(other, "o"), 0.7),
        _unanswered("headings of squad", SQUAD, headings, _spread(headings, "h"), 0.7),
        _unanswered("other of handbook", STAFF, other, _spread(other, "o"), 0.7),
        _unanswered("squad of handbook", STAFF, asked[::5], titles[::5], 0.7),
        Block(
            "handbook",
            STAFF,
            _texts(headings),
            [row["relevant_doc"] for row in headings],
            _spread(headings, "h"),
            3,
        ),
        _company_block(corpora[COMPANY]),
        _unanswered("no known answer", SQUAD, unknown, _spread(unknown, "u"), 0),
    ]


def embedded(encoder: Encoder, block: Block) -> Vectors:
    """Embed the questions of a block."""
    return encoder.encode(block.texts)


def _unanswered(
    name: str, corpus: str, rows: Sequence[dict[str, Any]], groups: Sequence[str], weight: float
) -> Block:
    return Block(name, corpus, _texts(rows), [""] * len(rows), groups, weight)


def _company() -> list[tuple[Text, Principals]]:
    """The sample company's documents and who may see each."""
    from backends.ingest.read import read_document

    found = []
    for path in sorted(_HANDBOOK.glob("*.md")):
        read = read_document(path.name, path.read_bytes())
        acl = frozenset({EVERYONE}) if read.acl is None else read.acl
        found.append((Text(path.name, read.title, read.body, path.name), acl))
    return found


def _company_block(corpus: Corpus) -> Block:
    import numpy as np

    rows = _rows(_COMPANY_QUESTIONS)
    acl = {text.id: readers for text, readers in _company()}
    visible = np.array(
        [[bool(acl[p.source] & asker(row["principal"])) for p in corpus.passages] for row in rows]
    )
    groups = [
        row["source"] or name for row, name in zip(rows, _spread(rows, "company"), strict=True)
    ]
    return Block(
        "company",
        COMPANY,
        [r["question"] for r in rows],
        [r["source"] or "" for r in rows],
        groups,
        6,
        visible,
    )


def _without(corpus: Corpus, groups: Sequence[str]) -> Mask:
    import numpy as np

    hidden: Mask = np.array(groups)[:, None] != np.array(corpus.groups)[None, :]
    return hidden


def _spread(rows: Sequence[object], name: str) -> list[str]:
    """Groups for rows that have none of their own."""
    return [f"{name}{at % _FOLDS_OF_UNGROUPED}" for at in range(len(rows))]


def _texts(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
