"""How good an answer is beside the one that a person wrote. Pure; every figure is 0..1.

The measure follows the data: where an answer can only be right or wrong (JSON, one of a few labels)
it is equality; for free texts it is chrF (Popović 2015), the F-score of character n-grams. Beside
the F1 of words it sees order and spelling and gives part of a point for another form of the same
word, and it needs no tokenizer of any language; on single sentences it agrees better with people
than measures of whole words (Ma et al. 2018, WMT metrics task).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

Measure: TypeAlias = Literal["exact JSON", "exact label", "chrF"]

_ORDER: Final = 6
_BETA: Final = 2.0
_MAX_LABEL: Final = 60


def measure_for(references: Sequence[str], *, schema: bool) -> Measure:
    """Return what answers like these are measured by.

    Args:
        schema: They must be JSON under a schema.
    """
    if schema or all(_is_object(one) for one in references):
        return "exact JSON"
    distinct = {one.strip() for one in references}
    short = all(len(one) <= _MAX_LABEL for one in distinct)
    return "exact label" if short and len(distinct) <= max(2, len(references) // 4) else "chrF"


def score(measure: Measure, answer: str, reference: str) -> float:
    """Compare an answer with its reference."""
    return _SCORES[measure](answer, reference)


def same_json(answer: str, reference: str) -> float:
    """1 where both are the same JSON value, in whatever order and spacing."""
    try:
        return float(bool(_canonical(answer) == _canonical(reference)))
    except (ValueError, RecursionError):
        return 0.0


def same_label(answer: str, reference: str) -> float:
    """1 where both are the same words; letter case and the space around make no difference."""
    return float(" ".join(answer.casefold().split()) == " ".join(reference.casefold().split()))


def chrf(answer: str, reference: str) -> float:
    """Return chrF2 of one answer: n-grams of 1 to 6 characters without spaces, recall twice.

    Orders that one of them is too short for are left out, as sacreBLEU does (Post 2018).
    """
    given, wanted = "".join(answer.split()), "".join(reference.split())
    scores = []
    for order in range(1, _ORDER + 1):
        ours, theirs = _grams(given, order), _grams(wanted, order)
        if not ours or not theirs:
            continue
        shared = (ours & theirs).total()
        scores.append((shared / ours.total(), shared / theirs.total()))
    if not scores:
        return float(given == wanted)
    precision = sum(one for one, _ in scores) / len(scores)
    recall = sum(one for _, one in scores) / len(scores)
    if precision + recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)


_SCORES: Final[dict[Measure, Callable[[str, str], float]]] = {
    "exact JSON": same_json,
    "exact label": same_label,
    "chrF": chrf,
}


def _canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
