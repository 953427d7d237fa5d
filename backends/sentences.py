"""Cuts text into sentences with exact offsets; knows Markdown's lines. Pure, no I/O.

Written for quoting: a cut too many tears a quotation apart, a cut too few only makes it longer, so
in doubt there is no cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["prose", "item", "row", "header", "heading", "code", "rule"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of a text: ``text[start:end]``, without white space around it.

    Attributes:
        start: First code point.
        end: One past the last.
        kind: ``prose``; ``item`` of a list; ``row`` of a table, or its ``header``; ``heading``;
            a line of ``code``; a ``rule`` or table separator, which says nothing.
        block: Number of the paragraph, item or line that it belongs to, from 0.
    """

    start: int
    end: int
    kind: Kind
    block: int


def split_sentences(text: str) -> list[Sentence]:
    """Return the sentences of a text in order; between them there is white space only.

    Prose and list items are cut at the ends of sentences; headings, table rows and lines of code
    are one piece each. The mark of a list item or heading belongs to its first sentence; see
    `without_marks`.
    """
    sentences: list[Sentence] = []
    for number, (kind, start, end) in enumerate(_blocks(text)):
        spans = _cut(text, start, end) if kind in ("prose", "item") else [(start, end)]
        sentences.extend(Sentence(*span, kind, number) for span in spans)
    return sentences


def statements(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each sentence that says something, Markdown marks off; none is empty.

    Headings, table headers, rules and code are left out.
    """
    spans = [
        without_marks(text, one.start, one.end)
        for one in split_sentences(text)
        if one.kind not in _SAYS_NOTHING
    ]
    return [(start, end) for start, end in spans if start < end]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each sentence of one paragraph, in order.

    Between them is only white space; text without a sentence's end is one sentence. Linear in the
    length of the text. The rules follow the sentence boundaries of Unicode Annex 29
    (https://unicode.org/reports/tr29/) plus abbreviations, initials and numbers, which the annex
    leaves to the application.
    """
    return _cut(text, *_trim(text, 0, len(text), None))


def without_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrow a span by the Markdown marks at its edges: bullets, quotes, table bars, emphasis.

    Emphasis goes only where its other half goes too. What is left is still one span of the text.
    """
    mark = _LEADING_MARK.match(text, start, end)
    if mark:
        start = mark.end()
    start, end = _trim(text, start, end, " \t\n|")
    for emphasis in ("***", "**", "__", "*", "_", "`"):
        inner = text[start + len(emphasis) : end - len(emphasis)]
        whole = text[start:end]
        wrapped = whole.startswith(emphasis) and whole.endswith(emphasis)
        if wrapped and inner and emphasis[0] not in inner:
            return start + len(emphasis), end - len(emphasis)
    return start, end


_SAYS_NOTHING = frozenset({"heading", "header", "rule", "code"})


# --- lines into blocks ---------------------------------------------------------------------------

_HEADING = re.compile(r"[ ]{0,3}#{1,6}(?:\s|$)")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-{2,})\s*$")
_RULE = re.compile(r"(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}")
_SEPARATOR = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
_ITEM = re.compile(r"\s*(?:[-*+•‣–]|\d{1,3}[.)]|[a-zA-Z]\))\s+(?=\S)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_LEADING_MARK = re.compile(
    r"\s*(?:>\s*)*(?:#{1,6}\s+|(?:[-*+•‣–]|\d{1,3}[.)]|[a-zA-Z]\))\s+(?:\[[ xX]\]\s+)?)?"
)

_Block: TypeAlias = tuple[Kind, int, int]


def _blocks(text: str) -> Iterator[_Block]:
    """Yield kind and trimmed span of each block."""
    for kind, start, end in _joined(text):
        start, end = _trim(text, start, end, None)
        if start < end:
            yield kind, start, end


def _joined(text: str) -> Iterator[_Block]:
    """Join lines that run on: a paragraph or an item lasts until a line that begins something."""
    open_block: _Block | None = None
    for kind, start, end in _lines(text):
        runs_on = kind == "prose" and open_block is not None and open_block[0] in ("prose", "item")
        if kind == "underline":
            # Under a paragraph it makes a heading of it; elsewhere it is a rule.
            if open_block is not None and open_block[0] == "prose":
                yield "heading", open_block[1], open_block[2]
                open_block = None
            kind = "rule"
        elif kind == "separator":
            if open_block is not None and open_block[0] == "row":
                open_block = ("header", open_block[1], open_block[2])
            kind = "rule"
        if runs_on and open_block is not None:
            open_block = (open_block[0], open_block[1], end)
            continue
        if open_block is not None:
            yield open_block
        open_block = None if kind == "blank" else (_known(kind), start, end)
    if open_block is not None:
        yield open_block


def _lines(text: str) -> Iterator[tuple[str, int, int]]:
    in_code = False
    position = 0
    for line in text.splitlines(keepends=True):
        start, position = position, position + len(line)
        if _FENCE.match(line):
            in_code = not in_code
            yield "rule", start, position
        elif in_code:
            yield ("code" if line.strip() else "blank"), start, position
        else:
            yield _kind_of(line), start, position


def _kind_of(line: str) -> str:
    bare = line.strip()
    tests = (
        ("blank", not bare),
        ("heading", _HEADING.match(line)),
        ("underline", _UNDERLINE.match(line)),
        ("separator", "|" in bare and _SEPARATOR.fullmatch(bare)),
        ("rule", _RULE.fullmatch(bare)),
        ("row", bare.startswith("|")),
        ("item", _ITEM.match(line)),
    )
    return next((kind for kind, holds in tests if holds), "prose")


def _known(kind: str) -> Kind:
    kinds: tuple[Kind, ...] = ("item", "row", "heading", "code", "rule")
    return next((known for known in kinds if known == kind), "prose")


# --- blocks into sentences -----------------------------------------------------------------------

_CLOSERS = "\"'”’»)\\]*_"
# Possessive, so that a long row of dots costs no more than its length.
_END = re.compile(
    rf"(?:(?<![.!?…؟۔।])[.!?…؟۔।]++[{_CLOSERS}]*+(?=\s|$)|[。！？｡]+[」』”’）】]{{0,4}})"
)
_OPENERS = "\"'“„«([*_`"
_LONGEST_ABBREVIATION = 20

# Never the end of a sentence: something always follows.
_LEADS_ON_WORDS = """
    mr mrs ms dr prof st sr messrs gen col capt lt sgt rev hon e.g i.e eg ie cf vs v viz al ch ed
    eds para approx ca abs bzw d.h z.b u.a evtl ggf inkl
    exkl zzgl bspw vgl max min incl excl
"""
_LEADS_ON = frozenset(_LEADS_ON_WORDS.split())
# Leads on to a number only: "No. 7", but "The answer is no."
_COUNTS_WORDS = "no nos nr fig figs tab sec vol pp p art"
_COUNTS = frozenset(_COUNTS_WORDS.split())
# The end of a sentence only before a word that begins one.
_MAY_END_WORDS = """
    etc inc ltd co corp jr a.m p.m am pm jan feb mar apr jun jul aug sep sept oct nov dec mon tue
    wed thu fri sat sun dept est usw hrs hr mins ext tel
"""
_MAY_END = frozenset(_MAY_END_WORDS.split())
_STARTER_WORDS = """
    the a an this that these those it its they we you he she i in on at for if when while after
    before as all each every any no but and however there here our your their to from with please
    der die das ein eine dies diese es sie wir ihr er im am für wenn alle jede aber und
"""
_STARTERS = frozenset(_STARTER_WORDS.split())
# "am 3. Mai"
_MONTHS_WORDS = """
    januar februar märz april mai juni juli august september oktober november dezember
"""
_MONTHS = frozenset(_MONTHS_WORDS.split())
_ACRONYM = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]$")
_NEXT_WORD = re.compile(r"\w+")


def _cut(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    begin = start
    # The mark of "1. First step" is no end of a sentence.
    mark = _ITEM.match(text, start, end)
    for found in _END.finditer(text, mark.end() if mark else start, end):
        if _ends_sentence(text, begin, found, end):
            spans.append((begin, found.end()))
            begin = _skip_space(text, found.end(), end)
    if begin < end:
        spans.append((begin, end))
    return spans


def _ends_sentence(text: str, begin: int, found: re.Match[str], end: int) -> bool:
    if found.group()[0] in "。！？｡":
        return True
    at = _skip_space(text, found.end(), end)
    if at >= end:
        return True
    while at < end - 1 and text[at] in _OPENERS:
        at += 1
    if text[at].islower():
        return False
    return found.group()[0] != "." or _dot_ends(text, begin, found, at)


def _dot_ends(text: str, begin: int, found: re.Match[str], following: int) -> bool:
    word = _word_before(text, begin, found.start())
    if not word or found.group().startswith(".."):
        return True
    if word.lower() in _LEADS_ON or (len(word) == 1 and word.isupper() and word != "I"):
        return False
    if word.lower() in _COUNTS:
        return not text[following].isdigit()
    found_next = _NEXT_WORD.match(text, following)
    next_word = found_next.group().lower() if found_next else ""
    if word.isdecimal():
        # Numbers a step, or a day of the month; else it is the last word.
        return found.start() - len(word) > begin and next_word not in _MONTHS
    if word.lower() in _MAY_END or _ACRONYM.match(word):
        return next_word in _STARTERS
    return True


def _word_before(text: str, begin: int, end: int) -> str:
    start = end
    lowest = max(begin, end - _LONGEST_ABBREVIATION)
    while start > lowest and not text[start - 1].isspace() and text[start - 1] not in _OPENERS:
        start -= 1
    return text[start:end]


def _skip_space(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _trim(text: str, start: int, end: int, characters: str | None) -> tuple[int, int]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip(characters))
    return start, max(start, end - (len(piece) - len(piece.rstrip(characters))))
