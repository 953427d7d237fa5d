"""The figures of an adapter beside its rival's and its base's, as one object. Pure.

``NAME_ci`` beside each figure is its 95 % interval as [low, high]: of a share by Wilson's score,
which is sound for a share of 1 as well, else by bootstrap over rows. Differences are of the same
rows, in pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from router.evaluation.behaviour_scores import SCORES, Scores, has_form, scores
from router.tuning.answers import measure_for
from router.tuning.metrics import share_interval
from router.tuning.resampling import interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from router.evaluation.behaviour import Answered, Said
    from router.evaluation.held_out import BehaviourRow
    from router.evaluation.style import Judging

PROBLEMS: Final = 5
"""Reasons for answers without their form that are told, the most frequent ones."""

_DIFFERENCES: Final = ("task", "style", "format", "faithful", "cited")


def report(
    answered: Answered,
    names: Mapping[str, str],
    judges: Mapping[str, Judging],
    *,
    schema: bool,
) -> dict[str, Any]:
    """Return every figure.

    Args:
        answered: At least one row.
        names: Whose answers are whose: ``adapter``, ``base``, and ``against`` where there is a
            rival.
        judges: By style, of every style that a row asks for.
        schema: Answers are JSON under a schema.
    """
    rows = answered.rows
    measure = measure_for([row.reference for row in rows], schema=schema)

    def scored(answers: Sequence[Said]) -> list[Scores]:
        pairs = list(zip(rows, answers, strict=False))
        stock = _stock(pairs)

        def in_style(row: BehaviourRow, text: str) -> bool:
            return text not in stock and judges[row.style].in_style(text, source=row.source)

        return [scores(row, said, measure, in_style) for row, said in pairs]

    values = {role: scored(answered.said[name]) for role, name in names.items()}
    found: dict[str, Any] = {"adapter": names["adapter"], "n": len(rows)}
    for role, name in names.items():
        own = _figures(rows, values[role], answered.said[name], measure)
        if role == "adapter":
            found |= own
        else:
            difference = _differences(values["adapter"], values[role])
            found[role] = {"name": name, **own, "difference": difference}
    found.setdefault("against", None)
    found["judges"] = {
        style: _judge(judge, [row for row in rows if row.style == style])
        for style, judge in judges.items()
    }
    return found


def _stock(pairs: Sequence[tuple[BehaviourRow, Said]]) -> set[str]:
    """Answers that were given to several wishes: well said perhaps, but said of none of them."""
    wishes: dict[str, set[str]] = {}
    for row, said in pairs:
        wishes.setdefault(said.text, set()).add(row.wish)
    return {text for text, asked in wishes.items() if len(asked) > 1}


def _figures(
    rows: Sequence[BehaviourRow], values: Sequence[Scores], said: Sequence[Said], measure: str
) -> dict[str, Any]:
    answers = said[: len(rows)]
    return {
        "task": {
            "measure": measure,
            **(
                _mean("score", values, "task")
                if measure == "chrF"
                else _share("score", values, "task")
            ),
            "style": _styles(rows, values),
        },
        "format": {**_share("share", values, "format"), "problems": _problems(answers)},
        "fidelity": {
            "n": sum(one["true"] is not None for one in values),
            **_share("exact", values, "faithful"),
            **_share("copied", values, "copied"),
            **_share("nothing_invented", values, "true"),
            **_mean("citations_kept", values, "cited"),
        },
        "latency_ms": {
            "first_token": _percentiles([one.first_ms for one in answers if one.first_ms]),
            "total": _percentiles([one.ms for one in answers]),
        },
        "tokens_per_s": _per_second(answers),
    }


def _styles(rows: Sequence[BehaviourRow], values: Sequence[Scores]) -> dict[str, Any] | None:
    """The share of answers in the style that was asked for, of all and of each style."""
    styles = sorted({row.style for row in rows} - {""})
    if not styles:
        return None
    return {
        **_share("share", values, "style"),
        "by_style": {
            style: _share(
                "share",
                [one for row, one in zip(rows, values, strict=True) if row.style == style],
                "style",
            )
            for style in styles
        },
    }


def _judge(judge: Judging, rows: Sequence[BehaviourRow]) -> dict[str, Any]:
    """How good a judge is, and what it says of what people wrote for these rows."""
    from_pairs = [row for row in rows if row.source]
    called = [judge.in_style(row.reference, source=row.source) for row in rows]
    sources = [judge.in_style(row.source, source=row.source) for row in from_pairs]
    return {
        "pairs": judge.pairs,
        "accuracy": judge.accuracy,
        "references_in_style": sum(called) / len(called) if called else None,
        "sources_in_style": sum(sources) / len(sources) if sources else None,
    }


def _differences(ours: Sequence[Scores], theirs: Sequence[Scores]) -> dict[str, Any]:
    import numpy as np

    found: dict[str, Any] = {}
    for name in _DIFFERENCES:
        pairs = [
            (one[name], other[name])
            for one, other in zip(ours, theirs, strict=True)
            if one[name] is not None and other[name] is not None
        ]
        if pairs:
            both = np.array(pairs, float)
            found[name] = _gain(both)
            found[f"{name}_ci"] = interval(_gain, both)
    return found


def _gain(pairs: NDArray[Any]) -> float:
    return float((pairs[:, 0] - pairs[:, 1]).mean())


def _known(values: Sequence[Scores], name: str) -> list[float]:
    assert name in SCORES
    return [value for one in values if (value := one[name]) is not None]


def _share(called: str, values: Sequence[Scores], name: str) -> dict[str, Any]:
    """A share of rows, with its number of rows; None for both where it applies to none."""
    known = _known(values, name)
    if not known:
        return {called: None, f"{called}_ci": None, f"{called}_n": 0}
    hits = round(sum(known))
    low, high = share_interval(hits, len(known))
    return {called: hits / len(known), f"{called}_ci": [low, high], f"{called}_n": len(known)}


def _mean(called: str, values: Sequence[Scores], name: str) -> dict[str, Any]:
    import numpy as np

    known = np.array(_known(values, name))
    if not len(known):
        return {called: None, f"{called}_ci": None, f"{called}_n": 0}
    return {
        called: float(known.mean()),
        f"{called}_ci": interval(np.mean, known),
        f"{called}_n": len(known),
    }


def _problems(said: Sequence[Said]) -> dict[str, int]:
    reasons = Counter(
        one.failure or ("The answer ran into its limit." if not one.ended else "It is empty.")
        for one in said
        if not has_form(one)
    )
    return dict(reasons.most_common(PROBLEMS))


def _percentiles(times: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    if not times:
        return {"p50": None, "p99": None, "n": 0}
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "n": len(times)}


def _per_second(said: Sequence[Said]) -> float | None:
    """Tokens by the seconds of the whole answers, reading the prompt and waiting included."""
    counted = [one for one in said if one.tokens]
    if not counted:
        return None
    return sum(one.tokens for one in counted) / (sum(one.ms for one in counted) / 1000)
