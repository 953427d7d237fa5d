"""Finds the blocks of a Markdown-like text: headings, paragraphs, list items, tables, code.

Reads a line at a time and follows CommonMark where it matters for cutting
(https://spec.commonmark.org/0.31.2/): fences, headings of both kinds, list markers, and GFM tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["heading", "paragraph", "item", "table", "code"]


@dataclass(slots=True)
class Block:
    """``body[start:end]`` without white space at its ends; ``level`` is a heading's, 1 to 6."""

    start: int
    end: int
    kind: Kind
    level: int = 0


def find_blocks(body: str, *, rows: bool = False) -> list[Block]:
    """Return the blocks in order; between them is only white space.

    Args:
        body: The text, with ``\\n`` newlines.
        rows: The text is a record a line: runs of lines are tables, whatever they look like.
    """
    scan = _Scan(body)
    for start, end in _lines(body):
        if rows:
            scan.row(start, end)
        else:
            scan.line(start, end)
    return scan.blocks


def heading_text(body: str, block: Block) -> str:
    """Return what a heading says, without its marks."""
    return plain_heading(body[block.start : block.end].partition("\n")[0])


def plain_heading(line: str) -> str:
    """Return a heading line without ``#`` marks, emphasis, link targets and ``{#anchors}``."""
    text = re.sub(r"^#{1,6}(?=\s|$)|\s#+\s*$", "", line[:1000].strip())
    text = re.sub(r"\{[#.:][^{}]*\}\s*$", "", text.strip())
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    text = re.sub(r"\*\*|__|`", "", text)
    return " ".join(re.sub(r"(?<!\w)[*_]|[*_](?!\w)", "", text).split())


def table_header(body: str, block: Block) -> str:
    """Return the header cells of a table, ``Item | Discount``; empty without a delimiter row."""
    lines = _lines_of(body, block)
    header, delimiter = next(lines, ""), next(lines, "")
    if not _is_delimiter(delimiter):
        return ""
    cells = re.split(r"(?<!\\)\|", header.strip().strip("|"))
    return " | ".join(cell for cell in map(plain_heading, cells) if cell)


_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|(\d{1,9})[.)])[ \t]+\S")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_MAX_UNDERLINED = 200


def _lines(body: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(body):
        newline = body.find("\n", start)
        end = len(body) if newline < 0 else newline
        yield start, end
        start = end + 1


def _lines_of(body: str, block: Block) -> Iterator[str]:
    # A line at a time: a table may be as long as the body.
    start = block.start
    while start < block.end:
        newline = body.find("\n", start, block.end)
        end = block.end if newline < 0 else newline
        yield body[start:end]
        start = end + 1


def _is_delimiter(line: str) -> bool:
    return "-" in line and not line.strip(" \t|:-")


class _Scan:
    """The blocks so far, the block that the next line may extend, and the fence it stands in."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.blocks: list[Block] = []
        self.open: Block | None = None
        self.after_blank = False
        self.fence = ""

    def row(self, start: int, end: int) -> None:
        line = self.body[start:end]
        if not line.strip():
            self.open = None
        else:
            self._extend_or_begin("table", start, line)

    def line(self, start: int, end: int) -> None:
        line = self.body[start:end]
        if self.fence:
            self._inside_fence(start, line)
        elif not line.strip():
            self._blank()
        elif not (self._begins_fence(start, line) or self._begins_heading(start, line)):
            self._content(start, line)
            self.after_blank = False

    def _blank(self) -> None:
        self.after_blank = True
        if self.open is not None and self.open.kind != "item":
            self.open = None

    def _inside_fence(self, start: int, line: str) -> None:
        stripped = line.strip()
        if stripped:
            self._extend(start, line)
        if len(stripped) >= len(self.fence) and set(stripped) == {self.fence[0]}:
            self.fence, self.open = "", None

    def _begins_fence(self, start: int, line: str) -> bool:
        found = _FENCE.match(line)
        if found is None or (found[1][0] == "`" and "`" in found[2]):
            return False
        self._begin("code", start, line)
        self.fence = found[1]
        return True

    def _begins_heading(self, start: int, line: str) -> bool:
        found = _HEADING.match(line)
        if found is not None:
            self._begin("heading", start, line).level = len(found[1])
            self.open = None
            return True
        block = self.open
        underline = _UNDERLINE.match(line)
        if underline is None or block is None or not self._may_be_underlined(block):
            return False
        self._extend(start, line)
        block.kind, block.level = "heading", 1 if underline[1][0] == "=" else 2
        self.open = None
        return True

    def _may_be_underlined(self, block: Block) -> bool:
        short = block.end - block.start <= _MAX_UNDERLINED
        return block.kind == "paragraph" and short and self._is_one_line(block)

    def _is_one_line(self, block: Block) -> bool:
        return self.body.find("\n", block.start, block.end) < 0

    def _content(self, start: int, line: str) -> None:
        if self._is_table(line):
            self._extend_or_begin("table", start, line)
        elif self._is_item(line):
            self._begin("item", start, line)
        elif self._continues(line):
            self._extend(start, line)
        else:
            self._begin("paragraph", start, line)

    def _is_table(self, line: str) -> bool:
        block = self.open
        if line.lstrip().startswith("|"):
            return True
        if block is None or "|" not in line:
            return False
        if block.kind == "table":
            return True
        # A delimiter row under one line with bars makes that line the table's header.
        delimiter = _is_delimiter(line)
        header = block.kind == "paragraph" and self._is_one_line(block)
        if not (delimiter and header and "|" in self.body[block.start : block.end]):
            return False
        block.kind = "table"
        return True

    def _is_item(self, line: str) -> bool:
        found = _ITEM.match(line)
        if found is None:
            return False
        # A wrapped line such as "2019. We moved" is no list; only number 1 interrupts a paragraph.
        inside = self.open is not None and self.open.kind == "paragraph"
        return not (inside and found[1] is not None and int(found[1]) != 1)

    def _continues(self, line: str) -> bool:
        if self.open is None or self.open.kind == "table":
            return False
        return not self.after_blank or line.startswith(("  ", "\t"))

    def _extend_or_begin(self, kind: Kind, start: int, line: str) -> None:
        if self.open is not None and self.open.kind == kind:
            self._extend(start, line)
        else:
            self._begin(kind, start, line)

    def _begin(self, kind: Kind, start: int, line: str) -> Block:
        first = start + len(line) - len(line.lstrip())
        self.open = Block(first, start + len(line.rstrip()), kind)
        self.blocks.append(self.open)
        self.after_blank = False
        return self.open

    def _extend(self, start: int, line: str) -> None:
        if self.open is not None:
            self.open.end = start + len(line.rstrip())
