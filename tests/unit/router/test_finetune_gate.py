"""The gate: what is better passes, what is worse anywhere does not, and each figure has bounds."""

from __future__ import annotations

import json

import pytest

from router.finetune.general import MEASURED, REHEARSED, general_prompts
from router.tuning.answers import measure_for, same_json, same_label, score
from router.tuning.gate import Check, Side, Verdict, judge

LABELS = ("billing", "returns", "stores")
KEPT = [(0.5, 0.55)] * 40
TEXTS = [
    f"Dear customer, your parcel number {number} has left our house and will be with you soon."
    for number in range(40)
]


def labelled(right: int, rival_right: int, total: int = 60) -> list[Side]:
    """The candidate is right on the first rows, the rival on the last ones."""
    sides = []
    for number in range(total):
        true, false = LABELS[number % 3], LABELS[(number + 1) % 3]
        ours = true if number < right else false
        theirs = true if number >= total - rival_right else false
        sides.append(Side(true, ours, theirs))
    return sides


def check(verdict: Verdict, name: str) -> Check:
    return next(one for one in verdict.checks if one.name == name)


def failed(verdict: Verdict) -> set[str]:
    return {one.name for one in verdict.checks if not one.passed}


def test_a_better_candidate_that_forgot_nothing_passes() -> None:
    verdict = judge(labelled(57, 30), KEPT)
    assert verdict.passed
    assert verdict.measure == "exact label"
    task = check(verdict, "task")
    assert task.value == pytest.approx(27 / 60)
    assert 0 < task.interval[0] < task.value < task.interval[1]


def test_an_equal_candidate_is_not_better() -> None:
    assert failed(judge(labelled(50, 50), KEPT)) == {"task"}


def test_a_little_better_on_few_rows_may_be_chance() -> None:
    verdict = judge(labelled(32, 29), KEPT)
    assert check(verdict, "task").value > 0
    assert "task" in failed(verdict)


def test_better_than_a_bad_rival_is_not_enough() -> None:
    verdict = judge(labelled(15, 0), KEPT)
    assert failed(verdict) == {"constant"}


def test_broken_format_fails_whatever_the_task_says() -> None:
    def fits(answer: str) -> str:
        return "not one of them" if answer == "returns" else ""

    verdict = judge(labelled(60, 20), KEPT, fits=fits)
    assert check(verdict, "format").candidate == pytest.approx(40 / 60)
    assert not verdict.passed or check(verdict, "format").value >= 0
    ended = [Side(one.reference, one.reference, one.rival, False) for one in labelled(60, 20)]
    assert "format" in failed(judge(ended, KEPT))


def test_answers_three_times_as_long_fail() -> None:
    sides = [Side(text, f"{text} {text} {text}", "Hello.") for text in TEXTS]
    verdict = judge(sides, KEPT)
    assert verdict.measure == "chrF"
    assert failed(verdict) == {"length"}
    assert check(verdict, "length").value == pytest.approx(3, abs=0.1)


def test_forgetting_what_the_base_knew_fails() -> None:
    verdict = judge(labelled(57, 30), [(0.5, 2.5)] * 20 + [(0.5, 0.4)] * 20)
    assert failed(verdict) == {"general"}
    general = check(verdict, "general")
    assert general.rival == 0.5
    assert general.candidate == pytest.approx(1.45)
    assert general.interval[1] > 0.25


def test_without_general_prompts_there_is_no_such_check() -> None:
    assert [one.name for one in judge(labelled(57, 30), []).checks] == [
        "task",
        "constant",
        "format",
        "length",
    ]


def test_a_verdict_is_json_with_bounds() -> None:
    report = json.loads(json.dumps(judge(labelled(57, 30), KEPT).as_json()))
    assert report["passed"] is True
    assert set(report["checks"]) == {"task", "constant", "format", "length", "general"}
    for one in report["checks"].values():
        assert one["interval"][0] <= one["value"] <= one["interval"][1]


def test_the_measure_follows_the_data() -> None:
    assert measure_for(['{"a": 1}', "[2]"], schema=False) == "exact JSON"
    assert measure_for(["7", "8"], schema=True) == "exact JSON"
    assert measure_for(["yes", "no", "yes", "no"] * 3, schema=False) == "exact label"
    assert measure_for(TEXTS, schema=False) == "chrF"


def test_json_is_compared_by_value() -> None:
    assert same_json('{"b":1, "a": [1]}', '{"a": [1],\n "b": 1}') == 1
    assert same_json('{"a": 1}', '{"a": 2}') == 0
    assert same_json("nonsense", '{"a": 2}') == 0
    assert same_json("[" * 100_000, "[]") == 0


def test_labels_are_compared_without_case_and_space() -> None:
    assert same_label(" Stores\n", "stores") == 1
    assert same_label("store", "stores") == 0


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The cat is on the mat.", "The cat sat on the mat.", 0.6458166836671698),
        (
            "Your parcel is on its way",
            "Your parcel left us and is on the way to you.",
            0.3479605995421414,
        ),
        ("ab", "abc", 0.6363636363636362),
        ("Dear Ana, thanks!", "Dear Anna, many thanks!", 0.5142576655955379),
        ("the cat sat", "the cat sat", 1.0),
        ("", "the cat", 0.0),
        ("abc", "xyz", 0.0),
    ],
)
def test_chrf_agrees_with_sacrebleu(answer: str, reference: str, expected: float) -> None:
    # sacrebleu 2.6.0: sentence_chrf(answer, [reference]).score / 100
    assert score("chrF", answer, reference) == pytest.approx(expected)


def test_general_prompts_are_always_the_same_and_none_is_in_both() -> None:
    general = general_prompts()
    assert general == general_prompts()
    assert (len(general.measured), len(general.rehearsed)) == (MEASURED, REHEARSED)
    assert not set(general.measured) & set(general.rehearsed)
