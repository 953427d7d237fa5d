"""What the starter learns from repeats, keeps facts in slots, and holds out what it says."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from backends.slots import slots_in
from backends.starter.chat import END, ROLES, pieces
from backends.starter.clauses import TROUBLE, Clauses
from backends.starter.colours import MASTER_COLOURS, held_out
from backends.starter.corpus import Corpus
from backends.starter.exchange import slotted
from backends.starter.lexicon import fill
from backends.starter.manner import Manners
from backends.starter.overlap import in_order
from backends.starter.policies import Policies
from backends.starter.rows import NAMES, compose
from backends.starter.sorting import SYSTEM as SORTING
from backends.starter.voice import addressed
from backends.starter.written import MESSAGES, SAID, SHORTENED, Written

CORPUS = Corpus(
    wishes=("Write a sonnet about rust.", "How high is the tower?"),
    creative=("Write a sonnet about rust.",),
    statements=("We have moved the bench.", "The lid doesn't close.", "My uncle sells honey."),
    kept_back=("Our goat sleeps.",),
    nouns=("bench", "lid", "uncle", "goat"),
)


@pytest.mark.parametrize("name", NAMES)
def test_rows_repeat_with_their_seed_and_differ_without(name: str) -> None:
    first = list(itertools.islice(compose(name, CORPUS, seed=3), 20))
    assert first == list(itertools.islice(compose(name, CORPUS, seed=3), 20))
    assert first != list(itertools.islice(compose(name, CORPUS, seed=4), 20))


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_holds_a_slot_that_its_question_lacks(name: str) -> None:
    for row in itertools.islice(compose(name, CORPUS, seed=5), 300):
        assert slots_in(row.assistant) <= slots_in(row.user), row


def test_no_held_out_phrasing_is_composed_and_every_label_is_a_master_colour() -> None:
    apart = {" ".join(phrase.casefold().split()) for phrase in held_out()}
    for row in itertools.islice(compose("attributes", CORPUS, seed=6), 2000):
        assert " ".join(row.user.casefold().split()) not in apart
        assert json.loads(row.assistant)["colour"] in MASTER_COLOURS


def test_held_out_phrasings_are_many_and_name_master_colours() -> None:
    assert len(held_out()) >= 150
    assert set(held_out().values()) == set(MASTER_COLOURS)


def test_an_answer_that_would_invent_a_fact_makes_no_row() -> None:
    assert slotted("Make this formal: it costs €5", "It costs €6.") is None
    row = slotted("Make this formal: it costs €5", "It costs €5.")
    assert row is not None
    assert row.assistant == "It costs €<n1>."


def test_marks_of_citations_stay_numbers() -> None:
    row = slotted("How long?\n\n[1] It takes 1 day.", "It takes 1 day [1].")
    assert row is not None
    assert row.assistant == "It takes <n1> day [1]."


def test_rules_for_customers_are_said_to_the_customer() -> None:
    line = "Customers may return boots within 30 days."
    assert addressed(line, "customer") == "You may return boots within 30 days."
    assert addressed(line, "team") == line


def test_a_blank_may_begin_with_a_capital_letter() -> None:
    assert fill("{Goods} and {goods}", {"goods": lambda: "boots"}) == "Boots and boots"


def test_the_base_practises_sorting_and_no_adapter_does() -> None:
    topics = (("How high is the tower?", "travel"), ("Is rye a grass?", "general"))
    corpus = replace(CORPUS, topics=topics)
    labels = {
        name: [
            json.loads(row.assistant)
            for row in itertools.islice(compose(name, corpus, seed=8), 400)
            if row.system == SORTING
        ]
        for name in NAMES
    }
    assert {"topic": "travel"} in labels["base"]
    assert {"topic": "general"} not in labels["base"], "general is no topic"
    assert any(label.get("trouble") in TROUBLE for label in labels["base"])
    assert not any(labels[name] for name in NAMES if name != "base")


def test_a_short_text_is_shorter_than_what_it_was_made_from() -> None:
    rng = random.Random(4)  # noqa: S311
    clauses = Clauses(rng, CORPUS)
    manners = Manners(clauses, Policies(clauses))
    for _ in range(300):
        message = manners.message()
        wordy, short = manners.wordy(message), manners.short(message)
        assert len(short) < len(wordy), (wordy, short)


def test_a_colour_is_named_whatever_documents_stand_below_it() -> None:
    rows = list(itertools.islice(compose("attributes", CORPUS, seed=9), 600))
    beside = [row for row in rows if "\n\n[1] " in row.user]
    assert 5 < len(beside) < 60
    assert all(json.loads(row.assistant)["colour"] in MASTER_COLOURS for row in beside)


def test_only_the_last_turn_is_learnt() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert [text for text, learnt in pieces(turns) if learnt] == [f"Hello{END}"]
    assert "".join(text for text, _ in pieces(turns)).startswith(f"{ROLES['user']}\nHi{END}\n")


def test_the_sources_of_the_rows_are_those_that_nothing_is_measured_on() -> None:
    from backends.starter.corpus import FILES

    folder = Path("router/tuning/examples")
    assert all((folder / f"{name}.jsonl").exists() for name in FILES)
    assert not any(name.startswith(("held", "golden", "hidden")) for name in FILES)


def written_of(corpus: Corpus) -> Written:
    return Written(Clauses(random.Random(3), corpus))  # noqa: S311 - rows have to repeat


@pytest.mark.parametrize(
    ("manner", "different"), [("formal", 100), ("short", 100), ("formal and short", 60)]
)
def test_a_written_text_in_a_manner_holds_no_fact_that_its_source_lacks(
    manner: str, different: int
) -> None:
    written = written_of(CORPUS)
    pairs = [written.pair(manner) for _ in range(200)]
    assert len(set(pairs)) > different
    assert [pair for pair in pairs if slotted(*pair) is None] == []


def test_a_written_reply_cites_the_lines_that_stand_beside_its_wish() -> None:
    written = written_of(CORPUS)
    cited = 0
    for _ in range(200):
        row = written.reply("s")
        there = set(re.findall(r"^\[(\d)\] ", row.user, re.MULTILINE))
        marks = set(re.findall(r"\[(\d)\]", row.assistant))
        assert marks <= there, row
        cited += bool(marks)
    assert cited > 150


def test_what_is_measured_on_was_written_and_never_learnt() -> None:
    corpus = replace(CORPUS, nouns=())
    learnt, measured = (
        {written.pair("short")[1] for _ in range(2000)}
        for written in (written_of(corpus), written_of(corpus.for_measuring()))
    )
    assert len(measured) > 20
    assert not learnt & measured


def test_a_text_that_was_shortened_has_words_of_its_source_in_their_order() -> None:
    text = resources.files("backends.starter.texts").joinpath(SHORTENED).read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    free = [row for row in rows if in_order(row["wordy"], row["short"]) < 1]
    assert free == []
    assert all(len(row["short"]) < len(row["wordy"]) * 0.67 for row in rows)
    assert len({row["short"] for row in rows}) == len(rows)


def test_every_message_is_there_in_every_manner_and_once() -> None:
    text = resources.files("backends.starter.texts").joinpath(MESSAGES).read_text("utf-8")
    messages = [json.loads(line) for line in text.splitlines()]
    assert all(tuple(message) == SAID and all(message.values()) for message in messages)
    assert len({message["short"] for message in messages}) == len(messages) > 900
