"""The project's own questions as a source of natural language: wishes, sentences, nouns."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

FILES: Final = (
    "seeds_one",
    "seeds_two",
    "seeds_three",
    "seeds_four",
    "seeds_five",
    "seeds_six",
    "seeds_seven",
    "single",
    "triples",
)
"""Those that no measurement of the project is taken on."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_STATEMENT = re.compile(
    r"(?:I|We|The|My|Our|It|There|You|This|That|They|He|She|Your|A|An|All|Every|No|Some|His|Her|"
    r"Their|These|Those|Nobody|Everyone|If|When|After|Before|For|In|On|At|One|Two|"
    r"Each|Both|Most|Many|Only|[A-Z][a-z]+s(?: [a-z]+){0,3} (?:are|have|must|may|can|cannot|need|"
    r"will))(?:'\w+)? [^\"“”„:;{}()\[\]<>|*_/=#]{12,150}\."
)
_NOUN = re.compile(
    r"\b(?:[Tt]he|[Aa]|[Mm]y|[Oo]ur|[Yy]our) ([a-z]{3,14})(?= (?:is|was|of|in|for|on|at|has|from|"
    r"and|that|to|with)\b|[.,?!])"
)
_CREATIVE = re.compile(
    r"\b(?:poem|haiku|song|story|essay|code|python|sql|function|script|javascript|java|translate|"
    r"lyrics|joke|limerick|rap|regex|novel|plot|recipe|quiz|essay|bash|html|css|sonnet|dialogue|"
    r"scene|play|obituary|homework|calculate|brainstorm|slogan|names? for)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is drawn from the questions.

    Attributes:
        wishes: Questions and requests that no skill of the starter model covers.
        creative: Those of them that ask for something no retailer's reply is.
        statements: Single sentences that state something.
        kept_back: As ``statements``, never trained on; for measuring.
        nouns: Words that stand behind an article, frequent ones first.
        topics: Texts, each with what it is about.
        measuring: Whether rows are to measure on: made of nothing that training saw.
    """

    wishes: tuple[str, ...]
    creative: tuple[str, ...]
    statements: tuple[str, ...]
    kept_back: tuple[str, ...]
    nouns: tuple[str, ...]
    topics: tuple[tuple[str, str], ...] = ()
    measuring: bool = False

    def for_measuring(self) -> Corpus:
        """Return it with what was kept back in the place of what is trained on."""
        return replace(self, statements=self.kept_back, measuring=True)


def read_corpus(folder: Path) -> Corpus:
    """Return what the JSON lines of a folder hold under ``text``; see `FILES`.

    Raises:
        FileNotFoundError: One of the files is missing.
    """
    wishes: list[str] = []
    sentences: dict[str, None] = {}
    nouns: Counter[str] = Counter()
    topics: list[tuple[str, str]] = []
    for name in FILES:
        for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            text = " ".join(row["text"].split(" "))
            nouns.update(_NOUN.findall(text))
            if row.get("domain"):
                topics.append((text, row["domain"]))
            if row.get("domain") != "smalltalk":
                wishes.append(text)
            for sentence in _SENTENCE.split(text):
                if _STATEMENT.fullmatch(sentence):
                    sentences[sentence] = None
    statements = [one for one in sentences if not kept_back(one)]
    return Corpus(
        wishes=tuple(wishes),
        creative=tuple(one for one in wishes if _CREATIVE.search(one) and len(one) < 400),
        statements=tuple(statements),
        kept_back=tuple(one for one in sentences if kept_back(one)),
        nouns=tuple(word for word, _ in nouns.most_common(4000)),
        topics=tuple(topics),
    )


def kept_back(text: str) -> bool:
    """Whether a text is for measuring only: one in twenty, the same ones every time."""
    return hashlib.sha256(text.encode()).digest()[0] < 13
