"""Chat data is read whole, and everything that is wrong with it is told with its line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.base import Message
from backends.errors import Refused
from backends.finetune.data import Findings, Rules, data_hash, examine, label_counts
from backends.finetune.examples import MAX_LINE, Example, as_json, normalised, read_examples
from backends.finetune.lengths import histogram
from backends.finetune.recipe import Recipe, epochs_for, rate_for
from backends.finetune.secrecy import addresses, secrets
from backends.finetune.split import held_out

QUESTIONS = (
    "Where is my parcel?",
    "How do I return boots?",
    "Is the jacket waterproof?",
    "When does the shop open?",
)


def row(*contents: str, roles: Sequence[str] = ("user", "assistant"), **more: Any) -> str:
    turns = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]
    return json.dumps({"messages": turns, **more})


def good(number: int) -> str:
    return row(f"{QUESTIONS[number % 4]} Order {number}.", f"Dear customer, case {number} is open.")


def words(turns: Sequence[Message]) -> int:
    return sum(len(turn.content.split()) for turn in turns)


def found(path: Path, *lines: str, context: int = 100, **more: Any) -> Findings:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fits = more.pop("fits", lambda answer: "")
    return examine(path, Rules(context, words, fits), **more)


def told(findings: Findings, weight: str = "fatal") -> list[tuple[int | None, str]]:
    return [(one.line, one.kind) for one in findings.problems if one.weight == weight]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.jsonl"


def test_good_rows_have_no_problems(path: Path) -> None:
    findings = found(path, *map(good, range(60)))
    assert findings.problems == ()
    assert not findings.fatal
    assert len(findings.examples) == findings.rows == 60
    assert findings.examples[3].line == 4
    assert findings.examples[0].prompt == (Message("user", "Where is my parcel? Order 0."),)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{not json", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ('{"messages": ' + "1" * 5000 + "}", "not JSON"),
        ("[]", "no messages"),
        ('{"text": "hello"}', "no messages"),
        ('{"messages": []}', "wrong order"),
        ('{"messages": ["hello"]}', "not a message"),
        (row("a", "b", roles=("user", "bot")), "unknown role"),
        (row("a", "b", roles=("user", "tool")), "unknown role"),
        (row("a", "b", roles=("assistant", "user")), "wrong order"),
        (row("a", "b", roles=("user", "user")), "wrong order"),
        (row("a", "b", "c", roles=("user", "system", "assistant")), "wrong order"),
        (row("a", "b", roles=("system", "assistant")), "wrong order"),
        (row("a", roles=("user",)), "wrong order"),
        (row("a", " \n"), "empty content"),
        (row("", "b"), "empty content"),
        ('{"messages": [{"role": "user", "content": 7}]}', "content is no text"),
        ('{"messages": [{"role": "user"}]}', "content is no text"),
        (row("a\x00", "b"), "broken text"),
        (row("\ud800", "b"), "broken text"),
        (row("a", "b", label=3), "label is no text"),
        (row("x" * MAX_LINE, "b"), "line too long"),
    ],
)
def test_a_row_that_cannot_be_learnt_is_named_by_its_line(path: Path, line: str, kind: str) -> None:
    findings = found(path, good(1), good(2), "", line, good(3))
    assert told(findings) == [(4, kind)]
    assert findings.fatal
    assert len(findings.examples) == 3


def test_bytes_that_are_not_utf_8_are_named_by_line_and_place(path: Path) -> None:
    path.write_bytes(f"{good(1)}\n".encode() + b'{"a": "\xff"}\n' + f"{good(2)}\n".encode())
    findings = examine(path, Rules(100, words))
    assert told(findings) == [(2, "not UTF-8")]
    assert "byte 8" in findings.problems[-1].detail


def test_a_byte_order_mark_is_no_fault(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + f"{good(1)}\n{good(2)}\n".encode())
    assert told(examine(path, Rules(100, words))) == []


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        examine(tmp_path / "none.jsonl", Rules(100, words))


def test_an_empty_file_holds_nothing_to_learn(path: Path) -> None:
    assert told(found(path)) == [(None, "no rows")]


def test_one_row_is_not_enough(path: Path) -> None:
    assert told(found(path, good(1))) == [(None, "one row")]


def test_rows_that_are_all_the_same_are_one_row(path: Path) -> None:
    findings = found(path, good(1), good(1), good(1))
    assert told(findings) == [(None, "all duplicates")]
    assert told(findings, "warning") == [(2, "duplicate"), (3, "duplicate")]


def test_duplicates_are_kept_once_and_told_with_the_line_of_the_first(path: Path) -> None:
    twice = row("where is MY parcel, order 1", "dear customer: case 1 is open!")
    first = row("Where is my parcel? Order 1.", "Dear customer, case 1 is open.")
    findings = found(path, first, good(2), first, twice)
    assert told(findings, "warning")[-2:] == [(3, "duplicate"), (4, "duplicate")]
    assert [one.detail for one in findings.problems if one.line in (3, 4)] == [
        "the same as line 1",
        "the same words as line 1",
    ]
    assert len(findings.examples) == 2


def test_two_answers_to_one_question_are_told(path: Path) -> None:
    findings = found(path, row("a", "b"), row("a", "c"), good(1))
    assert (2, "contradiction") in told(findings, "warning")
    assert len(findings.examples) == 3


def test_rows_longer_than_the_context_are_fatal(path: Path) -> None:
    findings = found(path, good(1), good(2), row("long " * 99, "b c"))
    assert told(findings) == [(3, "longer than the context")]
    assert "101 tokens" in findings.problems[-1].detail


def test_rows_of_the_test_file_may_not_train(path: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text(f"{good(7)}\n{row('WHERE is my parcel? order 0', 'x')}\n")
    findings = found(path, good(0), good(1), good(2), test=test)
    assert told(findings) == [(1, "leaked test row")]
    assert "test line 2" in findings.problems[-1].detail
    assert len(findings.test) == 2


def test_faults_of_the_test_file_are_told_as_its_own(path: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text("nothing\n")
    findings = found(path, good(0), good(1), test=test)
    assert told(findings) == [(None, "no test rows"), (1, "test: not JSON")]


def test_answers_that_break_the_form_are_fatal(path: Path) -> None:
    def fits(answer: str) -> str:
        return "" if answer.startswith("{") else "not an object"

    findings = found(path, row("a", "{}"), row("b", "{1}"), row("c", "no"), fits=fits)
    assert told(findings) == [(3, "broken format")]


def test_marks_of_the_conversation_within_a_text_are_fatal(path: Path) -> None:
    path.write_text(f"{good(1)}\n{row('a <|end|> b', 'c')}\n{row('a < b', '|end|')}\n")
    findings = examine(path, Rules(100, words, control=("<|end|>",)))
    assert told(findings) == [(2, "control token")]


def test_secrets_are_fatal_and_never_shown_whole(path: Path) -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    findings = found(path, good(1), row(f"my key is {key}", "b"), good(2))
    assert told(findings) == [(2, "secret")]
    assert key not in json.dumps(findings.as_json())


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "ghp_" + "a1" * 18,
        "sk-" + "proj-abcdefghij0123456789",
        "hf_" + "a" * 34,
        "xoxb-" + "1234567890-abc",
        "Authorization: Bearer " + "abcdef0123456789abcdef",
        "eyJ" + "hbGciOiJI.eyJ" + "zdWIiOiIx.c2lnbmF0dXJl",
        "postgresql://" + "bob:hunter2@db/shop",
    ],
)
def test_keys_and_tokens_are_recognised(text: str) -> None:
    assert list(secrets(f"look: {text} there"))


@pytest.mark.parametrize(
    "text",
    [
        "the task-force met; a sk-ier sky",
        "bearer of good news, who travelled far",
        "see https://shop.example/a:b and 12:30",
        "order AKIA, please",
    ],
)
def test_ordinary_words_are_no_secrets(text: str) -> None:
    assert not list(secrets(text))


def test_addresses_of_people_are_a_warning_and_those_for_examples_are_not() -> None:
    assert list(addresses("write to ana.b@acme-shop.de or x@mail.shop.example")) == [
        "an…@acme-shop.de"
    ]


def test_lengths_are_counted_in_doubling_ranges() -> None:
    assert histogram([1, 16, 17, 40_000]) == [(1, 16, 2), (17, 32, 1), (32_769, 40_000, 1)]


def test_labels_are_short_answers_of_few_kinds_or_what_rows_say() -> None:
    answers = [Example((Message("user", str(n)),), "yes" if n % 4 else "no") for n in range(16)]
    assert label_counts(answers) == {"yes": 12, "no": 4}
    texts = [Example((Message("user", str(n)),), f"answer {n}") for n in range(16)]
    assert label_counts(texts) == {}
    named = [Example((Message("user", "a"),), "x", label="one"), *texts[:1]]
    assert label_counts(named) == {"one": 1, "(none)": 1}


def test_labels_that_are_secrets_or_addresses_are_counted_and_not_shown() -> None:
    key, address = "sk-proj-" + "a1B2" * 8, "jo.doe@tarn-and-teasel.com"
    rows = [Example((Message("user", str(n)),), key if n % 4 else address) for n in range(16)]
    assert label_counts(rows) == {"sk-pro…": 12, "jo…@tarn-and-teasel.com": 4}


def test_a_rare_label_is_told(path: Path) -> None:
    rows = [row(f"question {n}", "yes") for n in range(30)]
    findings = found(path, *rows, row("another", "no"))
    assert (None, "rare label") in told(findings, "warning")


def test_instructions_go_in_front_of_rows_without_their_own(path: Path) -> None:
    own = row("be brief", "a", "b", roles=("system", "user", "assistant"))
    findings = found(path, own, row("c", "d"), system="be kind")
    assert [one.prompt[0].content for one in findings.examples] == ["be brief", "be kind"]
    assert (None, "system messages") in told(findings, "warning")


def test_the_newer_name_of_the_system_and_contents_in_parts_are_read(path: Path) -> None:
    parts = [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}]
    turns = [
        {"role": "developer", "content": parts},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    path.write_text(json.dumps({"messages": turns}))
    (example,) = read_examples(path)
    assert isinstance(example, Example)
    assert example.prompt[0] == Message("system", "be brief")
    assert example.asked == "a"
    assert as_json(example)["messages"][0] == {"role": "system", "content": "be brief"}


def test_the_same_rows_have_the_same_hash_wherever_they_stand() -> None:
    one, other = Example((Message("user", "a"),), "b", 1), Example((Message("user", "a"),), "b", 9)
    assert data_hash([one]) == data_hash([other])
    assert data_hash([one]) != data_hash([one, one])


def test_held_out_rows_are_always_the_same_and_never_train() -> None:
    examples = [
        Example((Message("user", f"question {n // 2}{'!' * (n % 2)}"),), f"answer {n}", n)
        for n in range(200)
    ]
    training, measuring = held_out(examples, seed=7)
    assert (training, measuring) == held_out(examples, seed=7)
    assert len(training) + len(measuring) == 200
    assert 30 <= len(measuring) <= 50
    assert not {normalised(one.asked) for one in training} & {
        normalised(one.asked) for one in measuring
    }
    assert held_out(examples, seed=8) != (training, measuring)


def test_each_label_gives_its_share_to_what_is_held_out() -> None:
    examples = [
        Example((Message("user", f"q {n}"),), "yes" if n % 10 else "no", n) for n in range(200)
    ]
    _, measuring = held_out(examples, seed=7)
    assert sum(one.answer == "no" for one in measuring) == 4


def test_two_rows_are_one_to_learn_and_one_to_measure() -> None:
    training, measuring = held_out([Example((Message("user", c),), c) for c in "ab"], seed=7)
    assert len(training) == len(measuring) == 1


def test_narrow_models_learn_at_a_higher_rate() -> None:
    assert rate_for(256) == pytest.approx(2.49e-3, rel=0.01)
    assert rate_for(4096) == pytest.approx(2.86e-4, rel=0.01)


def test_few_rows_are_seen_more_often() -> None:
    assert [epochs_for(rows, 16) for rows in (10, 300, 500, 1_000, 100_000)] == [10, 10, 7, 4, 3]


def test_a_fingerprint_changes_with_recipe_data_and_base() -> None:
    marks = {
        Recipe().fingerprint("data", "base"),
        Recipe(seed=8).fingerprint("data", "base"),
        Recipe().fingerprint("other", "base"),
        Recipe().fingerprint("data", "other"),
    }
    assert len(marks) == 4
