"""What to find, without how to say it."""

from __future__ import annotations

import pytest

from agents.manner import without_manner


@pytest.mark.parametrize(
    ("question", "sought"),
    [
        (
            "Write a friendly reply to a customer asking how long they may return boots",
            "how long they may return boots",
        ),
        ("Explain the returns policy in a cheerful tone", "Explain the returns policy"),
        ("Describe our gift cards like a pirate would", "Describe our gift cards"),
        ("Draft a short email about the staff discount", "the staff discount"),
        ("What is the staff discount, in bullet points?", "What is the staff discount?"),
        ("Write a product description for the linen shirt", "the linen shirt"),
        ("Write a message to customers announcing free returns", "free returns"),
        ("Please write a tweet about our spring sale", "our spring sale"),
        ("Write an email to all employees about the parking rules", "the parking rules"),
        (
            "Write a haiku that tells people which VPN client to install",
            "which VPN client to install",
        ),
        ("As a lawyer, write a note that explains our warranty", "our warranty"),
        ("Explain the dress code as a pirate", "Explain the dress code"),
        ("Summarise the travel policy as bullet points", "Summarise the travel policy"),
        ("Can you explain the returns policy in a letter?", "Can you explain the returns policy?"),
        ("How long is the return period as a haiku?", "How long is the return period?"),
        ("Could you keep it under 50 words: may I return boots?", "may I return boots?"),
        (
            "What is the return period? Please answer in two sentences.",
            "What is the return period?",
        ),
        ("How long may I return boots? Explain like I'm five.", "How long may I return boots?"),
        ("Answer like a grumpy cab driver: can I expense a taxi?", "can I expense a taxi?"),
        ("Tell me like a sarcastic friend what parking costs", "Tell me what parking costs"),
        ("In the style of a fairy tale, explain our refund rules", "explain our refund rules"),
        ("Return the release dates as JSON.", "Return the release dates"),
        (
            "Explain the staff discount rates to a new colleague in three cheerful bullet points.",
            "Explain the staff discount rates",
        ),
        ("Write a warm mail to a customer who asks what a return costs", "what a return costs"),
        ("Tell a colleague cheerfully when the shops open", "when the shops open"),
        ("How are returns paid? Your entire response must be in English.", "How are returns paid?"),
        ("How are returns paid? Use at least 300 words.", "How are returns paid?"),
    ],
)
def test_phrases_that_only_say_how_to_answer_are_left_out(question: str, sought: str) -> None:
    assert without_manner(question) == sought


@pytest.mark.parametrize(
    "question",
    [
        "Which answer must I give to an auditor?",
        "Explain how refunds work for customers",
        "What does our response to a complaint have to contain?",
        "How many days of annual leave do I get in Germany?",
        "Can I get my refund as a gift card?",
        "Tell me whether I can get my refund as a gift card",
        "As a new employee, how many days of leave do I get?",
        "As a part-time employee, tell me how many days of leave I get",
        "Explain how many days of leave I get as a part-time employee",
        "Can I work as a script supervisor?",
        "What should I write in a letter of resignation?",
        "Do I have to wear something like a uniform?",
        "Can I submit my notice as an email?",
        "Can I export the stock list as JSON?",
        "Is the price list available as a table?",
        "What if I cannot make it to work?",
        "How do I reply to a customer who wants a refund?",
        "Write a report template for accidents",
        "Create a list of public holidays in Spain",
        "What is in the staff newsletter about parking?",
    ],
)
def test_a_question_without_a_manner_stays_as_it_is(question: str) -> None:
    assert without_manner(question) == question


def test_a_question_that_is_all_manner_stays_whole() -> None:
    assert without_manner("Write a poem") == "Write a poem"


@pytest.mark.parametrize(
    "words", ["word ", "as a b ", "and ", ", ", "in a warm ", "a-", "\n", " \n\t"]
)
def test_a_huge_question_without_a_manner_stays_as_it_is(words: str) -> None:
    huge = words * (1_000_000 // len(words))

    assert without_manner(huge) == huge


def test_a_manner_behind_many_blank_lines_is_left_out() -> None:
    blank = "\n" * 3_000

    assert without_manner(f"How long are returns?{blank}Answer as a pirate.") == (
        "How long are returns?"
    )


def test_only_the_ends_of_a_huge_question_are_read() -> None:
    middle = "x " * 500_000 + "Answer as a pirate. " + "x " * 500_000

    found = without_manner(f"Write a poem about boots. {middle}. Answer in two sentences.")

    assert found.strip() == f"boots. {middle}."
