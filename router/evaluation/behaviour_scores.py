"""What single answers are worth, beside their references. Pure; every figure is 0..1.

- ``task``: the measure of the data (`router.tuning.answers`);
- ``style``: 1 where a judge calls the answer one in the style that is asked for, and it was not
  said to another wish as well: a refusal is formal, too;
- ``format``: 1 where the answer has its form: it ends, is not empty, and satisfies its schema;
- ``copied``: 1 where every number, date, name and code stands in the answer, to the letter, that
  the reference took over from what was said;
- ``true``: 1 where the answer states none that nobody said (`agents.fidelity`);
- ``faithful``: both;
- ``cited``: share of the sentences of evidence that the reference cites and the answer cites too.

None is what does not apply to a row: a style where none is asked for, facts where there are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from agents.fidelity import invented
from agents.sources import Sources
from backends.facts import facts_in
from router.tuning.answers import Measure, score

if TYPE_CHECKING:
    from router.evaluation.behaviour import Said
    from router.evaluation.held_out import BehaviourRow

Scores: TypeAlias = Mapping[str, float | None]
"""By name, those of one answer."""

SCORES: Final = ("task", "style", "format", "copied", "true", "faithful", "cited")

InStyle: TypeAlias = Callable[["BehaviourRow", str], bool]
"""Says whether a text is in the style that a row asks for."""


def scores(row: BehaviourRow, said: Said, measure: Measure, in_style: InStyle) -> Scores:
    """Return every figure of one answer."""
    words = "" if said.failure else said.text
    copied = true = None
    if not _is_data(row.reference):
        wanted = facts_wanted(row)
        copied = float(stands_in(wanted, words)) if wanted else None
        # What was never said cannot be false, but it is no answer either.
        true = float(bool(words.strip()) and not invented(words, Sources([*row.said, *row.known])))
    return {
        "task": score(measure, words, row.reference),
        "style": float(bool(words.strip()) and in_style(row, words)) if row.style else None,
        "format": float(has_form(said)),
        "copied": copied,
        "true": true,
        "faithful": None if true is None else true * (1.0 if copied is None else copied),
        "cited": _cited(row, said),
    }


def has_form(said: Said) -> bool:
    """Whether an answer has the form that it must have; who answered has held it to the schema."""
    return not said.failure and said.ended and bool(said.text.strip())


def facts_wanted(row: BehaviourRow) -> Sequence[str]:
    """Return what the reference took over from what was said: numbers, dates, names, codes."""
    answer = _MARK.sub("", row.reference)
    there = " ".join(row.said)
    facts = (answer[one.start : one.end] for one in facts_in(answer, _names(there)))
    return [fact for fact in dict.fromkeys(facts) if stands_in([fact], there)]


def stands_in(facts: Sequence[str], text: str) -> bool:
    """Whether every one of the facts stands in a text, by itself and to the letter."""
    return all(
        re.search(rf"(?<![\w]){re.escape(fact)}(?![\w]|[.,:/]\d)", _MARK.sub("", text))
        for fact in facts
    )


def _names(text: str) -> set[str]:
    return {text[one.start : one.end] for one in facts_in(text) if one.kind == "p"}


def _cited(row: BehaviourRow, said: Said) -> float | None:
    wanted = {int(number) for number in re.findall(r"\d+", " ".join(_MARK.findall(row.reference)))}
    wanted &= set(range(1, len(row.evidence) + 1))
    if not wanted:
        return None
    return 0.0 if said.failure else len(wanted & said.cited) / len(wanted)


def _is_data(reference: str) -> bool:
    try:
        return isinstance(json.loads(reference), dict | list)
    except (ValueError, RecursionError):
        return False


_MARK: Final = re.compile(r"[ \t]?\[\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3}){0,8}\]")
