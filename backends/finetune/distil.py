"""Takes the answers of a larger model as what is to be learnt (Hinton et al. 2015; on sequences,
Kim and Rush 2016), and keeps those that hold up.

Answers go into a file as they come, so that a run that ends in between goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from backends.errors import BackendError, Garbled, Refused
from backends.finetune.examples import Example
from backends.generation import GenerationRequest, Generator, Sampling

CONCURRENT: Final = 8
"""Questions that the teacher has at a time."""

EMPTY: Final = "said nothing"
CUT_OFF: Final = "cut off at its limit"
REFUSED: Final = "refused by the teacher"

Doubt: TypeAlias = Callable[[Example], str]
"""Says in a few words why an answer is not to be learnt, else ""; the same words for the same."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """What the teacher gave.

    Attributes:
        examples: With its answers, in the order of the rows asked.
        dropped: How many were left out, by reason.
        remembered: Answers that an earlier run had brought.
    """

    examples: tuple[Example, ...]
    dropped: Mapping[str, int]
    asked: int
    remembered: int

    def as_json(self) -> dict[str, Any]:
        """Return it for a report."""
        return {
            "asked": self.asked,
            "remembered": self.remembered,
            "kept": len(self.examples),
            "dropped": dict(self.dropped),
        }


@dataclass(frozen=True, slots=True)
class Teaching:
    """How the teacher is asked.

    Attributes:
        schema: JSON schema that its answers shall satisfy.
        max_tokens: Of one answer.
        cache: File that answers are kept in.
        doubt: What is asked of each answer.
    """

    cache: Path
    doubt: Doubt
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024


async def distil(
    examples: Sequence[Example],
    teacher: Generator,
    teaching: Teaching,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Distilled:
    """Ask the teacher every prompt and keep the answers that nothing speaks against.

    Args:
        told: Is told how many answers there are, and how many there will be.

    Raises:
        Unavailable: The teacher does not answer; what it has said is kept for the next run.
    """
    known = await asyncio.to_thread(_remembered, teaching.cache)
    marks = [_mark(teacher.model, one, teaching) for one in examples]
    missing = {mark: one for mark, one in zip(marks, examples, strict=True) if mark not in known}
    remembered = len(set(marks)) - len(missing)
    await _ask(missing, teacher, teaching, known, told)
    kept, dropped = [], Counter[str]()
    for mark, example in zip(marks, examples, strict=True):
        answered = replace(example, answer=known[mark]["answer"].strip())
        reason = _fault(known[mark]) or teaching.doubt(answered)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(answered)
    return Distilled(tuple(kept), dict(dropped.most_common()), len(examples), remembered)


_Answer: TypeAlias = Mapping[str, str]


async def _ask(
    missing: Mapping[str, Example],
    teacher: Generator,
    teaching: Teaching,
    known: dict[str, _Answer],
    told: Callable[[int, int], None],
) -> None:
    waiting = list(missing.items())[::-1]
    total, done = len(waiting), 0

    async def work() -> None:
        nonlocal done
        while waiting:
            mark, example = waiting.pop()
            known[mark] = await _answer(example, teacher, teaching)
            line = json.dumps({"mark": mark, **known[mark]}) + "\n"
            with teaching.cache.open("a", encoding="utf-8") as file:
                file.write(line)
            done += 1
            told(done, total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENT, total)):
                group.create_task(work())
    except* BackendError as failures:
        raise _first(failures) from failures


async def _answer(example: Example, teacher: Generator, teaching: Teaching) -> _Answer:
    request = GenerationRequest(
        messages=example.prompt,
        question=example.prompt[-1].content,
        sampling=Sampling(max_tokens=teaching.max_tokens, temperature=0.0),
        schema=teaching.schema,
    )
    try:
        said = await teacher.complete(request)
    except (Refused, Garbled) as error:
        # One prompt that it will not take must not cost all the others, a wrong name must.
        if isinstance(error, Refused) and error.status in (401, 403, 404):
            raise
        return {"answer": "", "finish": "refused"}
    return {"answer": said.text, "finish": said.finish_reason}


def _fault(said: _Answer) -> str:
    if said["finish"] == "refused":
        return REFUSED
    if said["finish"] == "length":
        return CUT_OFF
    return "" if said["answer"].strip() else EMPTY


def _remembered(cache: Path) -> dict[str, _Answer]:
    """Read what earlier runs were told; a line that was cut by their end is left out."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    if not cache.exists():
        return {}
    known: dict[str, _Answer] = {}
    with cache.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
                known[row["mark"]] = {"answer": row["answer"], "finish": row["finish"]}
            except (ValueError, KeyError, TypeError):
                continue
    return known


def _mark(model: str, example: Example, teaching: Teaching) -> str:
    asked = [asdict(turn) for turn in example.prompt]
    whole = json.dumps([model, asked, teaching.schema, teaching.max_tokens], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _first(failures: BaseExceptionGroup[BackendError]) -> BackendError:
    one: BaseException = failures
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    assert isinstance(one, BackendError)
    return one
