"""Citations are checked while they stream: the passage was given, and the span is verbatim.

A generator marks its sources as ``[2]`` after a statement. A mark stands when passage 2 exists and
holds a sentence that supports the statement; the citation then points at exactly that sentence. A
mark that does not stand never reaches the reader; the others are numbered from 1 in the order in
which the reader meets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.amounts import Stated, stated_in
from agents.base import Citation, Cited, Token
from agents.sources import Sources
from backends.base import Passage
from backends.sentences import split_sentences, without_marks
from backends.terms import question_terms

MIN_SUPPORT: Final = 0.5
"""Share of the statement's words that a cited sentence must hold when it is not verbatim."""

# Bounded, so that a long row of spaces costs no more than its length.
# Models also write [1; 2], [1-2] and [^1]: of a range its ends are checked.
_MARK = re.compile(r"[ \t]{0,8}\[\^?[ ]?(\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3}){0,8})[ ]?\]", re.ASCII)
_MARK_BEGUN = re.compile(r"[ \t]{0,8}(?:\[[\d,;^– -]{0,60})?$")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d.,:/-]*\d|\d")


class CitationChecker:
    """Takes an answer in pieces; gives back what may be shown, with verified citations.

    Attributes:
        text: Everything shown so far.
        citations: Those verified so far; offsets point into ``text``.
        removed: Marks that did not verify.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._pending = ""
        self._cited = ""
        self._statement = ""
        self._shown_as: dict[int, int] = {}
        self.text = ""
        self.citations: list[Citation] = []
        self.removed = 0

    def feed(self, piece: str) -> Iterator[Token | Cited]:
        """Take the next piece; a mark that is still incomplete is held back."""
        self._pending += piece
        while mark := _MARK.search(self._pending):
            yield from self._show(self._pending[: mark.start()])
            if self._in_code():
                yield from self._show(mark.group(0))
                self._pending = self._pending[mark.end() :]
                continue
            space = mark.group(0)[: mark.group(0).index("[")]
            numbers = [int(number) for number in re.findall(r"\d+", mark.group(1))]
            self._pending = self._pending[mark.end() :]
            yield from self._mark(space, numbers)
        begun = _MARK_BEGUN.search(self._pending)
        ready = begun.start() if begun else len(self._pending)
        shown, self._pending = self._pending[:ready], self._pending[ready:]
        yield from self._show(shown)

    def close(self) -> Iterator[Token | Cited]:
        """The answer is over; show what was held back."""
        shown, self._pending = self._pending, ""
        yield from self._show(shown)

    def _show(self, text: str) -> Iterator[Token]:
        if text:
            self.text += text
            self._statement += text
            yield Token(text)

    def _in_code(self) -> bool:
        """Whether a code span is open on this line, or a fence: ``rows[0]`` cites nothing."""
        if len(_FENCE.findall(self.text)) % 2 == 1:
            return True
        return self.text[self.text.rfind("\n") + 1 :].count("`") % 2 == 1

    def _mark(self, space: str, numbers: Sequence[int]) -> Iterator[Token | Cited]:
        """Several marks may stand behind one statement, or behind parts of one sentence."""
        behind = _last_statement(self._statement)
        whole = _last_statement(f"{self._cited}{self._statement}")
        statements = dict.fromkeys(one for one in (behind or self._cited, whole) if one)
        for number in numbers:
            span = self._span(number, statements)
            if span is None:
                self.removed += 1
                continue
            seen_as = self._shown_as.setdefault(number, len(self._shown_as) + 1)
            mark = f"[{seen_as}]"
            shown, space = f"{space}{mark}", ""
            self.text += shown
            start = len(self.text) - len(mark)
            self.citations.append(self._citation(number, seen_as, start, span))
            yield Token(shown)
            yield Cited(self.citations[-1])
        self._cited, self._statement = whole, ""

    def _span(self, number: int, statements: Iterable[str]) -> tuple[int, int] | None:
        """Find what supports the words since the last mark, or else all of their sentence."""
        if not 1 <= number <= len(self._passages):
            return None
        passage = self._passages[number - 1].text
        spans = (supporting_span(statement, passage) for statement in statements)
        return next((span for span in spans if span), None)

    def _citation(
        self, number: int, seen_as: int, text_start: int, span: tuple[int, int]
    ) -> Citation:
        passage = self._passages[number - 1]
        start, end = span
        return Citation(
            number=seen_as,
            text_start=text_start,
            text_end=text_start + len(f"[{seen_as}]"),
            passage_id=passage.id,
            document_id=passage.document_id,
            title=passage.title,
            source=passage.source,
            version=passage.version,
            start=passage.start + start,
            end=passage.start + end,
            quote=passage.text[start:end],
            passage=passage.text,
            heading=passage.heading,
            page=passage.page,
        )


def supporting_span(statement: str, passage: str) -> tuple[int, int] | None:
    """Find the words of a passage that support a statement.

    Args:
        statement: One statement of an answer.
        passage: The text that it is said to rest on.

    Returns:
        Where the statement stands verbatim, word for word; else the sentence that shares most words
        with it, if that is at least ``MIN_SUPPORT`` of them and every number of the statement, in
        this form or another ("1,200" and "1200"); else None.
    """
    if verbatim := re.search(rf"(?<!\w){re.escape(statement)}(?!\w)", passage):
        return verbatim.span()
    said, numbers = set(question_terms(statement)), set(_NUMBER.findall(statement))
    if not said:
        return None
    best, support = None, MIN_SUPPORT
    stated = [one for one in stated_in(statement) if one.kind != "name"] if numbers else []
    for sentence in split_sentences(passage):
        begin, end = without_marks(passage, sentence.start, sentence.end)
        text = passage[begin:end]
        if not numbers <= set(_NUMBER.findall(text)) and not _hold(text, stated):
            continue
        share = len(said & set(question_terms(text))) / len(said)
        if share > support or (best is None and share >= support):
            best, support = (begin, end), share
    return best


def _hold(text: str, stated: Sequence[Stated]) -> bool:
    """Whether a text has facts, dates for instance, in whatever form."""
    return bool(stated) and all(map(Sources([text]).hold, stated))


def _last_statement(text: str) -> str:
    """The last sentence before a mark, without the Markdown around it."""
    found = split_sentences(text)
    if not found:
        return ""
    begin, end = without_marks(text, found[-1].start, found[-1].end)
    return text[begin:end].lstrip(".,;:!? ")
