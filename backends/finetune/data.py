"""Checks chat data before anything is trained, and tells all that it found at once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backends.base import Message
from backends.finetune.examples import Example, Problem, as_json, normalised, read_examples
from backends.finetune.lengths import CountTokens, histogram
from backends.finetune.secrecy import addresses, concealed, secrets

FEW: Final = 50
"""Below this many rows little is learnt, and what was learnt can hardly be measured."""

MAX_LABEL: Final = 60
"""Characters of an answer that may be one of a few, instead of a text."""

_RARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Rules:
    """What rows must satisfy.

    Attributes:
        context: Tokens that the base reads.
        count_tokens: By the base's tokenizer.
        fits: Says in a few words how an answer breaks the form that it must have, else "".
        control: What the base's tokenizer reads as marks of the conversation; no text may hold it.
        one_system: In service the instructions are the same for all, so they should be here.
    """

    context: int
    count_tokens: CountTokens
    fits: Callable[[str], str] = lambda answer: ""
    control: tuple[str, ...] = ()
    one_system: bool = True


@dataclass(frozen=True, slots=True)
class Findings:
    """What checking found.

    Attributes:
        rows: Lines that hold something, whatever their faults.
        examples: What is left to learn from, each once, in the file's order.
        test: The rows of ``--test``, likewise; empty where none were given.
        lengths: Tokens of each row that could be read.
        labels: How often each label comes, where answers are one of a few or rows name a label.
        problems: By line.
    """

    rows: int
    examples: tuple[Example, ...]
    test: tuple[Example, ...] = ()
    lengths: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def fatal(self) -> bool:
        """Whether nothing may be trained on this."""
        return any(problem.weight == "fatal" for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Return everything but the rows themselves."""
        return {
            "rows": self.rows,
            "examples": len(self.examples),
            "test": len(self.test),
            "data_hash": data_hash(self.examples),
            "tokens": [
                {"from": low, "to": high, "rows": rows}
                for low, high, rows in histogram(self.lengths)
            ],
            "labels": dict(self.labels),
            "problems": [
                {"line": one.line, "kind": one.kind, "detail": one.detail, "weight": one.weight}
                for one in self.problems
            ],
        }


def examine(path: Path, rules: Rules, *, test: Path | None = None, system: str = "") -> Findings:
    """Read and check a file of chat data.

    Args:
        test: Rows that measure and must not train; those of ``path`` may not be among them.
        system: Goes in front of rows that have no instructions of their own.

    Raises:
        Refused: A file cannot be opened.
    """
    found = _Found(rules)
    examples = found.read(read_examples(path), system)
    measuring: list[Example] = []
    if test is not None:
        of_test = _Found(rules)
        measuring = of_test.read(read_examples(test), system)
        found.problems += (_of_test(one) for one in of_test.problems)
        found.problems += _leaked(examples, measuring)
        if not measuring:
            found.problems.append(Problem(None, "no test rows", f"{test} holds no row to read"))
    labels = label_counts(examples)
    found.problems += _about_all(found, examples, labels)
    ordered = sorted(found.problems, key=lambda one: (one.line or 0, one.kind))
    return Findings(
        found.rows, tuple(examples), tuple(measuring), tuple(found.lengths), labels, tuple(ordered)
    )


def label_counts(examples: Sequence[Example]) -> Mapping[str, int]:
    """Count labels, the most frequent first; empty where answers are texts of their own.

    A label that is a secret or an address is counted under its first letters.
    """
    if any(example.label for example in examples):
        named = Counter(concealed(example.label or "(none)") for example in examples)
        return dict(named.most_common())
    answers = Counter(example.answer.strip() for example in examples)
    few = len(answers) <= max(2, min(50, len(examples) // 4))
    if not few or any(len(answer) > MAX_LABEL for answer in answers):
        return {}
    return dict(Counter(map(concealed, answers.elements())).most_common())


def data_hash(examples: Iterable[Example]) -> str:
    """Name a set of rows by its content: ``sha256:…``."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(as_json(example), sort_keys=True).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


class _Found:
    """Gathers what is wrong while rows go by."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._exact: dict[tuple[tuple[Message, ...], str], int] = {}
        self._alike: dict[tuple[str, str], int] = {}
        self._answered: dict[tuple[Message, ...], tuple[int, str]] = {}
        self.rows = 0
        self.repeated = 0
        self.lengths: list[int] = []
        self.problems: list[Problem] = []

    def read(self, rows: Iterable[Example | Problem], system: str) -> list[Example]:
        """Return what can be learnt from, each once."""
        kept = []
        for row in rows:
            self.rows += 1
            if isinstance(row, Problem):
                self.problems.append(row)
                continue
            example = row.instructed(system)
            self.problems += self._of_one(example)
            if (again := self._repeats(example)) is None:
                kept.append(example)
            else:
                self.repeated += 1
                self.problems.append(again)
        return kept

    def _of_one(self, example: Example) -> Iterator[Problem]:
        turns = [*example.prompt, Message("assistant", example.answer)]
        length = self.rules.count_tokens(turns)
        self.lengths.append(length)
        if length > self.rules.context:
            detail = f"{length:,} tokens, and the base reads {self.rules.context:,}"
            yield Problem(example.line, "longer than the context", detail)
        if broken := self.rules.fits(example.answer):
            yield Problem(example.line, "broken format", broken)
        text = "\n".join(turn.content for turn in turns)
        for token in self.rules.control:
            if token in text:
                detail = f"{token} is a mark between turns to the base, not a text"
                yield Problem(example.line, "control token", detail)
        for secret in dict.fromkeys(secrets(text)):
            yield Problem(example.line, "secret", f"{secret}; models repeat what they have read")
        for address in dict.fromkeys(addresses(text)):
            yield Problem(example.line, "e-mail address", address, "warning")

    def _repeats(self, example: Example) -> Problem | None:
        exact = (example.prompt, example.answer)
        alike = (
            normalised("\n".join(turn.content for turn in example.prompt)),
            normalised(example.answer),
        )
        if (first := self._exact.setdefault(exact, example.line)) != example.line:
            return Problem(example.line, "duplicate", f"the same as line {first}", "warning")
        if any(alike) and (first := self._alike.setdefault(alike, example.line)) != example.line:
            detail = f"the same words as line {first}"
            return Problem(example.line, "duplicate", detail, "warning")
        before, answer = self._answered.setdefault(example.prompt, (example.line, example.answer))
        if answer != example.answer:
            detail = f"line {before} answers the same otherwise"
            self.problems.append(Problem(example.line, "contradiction", detail, "warning"))
        return None


def _about_all(
    found: _Found, examples: Sequence[Example], labels: Mapping[str, int]
) -> Iterator[Problem]:
    if not examples:
        if not found.problems:
            yield Problem(None, "no rows", "the file is empty")
        return
    if len(examples) == 1:
        kind = "all duplicates" if found.repeated else "one row"
        yield Problem(None, kind, "there is one row to learn from, and none to measure on")
    elif len(examples) < FEW:
        detail = f"{len(examples)} rows; with fewer than {FEW} little can be learnt or measured"
        yield Problem(None, "few rows", detail, "warning")
    instructions = {one.prompt[0].content for one in examples if one.prompt[0].role == "system"}
    if len(instructions) > 1 and found.rules.one_system:
        detail = f"{len(instructions)} different ones; in service there is one, --system names it"
        yield Problem(None, "system messages", detail, "warning")
    most = max(labels.values(), default=0)
    for label, rows in labels.items():
        if rows < _RARE * most:
            detail = f"{label[:MAX_LABEL]!r} comes {rows} times, the most frequent label {most}"
            yield Problem(None, "rare label", detail, "warning")


def _leaked(examples: Sequence[Example], test: Sequence[Example]) -> Iterator[Problem]:
    """What is measured on must not have been learnt; the answer makes no difference."""
    lines: dict[str, list[int]] = defaultdict(list)
    for one in test:
        lines[normalised(one.asked)].append(one.line)
    for example in examples:
        if asked := normalised(example.asked):
            for line in lines.get(asked, ())[:1]:
                yield Problem(example.line, "leaked test row", f"asks what test line {line} asks")


def _of_test(problem: Problem) -> Problem:
    return Problem(problem.line, f"test: {problem.kind}", problem.detail, problem.weight)
