"""The standalone question."""

from __future__ import annotations

import pytest

from agents.condense import MAX_CARRIED, condense
from backends.base import Message

LEAVE = "How many days of annual leave do I get in Germany?"
BOOTS = "How long may I return boots in Germany?"


def talk(*turns: str) -> list[Message]:
    return [Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns)]


def test_a_first_question_stays_as_it_is() -> None:
    assert condense(talk(LEAVE)) == LEAVE


def test_a_question_of_its_own_stays_as_it_is_in_a_conversation() -> None:
    turns = talk(LEAVE, "30 days.", "When do the shops close on 24 December?")

    assert condense(turns) == "When do the shops close on 24 December?"


def test_a_swapped_detail_is_exchanged_in_the_question_before() -> None:
    turns = talk(LEAVE, "30 days.", "And in France?")

    assert condense(turns) == "How many days of annual leave do I get in France?"


def test_a_detail_of_several_words_is_exchanged_whole() -> None:
    turns = talk("How many leave days are there in the United Kingdom?", "26.", "and in Spain?")

    assert condense(turns) == "How many leave days are there in Spain?"


def test_even_leads_on_from_the_question_before() -> None:
    turns = talk("How long may boots be returned?", "45 days.", "Even without a receipt?")

    assert condense(turns) == "How long may boots be returned without a receipt?"
    assert condense(talk(LEAVE, "30.", "Even numbers")) == "Even numbers"


def test_a_new_detail_is_added_to_the_question_before() -> None:
    turns = talk("How long may I return boots?", "45 days.", "And for gift cards?")

    assert condense(turns) == "How long may I return boots for gift cards?"


def test_a_new_topic_after_what_about_keeps_the_question_before() -> None:
    turns = talk("How long is the return period?", "45 days.", "What about gift cards?")

    assert condense(turns) == "How long is the return period: gift cards?"


def test_a_turn_that_points_back_takes_the_question_before_along() -> None:
    turns = talk("How long may I return boots?", "45 days.", "Does that include sale items?")

    assert condense(turns) == "How long may I return boots? Does that include sale items?"


@pytest.mark.parametrize("turn", ["Make it friendlier", "Shorter, please.", "Translate that."])
def test_a_wish_about_the_answer_takes_the_answer_along(turn: str) -> None:
    turns = talk(LEAVE, "You get 30 days.", turn)

    assert condense(turns) == f"{turn}\n\n“You get 30 days.”"


def test_a_long_turn_brings_its_own_context() -> None:
    pasted = "Does this hold? " + "It is a long text. " * 40

    assert condense(talk(LEAVE, "30 days.", pasted)) == pasted.strip()


def test_system_messages_are_not_mistaken_for_questions() -> None:
    turns = [Message("system", "Be brief."), Message("user", "And in France?")]

    assert condense(turns) == "And in France?"


def after(asked: str, turn: str) -> str:
    return condense(talk(asked, "That is 45 days.", turn))


@pytest.mark.parametrize(
    "turn",
    [
        "ok",
        "Okay great",
        "Thanks, that helps!",
        "Hi there",
        "Good morning",
        "Perfect, thank you very much for your help.",
        "Got it, thanks.",
        "That’s great, thanks",
        "Bye!",
    ],
)
def test_small_talk_stays_small_talk(turn: str) -> None:
    assert after(BOOTS, turn) == turn


@pytest.mark.parametrize(
    "turn",
    [
        "Is there a dress code at the Berlin office?",
        "Are there lockers for visitors?",
        "Does this company have a pension plan?",
        "Do we get a bonus this year?",
        "So what is the pricing strategy this year?",
        "So how many people work here?",
        "Also, is there a gym?",
        "Also, tell me about gift cards",
        "Also, who is the head of HR?",
        "Also, I need a new laptop",
        "Hi, when do the shops close?",
        "Write a tweet about the new store that opens",
        "Who do I call in IT?",
        "The problem is that my laptop is slow",
        "Is it possible to work from home?",
        "How long does it take to get a new laptop?",
        "Can customers change their order?",
        "How long may I return shoes if they are worn?",
        "What is GDPR?",
        "Translate this sentence: we are closed on Sunday",
        "How do I connect to the VPN?",
        "What is the wifi password in the Munich office?",
    ],
)
def test_a_turn_that_can_be_understood_alone_stays_as_it_is(turn: str) -> None:
    assert after(BOOTS, turn) == turn


@pytest.mark.parametrize(
    "turn",
    [
        "Why?",
        "And why?",
        "How?",
        "Really?",
        "More details",
        "Tell me more",
        "Can you give me more details, please?",
        "For how long?",
        "Until when?",
        "Since when is that the case?",
        "Who approves that?",
        "Which page is that on?",
        "And how much does it cost?",
        "Does that rule apply to contractors?",
        "Are there any exceptions?",
        "Is there an exception for students?",
        "How do I get there?",
        "Can I get a voucher instead?",
        "Put this on my calendar",
    ],
)
def test_a_turn_that_says_nothing_alone_takes_the_question_before_along(turn: str) -> None:
    assert after(BOOTS, turn) == f"{BOOTS} {turn}"


@pytest.mark.parametrize(
    ("turn", "standalone"),
    [
        (
            "And what about the United Kingdom?",
            "How long may I return boots in the United Kingdom?",
        ),
        ("What about Austria", "How long may I return boots in Austria?"),
        ("Thanks! And in Spain?", "How long may I return boots in Spain?"),
        ("and in france?", "How long may I return boots in france?"),
        ("And the US?", "How long may I return boots in the US?"),
        ("Und in Frankreich?", "How long may I return boots in Frankreich?"),
        ("In 2024?", "How long may I return boots in Germany in 2024?"),
        ("And in March?", "How long may I return boots in Germany in March?"),
        ("and on weekends?", "How long may I return boots in Germany on weekends?"),
        ("or by post?", "How long may I return boots in Germany by post?"),
        ("And if they are worn?", "How long may I return boots in Germany: if they are worn?"),
        ("But I lost the receipt", "How long may I return boots in Germany: I lost the receipt"),
        ("Ok, and sandals?", "How long may I return sandals in Germany?"),
    ],
)
def test_a_detail_is_put_into_the_question_before(turn: str, standalone: str) -> None:
    assert after(BOOTS, turn) == standalone


@pytest.mark.parametrize(
    ("asked", "turn", "standalone"),
    [
        ("What was the discount in 2023?", "In 2024?", "What was the discount in 2024?"),
        ("What was the discount 2023?", "And in 2024?", "What was the discount 2024?"),
        ("What was the discount in 2023?", "What about 2024?", "What was the discount in 2024?"),
        (
            "What did I get in Germany in 2023?",
            "And in France?",
            "What did I get in France in 2023?",
        ),
        (
            "Is shipping free for orders above 50 euros?",
            "And over 100 euros?",
            "Is shipping free for orders above 100 euros?",
        ),
        ("What is a parcel of 2 kilos?", "And 5 kilos?", "What is a parcel of 5 kilos?"),
        (
            "Who cleans in the Berlin office?",
            "And in the Munich office?",
            "Who cleans in the Munich office?",
        ),
        (
            "How do I apply for annual leave?",
            "And for parental leave?",
            "How do I apply for parental leave?",
        ),
        (
            "When can I check in at the hotel?",
            "In Rome?",
            "When can I check in at the hotel in Rome?",
        ),
        (
            "Do I have to pay for a return?",
            "To Austria?",
            "Do I have to pay for a return to Austria?",
        ),
        ("Wie viel Urlaub habe ich in Wien?", "Und in Rom?", "Wie viel Urlaub habe ich in Rom?"),
    ],
)
def test_a_detail_is_exchanged_for_one_of_its_kind(asked: str, turn: str, standalone: str) -> None:
    assert after(asked, turn) == standalone


def test_details_are_exchanged_one_after_the_other() -> None:
    turns = talk(BOOTS, "45 days.", "And in France?", "30 days.", "Thanks!", "Sure.", "For shoes?")

    assert condense(turns) == "How long may I return boots in France for shoes?"


@pytest.mark.parametrize(
    "turn",
    [
        "Can you say that more politely?",
        "Turn that into bullet points",
        "Put it in an email",
        "Now in French please",
        "Now as a poem",
        "Again, but funnier",
        "And shorter",
        "More formal, please",
        "Rewrite your last answer for a child",
        "Could you make this sound more excited?",
        "Summarise it in two sentences.",
    ],
)
def test_a_wish_about_how_it_was_said_takes_the_answer_along(turn: str) -> None:
    assert after(BOOTS, turn) == f"{turn}\n\n“That is 45 days.”"


@pytest.mark.parametrize(
    ("asked", "turn", "standalone"),
    [
        (
            "Does the discount apply to my wife?",
            "my kids?",
            "Does the discount apply to my wife: my kids?",
        ),
        ("Who cleans hall 2?", "hall 3?", "Who cleans hall 2: hall 3?"),
        ("When do you close on Saturdays?", "and Sundays?", "When do you close on Sundays?"),
        (
            "What did Michael Ende write?",
            "And Astrid Lindgren?",
            "What did Michael Ende write: Astrid Lindgren?",
        ),
        (
            "Tell me about Michael Ende.",
            "And Astrid Lindgren?",
            "Tell me about Astrid Lindgren.",
        ),
        ("What is the fee in Spain?", "the same for France", "What is the fee in France?"),
        (
            "May I wash it with the sports jackets?",
            "Sorry, I meant the wool jackets.",
            "May I wash it with the wool jackets?",
        ),
        ("How do I cancel?", "no no, the shuttle", "How do I cancel: the shuttle"),
        ("How do I cancel?", "I only see 'Pause'.", "How do I cancel: I only see 'Pause'."),
        (
            "Explain leave like a pirate",
            "and how long does an approval take?",
            "Explain leave like a pirate and how long does an approval take?",
        ),
        (
            "When was the fire?",
            "Describe the following morning",
            "When was the fire? Describe the following morning",
        ),
    ],
)
def test_a_part_of_a_question_is_put_into_the_one_before(
    asked: str, turn: str, standalone: str
) -> None:
    assert after(asked, turn) == standalone


def test_what_answers_the_assistant_is_no_objection_to_it() -> None:
    asked, turn = "How do I cancel?", "I do not have the app."

    assert condense(talk(asked, "In the app.", turn)) == f"How do I cancel: {turn}"
    assert condense(talk(asked, "Did you try the app?", turn)) == turn


@pytest.mark.parametrize(
    "turn",
    [
        "OK and seriously now: is night work paid extra?",
        "Phew, that sounds like me. Anyway, cheers",
    ],
)
def test_what_ends_a_topic_carries_nothing_of_it(turn: str) -> None:
    assert "boots" not in after(BOOTS, turn).lower()
    assert "Germany" not in after(BOOTS, turn)


def test_a_wish_about_the_answer_is_not_the_question_that_later_turns_lean_on() -> None:
    turns = talk(BOOTS, "45 days.", "Make it friendlier", "45 lovely days!", "And in France?")

    assert condense(turns) == "How long may I return boots in France?"


def test_a_huge_turn_comes_back_whole() -> None:
    huge = "and in a " * 111_111

    assert condense(talk(BOOTS, "45 days.", huge)) == huge.strip()


def test_of_huge_turns_before_only_a_bounded_part_is_carried() -> None:
    huge = "how long may I " * 66_666

    assert len(condense(talk(huge, huge, "Why?"))) <= MAX_CARRIED + len(" Why?")
