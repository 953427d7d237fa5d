"""Where the rows come from: a file as it is, RAFT over a corpus, a teacher's answers, or all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agents.care import NO_ANSWER
from agents.citations import CitationChecker
from backends.adapters import AdapterSpec
from backends.base import Message, Passage
from backends.finetune.distil import Teaching, distil
from backends.finetune.examples import Example, Problem, as_json, read_examples
from backends.finetune.process import Event
from router.errors import InvalidRequest

if TYPE_CHECKING:
    from router.config import Settings
    from router.finetune.bases import Base
    from router.finetune.forms import Form
    from router.finetune.order import Order

Evidence: TypeAlias = Mapping[tuple[Message, ...], Sequence[Passage]]

INVENTED: Final = "states what neither the prompt nor the passages state"
UNCITED: Final = "a citation does not verify, or there is none"
NO_USE: Final = "says that there is no answer, and there is one"

_ROWS: Final = "rows.jsonl"
_ANSWERS: Final = "teacher.jsonl"
_NOT_YET: Final = f"sha256:{0:064x}"
_BARE_BELOW: Final = 4_096
_CHARACTERS_A_TOKEN: Final = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """A file to check and learn from, and what was done to get it."""

    path: Path
    made: Mapping[str, Any]


async def rows_of(
    order: Order, settings: Settings, form: Form, base: Base, told: Callable[[Event], None]
) -> Rows:
    """Return the rows of an order, made where it says so.

    Raises:
        InvalidRequest: There is nothing to make them of.
        BackendError: The corpus or the teacher failed.
    """
    if order.raft is None and order.teacher is None:
        assert order.data is not None, "the order says so"
        return Rows(order.data, {})
    work = settings.home / "finetune" / order.name
    examples = _given(order)
    made: dict[str, Any] = {}
    evidence: Evidence = {}
    if order.raft is not None:
        from router.finetune.raft import Way, raft

        way = Way(spec_of(order, base), order.oracle, lambda one: _reads(base, one))
        found = await raft(order.raft, examples, way, settings, _phase(told, "making"))
        examples, evidence, made["raft"] = found.examples, found.evidence, found.as_json()
    if order.teacher is not None:
        teaching = Teaching(work / _ANSWERS, doubts(form, evidence), form.schema)
        examples, made["distil"] = await _taught(order, examples, teaching, told)
    path = work / _ROWS
    write_rows(path, examples)
    return Rows(path, made)


def spec_of(order: Order, base: Base) -> AdapterSpec:
    """Return the adapter as it will read passages: single sentences where its base reads little."""
    little = base.context < _BARE_BELOW
    return AdapterSpec(
        name=order.name,
        base=base.name,
        folder=base.folder,
        weights_hash=_NOT_YET,
        rank=order.recipe.rank,
        description=order.description,
        system_prompt=order.instructions(),
        prompting="bare" if little else "instructed",
        evidence_characters=min(12_000, _CHARACTERS_A_TOKEN * base.context),
    )


def write_rows(path: Path, examples: Sequence[Example]) -> None:
    """Write rows as a file of chat data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(as_json(one), ensure_ascii=False) + "\n" for one in examples)
    path.write_text(text, encoding="utf-8")


def doubts(form: Form, evidence: Evidence) -> Callable[[Example], str]:
    """Return what says why a teacher's answer is not to be learnt, else "".

    Args:
        evidence: For each prompt its passages; answers to those say what they rest on, in marks
            that verify as they must in service.
    """
    from agents.fidelity import invented
    from agents.sources import Sources

    def doubt(example: Example) -> str:
        if form.fits(example.answer):
            return "broken format"
        if example.answer.rstrip(".") == NO_ANSWER:
            return NO_USE
        passages = evidence.get(example.prompt)
        if passages is not None and form.schema is None and not _verified(example.answer, passages):
            return UNCITED
        sources = Sources(turn.content for turn in example.prompt)
        return INVENTED if invented(example.answer, sources) else ""

    return doubt


async def _taught(
    order: Order, examples: Sequence[Example], teaching: Teaching, told: Callable[[Event], None]
) -> tuple[Sequence[Example], Mapping[str, Any]]:
    from backends.vllm import VllmGenerator

    assert order.teacher is not None, "the caller looked"
    # That there is no answer needs no teacher.
    refusals = [one for one in examples if one.answer == NO_ANSWER]
    asked = [one for one in examples if one.answer != NO_ANSWER]
    teacher = order.teacher
    async with VllmGenerator.open(teacher.url, model=teacher.model, api_key=teacher.key) as model:
        if teacher.model is None:
            await model.models()
        found = await distil(asked, model, teaching, _phase(told, "asking"))
    return [*found.examples, *refusals], found.as_json()


def _verified(answer: str, passages: Sequence[Passage]) -> bool:
    checker = CitationChecker(passages)
    for _ in [*checker.feed(answer), *checker.close()]:
        pass
    return bool(checker.citations) and not checker.removed


def _given(order: Order) -> Sequence[Example]:
    """Return the rows of DATA; those of a teacher need no answer yet."""
    if order.data is None:
        return ()
    system = order.instructions()
    found = []
    for row in read_examples(order.data, unanswered=order.teacher is not None):
        if isinstance(row, Problem):
            where = f"{order.data}:{row.line}"
            raise InvalidRequest(f"{where}: {row.kind}: {row.detail}", field="data")
        found.append(row.instructed(system))
    return found


def _reads(base: Base, example: Example) -> bool:
    turns = [*example.prompt, Message("assistant", example.answer)]
    return base.count_tokens(turns) <= base.context


def _phase(told: Callable[[Event], None], phase: str) -> Callable[[int, int], None]:
    def after(done: int, of: int) -> None:
        told({"event": "progress", "phase": phase, "done": done, "of": of})

    return after
