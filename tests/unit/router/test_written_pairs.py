"""The pairs that robustness is measured on: balanced, all different, and nothing that trains."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files

import pytest

from router.policy import Route
from router.tuning.pairs import FILES, KINDS, Pair, own_pairs, read_pair
from router.tuning.rows import UnreadableRows


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return own_pairs()


def normal(text: str) -> str:
    return " ".join(text.casefold().split())


def test_every_kind_has_enough_pairs_to_say_something(pairs: list[Pair]) -> None:
    counted = Counter(pair.kind for pair in pairs)

    assert tuple(counted) == KINDS
    assert min(counted.values()) >= 40
    assert counted["paraphrase"] >= 150


@pytest.mark.parametrize("kind", KINDS)
def test_each_route_has_its_share_of_every_kind(pairs: list[Pair], kind: str) -> None:
    routes = Counter(pair.route for pair in pairs if pair.kind == kind)

    assert routes.keys() == set(Route)
    shares = [count / routes.total() for count in routes.values()]
    assert 0.2 <= min(shares) <= max(shares) <= 0.45


def test_no_text_stands_there_twice(pairs: list[Pair]) -> None:
    texts = [normal(text) for pair in pairs for text in (pair.text, pair.variant)]

    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_no_text_stands_in_another_file_of_examples(pairs: list[Pair]) -> None:
    texts = {normal(text) for pair in pairs for text in (pair.text, pair.variant)}
    folder = files("router.tuning") / "examples"
    others = [file for file in folder.iterdir() if file.name.removesuffix(".jsonl") not in FILES]
    rows = [
        json.loads(line)
        for file in others
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    known = {normal(row.get("text") or row["messages"][-1]["content"]) for row in rows}

    assert len(known) > 6_000
    assert texts & known == set()


def test_the_question_stands_in_what_hides_and_in_what_steers_it(pairs: list[Pair]) -> None:
    around = [pair for pair in pairs if pair.kind in ("hidden", "steering")]

    assert [pair for pair in around if len(pair.variant) <= len(pair.text)] == []
    assert [pair.text for pair in around if not holds(pair.variant, pair.text)] == []


def holds(text: str, question: str) -> bool:
    """Whether every word of the question comes in the text, in its order."""
    words = iter(re.findall(r"\w+", normal(text)))
    return all(word in words for word in re.findall(r"\w+", normal(question)))


PAIR = {
    "text": "How long may boots be returned?",
    "variant": "Wie lange kann man Stiefel zurückgeben?",
    "needs_facts": True,
    "needs_manner": False,
    "change": "language",
    "language": "de",
}


def test_a_pair_in_another_language_is_of_that_kind() -> None:
    pair = read_pair(json.dumps(PAIR), "here")

    assert (pair.kind, pair.route) == ("de", Route.FACTUAL)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no json", "JSONDecodeError"),
        ("[]", "TypeError"),
        (json.dumps({**PAIR, "change": "noise"}), "no kind 'noise'"),
        (json.dumps({**PAIR, "language": "it"}), "no kind 'it'"),
        (json.dumps({**PAIR, "needs_facts": 1}), "true or false"),
        (json.dumps({**PAIR, "variant": " "}), "not blank"),
        (json.dumps({**PAIR, "text": None}), "not blank"),
        (json.dumps({name: PAIR[name] for name in PAIR if name != "variant"}), "variant"),
    ],
)
def test_a_line_that_is_no_pair_is_named(line: str, problem: str) -> None:
    with pytest.raises(UnreadableRows, match=rf"paraphrases, line 7: .*{problem}"):
        read_pair(line, "paraphrases, line 7")
