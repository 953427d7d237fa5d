"""What an answer is worth, on cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.base import Message
from router.evaluation.behaviour import Answered, Said
from router.evaluation.behaviour_report import report
from router.evaluation.behaviour_scores import facts_wanted, scores, stands_in
from router.evaluation.held_out import BehaviourRow

WISH = "Make it kind: Order 48213 of Ms Lindqvist leaves Leeds on 3 March. Pay €64.50."
REFERENCE = "Dear Ms Lindqvist, order 48213 leaves on 3 March. Please pay €64.50."


def row(reference: str = REFERENCE, wish: str = WISH, *evidence: str) -> BehaviourRow:
    return BehaviourRow((Message("user", wish),), reference, evidence)


def said(text: str, **more: object) -> Said:
    return Said(text, 10.0, 20.0, **more)  # type: ignore[arg-type]


def judged(text: str, of: BehaviourRow | None = None, **more: object) -> dict[str, float | None]:
    found = scores(of or row(), said(text, **more), "chrF", lambda row, text: True)
    return dict(found)


def test_the_facts_that_count_are_those_that_the_reference_took_over() -> None:
    assert facts_wanted(row()) == ["Ms Lindqvist", "48213", "3 March", "64.50"]
    assert facts_wanted(row("Pay within 5 days.")) == []


@pytest.mark.parametrize(
    ("answer", "copied", "true"),
    [
        (REFERENCE, 1.0, 1.0),
        (REFERENCE.replace("48213", "48218"), 0.0, 0.0),
        (REFERENCE.replace("3 March", "13 March"), 0.0, 0.0),
        (REFERENCE.replace("64.50", "64.5"), 0.0, 1.0),
        ("Order 48213 leaves soon.", 0.0, 1.0),
        (f"{REFERENCE} It takes 9 days.", 1.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_facts_are_copied_to_the_letter_and_none_are_invented(
    answer: str, copied: float, true: float
) -> None:
    found = judged(answer)

    assert (found["copied"], found["true"]) == (copied, true)
    assert found["faithful"] == copied * true


def test_the_house_may_sign_its_letters_and_nobody_else() -> None:
    ours = replace(row(), known=("Tarn & Teasel",))

    assert judged(f"{REFERENCE} Yours, Tarn & Teasel.", ours)["true"] == 1.0
    assert judged(f"{REFERENCE} Yours, Brook & Burn.", ours)["true"] == 0.0


def test_a_number_within_a_longer_one_does_not_count() -> None:
    assert stands_in(["45"], "within 45 days, or 45.")
    assert not stands_in(["45"], "within 145 days")
    assert not stands_in(["45"], "€45.90")
    assert not stands_in(["1"], "as it says [1]")


def test_citations_kept_are_those_that_verified_and_that_the_reference_has_too() -> None:
    of = row("It opens at 9 [1] and closes at 18 [3].", "When?", "At 9.", "No.", "At 18.")

    assert judged("At 9, till 18.", of, cited=frozenset({1, 2}))["cited"] == 0.5
    assert judged("At 9, till 18.", of, cited=frozenset({1, 3}))["cited"] == 1.0
    assert judged("At 9.", of, cited=frozenset({1}), failure="Broken.")["cited"] == 0.0
    assert judged("At 9.")["cited"] is None


def test_an_answer_without_its_form_is_worth_nothing_else_either() -> None:
    cut = judged(REFERENCE, ended=False)
    broken = judged(REFERENCE, failure="The model answered nothing.")

    assert (judged(REFERENCE)["format"], cut["format"], broken["format"]) == (1.0, 0.0, 0.0)
    assert cut["task"] == 1.0
    assert (broken["task"], broken["faithful"]) == (0.0, 0.0)


def test_answers_that_are_data_have_no_facts_to_be_faithful_to() -> None:
    found = scores(
        row('{"colour": "beige"}', "champagne"),
        said('{ "colour":"beige" }'),
        "exact JSON",
        lambda row, text: False,
    )

    assert found["task"] == 1.0
    assert (found["true"], found["copied"], found["faithful"], found["style"]) == (None,) * 4


def test_differences_are_paired_and_times_and_tokens_add_up() -> None:
    rows = [row("yes", "Is it?"), row("no", "Is it?"), row("yes", "And now?"), row("no", "Now?")]
    ours = [Said(text, 10.0, 500.0, tokens=5) for text in ("yes", "no", "yes", "yes")]
    base = [Said("yes", 30.0, 1000.0, tokens=5, ended=one != 1) for one in range(4)]
    answered = Answered(rows, {"a@1": ours, "tiny": base})

    found = report(answered, {"adapter": "a@1", "base": "tiny"}, {}, schema=False)

    assert (found["adapter"], found["n"], found["against"]) == ("a@1", 4, None)
    assert found["task"]["measure"] == "exact label"
    assert (found["task"]["score"], found["base"]["task"]["score"]) == (0.75, 0.5)
    assert found["base"]["difference"]["task"] == 0.25
    low, high = found["base"]["difference"]["task_ci"]
    assert 0.0 <= low <= 0.25 <= high <= 0.75
    assert found["base"]["format"]["problems"] == {"The answer ran into its limit.": 1}
    assert found["tokens_per_s"] == 10.0
    assert found["latency_ms"]["first_token"] == {"p50": 10.0, "p99": 10.0, "n": 4}


def test_a_share_of_everything_still_has_an_interval() -> None:
    answered = Answered([row("yes", "Is it?")] * 4, {"a@1": [said("yes")] * 4})

    found = report(answered, {"adapter": "a@1"}, {}, schema=False)

    low, high = found["format"]["share_ci"]
    assert found["format"]["share"] == 1.0
    assert (low, high) == pytest.approx((0.5101, 1.0), abs=1e-4)  # Wilson: n / (n + z²)


class AnyStyle:
    """Takes every text for one in the style."""

    pairs: int = 60
    accuracy: float = 1.0

    def in_style(self, text: str, *, source: str = "") -> bool:
        return True


def test_one_answer_to_several_wishes_is_in_no_style_however_it_sounds() -> None:
    rows = [replace(row("Yes, gladly.", wish), style="formal") for wish in ("One", "Two", "Three")]
    answers = [said("I rewrite texts."), said("I rewrite texts."), said("Indeed, three.")]

    found = report(
        Answered(rows, {"a@1": answers}), {"adapter": "a@1"}, {"formal": AnyStyle()}, schema=False
    )

    assert found["task"]["style"]["share"] == pytest.approx(1 / 3)
