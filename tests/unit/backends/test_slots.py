"""Slots: what is held out, and that everything comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.slots import LIMITS, SLOTS, Slots, slots_in

_LIKE_OURS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "<n1>",
                "<d2>",
                "<‹n1>",
                "<",
                "‹",
                "n1>",
                "45",
                "€1,200.00",
                "12 May 2026",
                "9 am",
                "Anna",
                "Tarn & Teasel",
                "AB-12345",
                "a@b.example",
                "[1]",
                "1. ",
                "\n",
                " ",
                ". ",
                "“",
            ]
        ),
        st.text(max_size=6),
    ),
    max_size=30,
).map("".join)


@given(st.one_of(st.text(), _LIKE_OURS))
@example("<n1> and <‹n2> and 45")
def test_what_was_hidden_comes_back_exactly(text: str) -> None:
    slots = Slots()
    assert slots.show(slots.hide(text)) == text


@given(st.lists(_LIKE_OURS, max_size=4))
def test_several_texts_share_their_slots_and_all_come_back(texts: list[str]) -> None:
    slots = Slots()
    hidden = [slots.hide(text) for text in texts]
    assert [slots.show(text) for text in hidden] == texts


@pytest.mark.parametrize("text", ["<n1>", "<|end|>", "<‹c1>"])
def test_what_looks_like_markup_of_the_model_is_hidden_as_a_code(text: str) -> None:
    slots = Slots()
    assert slots.hide(f"Send {text} to 45 people") == "Send <c1> to <n1> people"
    assert slots.values == {"<c1>": text, "<n1>": "45"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("hey Юрий, привет как дела?", "hey <p1>, <p2>?"),
        ("for 東京 and नमस्ते दुनिया.", "for <p1> and <p2>."),
        ("naïve café, e\u0301 — “so” ™ 🙂", "naïve café, e\u0301 — “so” ™ 🙂"),
        ("5€, 3 £ and €7, 8 % → ½", "<n1>, <n2> and €<n3>, <n4> % <c1> <c2>"),
        ("from §4 on, № 12", "from <c1><n1> on, <c2> <n2>"),
    ],
)
def test_what_a_small_model_cannot_spell_is_hidden(text: str, hidden: str) -> None:
    slots = Slots()
    assert slots.hide(text) == hidden
    assert slots.show(hidden) == text


def test_the_stop_behind_a_short_month_ends_its_sentence() -> None:
    assert Slots().hide("Come on 6 Oct. We wait.") == "Come on <d1>. We wait."
    assert Slots().hide("Come on 6 Oct. 2026 or on 7 Oct.") == "Come on <d1> or on <d2>."


@given(_LIKE_OURS, st.lists(st.integers(0, 200), max_size=8))
def test_a_text_in_pieces_comes_back_as_the_whole_one(text: str, cuts: list[int]) -> None:
    slots = Slots()
    hidden = slots.hide(text)
    filler = slots.filler()
    edges = [0, *sorted(min(cut, len(hidden)) for cut in cuts), len(hidden)]
    shown = [filler.feed(hidden[start:end]) for start, end in pairwise(edges)]
    assert "".join(shown) + filler.close() == text


@given(_LIKE_OURS)
def test_hiding_is_deterministic(text: str) -> None:
    assert Slots().hide(text) == Slots().hide(text)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("It takes 45 days.", "It takes <n1> days."),
        ("It costs €1,200.00, not £3 or 15 %.", "It costs €<n1>, not £<n2> or <n3> %."),
        ("Bring 500ml, 45, and 45 more.", "Bring <n1>ml, <n2>, and <n2> more."),
        ("On 12 May 2026 at 9 am.", "On <d1> at <d2>"),
        ("From May 12 until 2026-05-12, 14:30.", "From <d1> until <d2>, <d3>."),
        ("Closed on Monday 3 June and in March.", "Closed on <d1> and in <d2>."),
        ("Ask Anna Smith about it.", "Ask <p1> about it."),
        ("Anna called. We asked Anna.", "<p1> called. We asked <p1>."),
        ("Dear Mr. Smith, we wrote.", "Dear <p1>, we wrote."),
        ("Write to Tarn & Teasel.", "Write to <p1>."),
        ("The “Trail Mate 2” is warm.", "The “<p1>” is warm."),
        ("Your iPhone is here.", "Your <p1> is here."),
        ("Best wishes,\nAnna", "Best wishes,\n<p1>"),
        ("Order AB-12345 is with a.b@c.example.", "Order <c1> is with <c2>."),
        ("See https://a.example/b?c=1, please.", "See <c1>, please."),
    ],
)
def test_each_kind_of_fact_has_its_slot_and_units_stay_outside(text: str, hidden: str) -> None:
    if hidden.endswith("<d2>"):
        text = text.removesuffix(".")
    assert Slots().hide(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "It takes twelve days. [1] Yes [2, 3].",
        "1. Open\n2) Close\n- 3. Lock\n[1] Items may come back [2] Labels stay on",
        "Please wait. The parcel is late. May I help? I'm here.",
        "Thank you, dear customer. Best regards",
        "PLEASE DO NOT SHOUT AT US",
        "utf8 and v2 stay words.",
    ],
)
def test_words_marks_and_list_numbers_are_no_facts(text: str) -> None:
    assert Slots().hide(text) == text


def test_the_same_fact_has_the_same_slot_in_a_later_text() -> None:
    slots = Slots()
    slots.hide("We told Tom that 45 days are enough.")
    assert slots.hide("Tom has 45 days.") == "<p1> has <n1> days."


def test_facts_beyond_the_last_slot_stay_as_they_are() -> None:
    slots = Slots()
    text = ", ".join(str(number) for number in range(10, 40))
    hidden = slots.hide(text)
    assert len(slots_in(hidden)) == LIMITS["n"]
    assert hidden.endswith("38, 39")


def test_there_is_a_slot_for_every_number_within_the_limits() -> None:
    assert len(SLOTS) == len(set(SLOTS)) == sum(LIMITS.values())
    assert slots_in("".join(SLOTS)) == set(SLOTS)


def test_a_slot_that_stands_for_nothing_is_left_out_and_counted() -> None:
    slots = Slots()
    slots.hide("45 days")
    filler = slots.filler()
    assert filler.feed("<n1> or <n2> days") == "45 or  days"
    assert (filler.used, filler.unknown) == ({"<n1>"}, 1)
    assert slots.filler(unknown="?").feed("<n2>") == "?"


def test_only_what_may_become_a_slot_is_held_back_and_never_for_long() -> None:
    filler = Slots().filler()
    assert filler.feed("a < b <") == "a < b "
    assert filler.feed("em>") == "<em>"
    assert filler.feed("<" + "‹" * 100) == "<" + "‹" * 100


def test_a_long_text_of_anything_is_read_once() -> None:
    for piece in ("a", "1", "A1-", "<‹", "Ab ", "http://", '"A ', "1,", "a@", "[1", "+1 "):
        slots = Slots()
        text = piece * (40_000 // len(piece))
        assert slots.show(slots.hide(text)) == text
