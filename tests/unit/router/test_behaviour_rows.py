"""Reading rows that an adapter is measured on, and the rows that ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.base import Message
from router.errors import InvalidRequest
from router.evaluation.behaviour_rows import read_rows
from router.evaluation.held_out import STYLES, shipped_rows, written_pairs
from router.evaluation.lines import BadBenchmark

CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Shop shut."},
    {"role": "assistant", "content": "Our shop is closed."},
]


def file(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_last_message_is_the_reference_and_what_is_before_it_is_asked(tmp_path: Path) -> None:
    [row] = read_rows(file(tmp_path, {"messages": CHAT, "style": "brand-voice"}))

    assert row.reference == "Our shop is closed."
    assert row.conversation == (Message("system", "Be kind."), Message("user", "Shop shut."))
    assert (row.wish, row.style, row.evidence) == ("Shop shut.", "brand-voice", ())


def test_evidence_stands_beside_the_messages_or_numbered_at_the_end_of_the_wish(
    tmp_path: Path,
) -> None:
    wish = "When does the shop open?"
    inline = f"{wish}\n\n[1] It opens at 9.\n[2] It closes at 18."

    def asked(text: str, **more: Any) -> dict[str, Any]:
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "At 9 [1]."}]
        return {"messages": turns, **more}

    sentences = ["It opens at 9.", "It closes at 18."]
    beside, behind = read_rows(file(tmp_path, asked(wish, evidence=sentences), asked(inline)))

    assert beside.evidence == behind.evidence == tuple(sentences)
    assert beside.wish == behind.wish == wish


@pytest.mark.parametrize(
    "text",
    ["List:\n\n[1] one\n[3] two", "[1] one", "List:\n\n[1] one\nand two", "See [1].\n\nNo list."],
)
def test_what_is_no_numbered_list_at_the_end_stays_in_the_wish(tmp_path: Path, text: str) -> None:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]

    [row] = read_rows(file(tmp_path, {"messages": turns}))

    assert (row.wish, row.evidence) == (text, ())


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "this is not JSON"),
        ({"messages": CHAT[:2]}, "there is no reference"),
        ({"text": "Shop shut."}, "there is no reference"),
        ({"messages": "x"}, "there is no reference"),
        ({"messages": [*CHAT[:2], {"role": "assistant", "content": " "}]}, "the reference must be"),
        ({"messages": CHAT[2:]}, "nobody asks anything"),
        ({"messages": [CHAT[0], CHAT[2]]}, "the last message must be the user's question"),
        (
            {"messages": CHAT, "style": "gruff"},
            "there is no style 'gruff'; use brand-voice, formal",
        ),
        ({"messages": CHAT, "evidence": "It opens."}, "evidence must be a list of texts"),
        ({"messages": CHAT, "evidence": [""]}, "evidence must be a list of texts"),
    ],
)
def test_a_row_that_cannot_be_measured_is_named_by_its_line(
    tmp_path: Path, row: Any, problem: str
) -> None:
    with pytest.raises(BadBenchmark, match=rf"rows\.jsonl:2: {problem}"):
        read_rows(file(tmp_path, {"messages": CHAT}, row))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBenchmark, match="there are no rows in it"):
        read_rows(file(tmp_path, ""))


def test_each_style_has_sixty_written_pairs_no_text_of_which_comes_twice() -> None:
    pairs = written_pairs()
    texts = [text for pair in pairs for text in (pair.source, pair.target)]

    assert all(sum(pair.style == style for pair in pairs) >= 60 for style in STYLES)
    assert len(texts) == len(set(texts))


def test_adapters_without_rows_of_their_own_are_sent_to_a_file() -> None:
    with pytest.raises(InvalidRequest, match="only for brand-voice, tone, attributes; name a file"):
        shipped_rows("tickets", None)
