"""Finds the sentences of a paragraph, careful about full stops that end none.

The rules follow the sentence boundaries of Unicode Annex 29 (https://unicode.org/reports/tr29/),
plus abbreviations, initials and numbers, which the annex leaves to the application.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each sentence in order; between them is only white space.

    Linear in the length of the text. Text without a sentence's end is one sentence.
    """
    start = len(text) - len(text.lstrip())
    stop = len(text.rstrip())
    for found in _END.finditer(text, start, stop):
        if found.end() < stop and _ends(text, found):
            yield start, found.end()
            start = found.end()
            while text[start].isspace():
                start += 1
    if start < stop:
        yield start, stop


_CLOSERS = r"[\"'”’»)\]}*_`]{0,8}"
_END = re.compile(rf"[.!?…؟۔।]+{_CLOSERS}(?=\s)|[。！？｡]+[」』”’）】]{{0,4}}")

_ABBREVIATED = """
    al approx apr aug ave blvd bzw ca capt cf co col corp dec dept dr ed eds est excl feb gen hon
    inc incl jan jr jul jun lt ltd mar max min mr mrs ms mt nov oct prof resp rev sep sept sgt sr st
    str tel vs
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
"""Words that a full stop abbreviates; single letters and dotted letters are found by shape."""

_BEFORE_NUMBERS = frozenset(["abs", "art", "fig", "no", "nos", "nr", "pp", "sec", "vol"])
"""Words that a full stop abbreviates only before a number: "No. 7", but "The answer is no." """

_DOTTED = re.compile(r"(?:^|[^\w.])(?:[^\W\d_]\.)+[^\W\d_]$|(?:^|\W)[^\W\d_]$")
_LAST_WORD = re.compile(r"\w+$")
_LOOK_BACK = 40


def _ends(text: str, found: re.Match[str]) -> bool:
    mark = found[0]
    if mark[0] in "。！？｡":
        return True
    following = _first_letter(text, found.end())
    if following.islower():
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    before = text[max(0, found.start() - _LOOK_BACK) : found.start()]
    if _DOTTED.search(before):
        return False
    word = _LAST_WORD.search(before)
    if word is None:
        return True
    # "1. Open the box": a number alone at the start of a line counts, it does not end.
    at_line_start = not before[: word.start()].rpartition("\n")[2].strip()
    counts = word[0].isdigit() and at_line_start and len(word[0]) <= 3
    if word[0].lower() in _BEFORE_NUMBERS:
        return not following.isdigit()
    return not counts and word[0].lower() not in _ABBREVIATIONS


def _first_letter(text: str, position: int) -> str:
    """Return the next character that is neither white space nor an opening mark; "" at the end."""
    for character in text[position : position + 100]:
        if not character.isspace() and character not in "\"'“‘«([{*_`¿¡":
            return character
    return ""
