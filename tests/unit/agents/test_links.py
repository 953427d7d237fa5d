"""Links in answers: only those that somebody gave, and never an image."""

from __future__ import annotations

import pytest

from agents.links import MAX_HELD, REMOVED, LinkGuard

GIVEN = (
    "See [the form](https://ok.example/form), https://ok.example/a_(b). "
    "Mail [us](mailto:hr@ok.example)."
)


def shown(text: str, piece: int | None = None) -> str:
    guard = LinkGuard([GIVEN])
    size = piece or len(text)
    said = [guard.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*said, guard.close()])


@pytest.mark.parametrize(
    "text",
    [
        "The form is [here](https://ok.example/form).",
        "See https://ok.example/a_(b), or [write](mailto:hr@ok.example) [1].",
        "Marks [1] and [2, 3], rows[0], 5 < 6, 1/2, // no, data: fine, whatever!",
        "The <b>bold</b> width",
    ],
)
def test_what_was_given_and_plain_text_stay_as_they_are(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi ![x](https://evil.example/?q=1) there.", "Hi x there."),
        ("![form](https://ok.example/form)", "[form](https://ok.example/form)"),
        ("!![form](https://ok.example/form)", "[form](https://ok.example/form)"),
        ("![x](https://evil.example)![form](https://ok.example/form)", None),
        ("[a!](https://evil.example)[form](https://ok.example/form)", None),
        ("!<img src=x>[form](https://ok.example/form)", None),
        ("[click](https://ok.example/form?q=secret)", "click"),
        ("[click](javascript:alert(1))", "click"),
        ("[click](//evil.example/x)", "click"),
        ("[x](<https://evil.example/a b>)", "x"),
        ("[1](//evil.example/x)", "1"),
        ("Go to https://evil.example/?q=1, now.", f"Go to {REMOVED}, now."),
        ("HTTPS://EVIL.example/x", REMOVED),
        ("www.evil.example/x", REMOVED),
        ("![a][1]\n\n[1]: https://evil.example/x", f"[a][1]\n\n[1]: {REMOVED}"),
        ("[1]: //evil.example/x", f"[1]: {REMOVED}"),
        ('<img src="https://evil.example/x">done', " done"),
        ("<svg onload=alert(1)>done", " done"),
        ("[a\nb](https://evil.example/x)", f"[a\nb]({REMOVED})"),
        ("https://ok.example/form/../secret", REMOVED),
    ],
)
@pytest.mark.parametrize("piece", [None, 1, 2, 3, 7])
def test_nothing_else_is_a_link_or_an_image(text: str, left: str | None, piece: int | None) -> None:
    found = shown(text, piece)

    assert "evil" not in found
    assert "![" not in found
    if left is not None:
        assert found == left


def test_what_was_removed_is_counted() -> None:
    guard = LinkGuard([GIVEN])
    guard.feed("![a](https://evil.example) [b](https://ok.example/form) www.evil.example/c")
    guard.close()

    assert guard.removed == 2


def test_an_address_without_an_end_is_not_waited_for() -> None:
    guard = LinkGuard([])
    said = guard.feed(f"[a](https://evil.example/{'x' * MAX_HELD}")

    assert said.startswith(f"[a]({REMOVED}")


@pytest.mark.parametrize("text", ["[" * 20_000, "![x](" + "(" * 20_000, "https://" + "x" * 20_000])
def test_a_long_answer_costs_no_more_than_its_length(text: str) -> None:
    assert len(shown(text, 50)) <= len(text) + len(REMOVED)
