"""What ships to measure the starter's adapters on is not in what they learn from."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

from backends.slots import Slots
from backends.starter.corpus import Corpus, read_corpus
from backends.starter.rows import NAMES, compose
from router.evaluation.held_out import shipped_rows, written_pairs

EXAMPLES = Path(__file__).parents[2] / "router" / "tuning" / "examples"
ROWS = 3_000
FEWEST_WORDS = 4
"""Of a text that is looked for; "Thank you very much." may be said by anybody."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_no_written_text_is_in_the_rows_that_are_learnt(name: str, corpus: Corpus) -> None:
    learnt = "\n".join(
        plain(f"{row.user}\n{row.assistant}") for row in islice(compose(name, corpus, seed=1), ROWS)
    )

    assert [text for text in held_out() if text in learnt] == []


def held_out() -> list[str]:
    """Every written text, as it is and with its facts in slots."""
    texts = {text for pair in written_pairs() for text in (pair.source, pair.target)}
    for row in (*shipped_rows("brand-voice", None), *shipped_rows("tone", None)):
        texts |= {row.wish, row.reference, *row.evidence}
    both = {plain(one) for text in texts for one in (text, Slots().hide(text))}
    return sorted(text for text in both if len(text.split()) >= FEWEST_WORDS)


def plain(text: str) -> str:
    """Without what makes no other text of it: capitals, marks, punctuation, which slot it is."""
    return " ".join(re.findall(r"<[ndpc]|\w+", re.sub(r"<([ndpc])\d+>", r"<\1", text.lower())))
