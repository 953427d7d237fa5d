"""Splits a document into passages: along its structure first, between sentences second.

Headings begin a passage and travel along as its path. Tables, code and list items stay whole when
they fit. A sentence is cut only when it alone exceeds what fits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from backends.base import NewPassage
from backends.ingest.blocks import Block, find_blocks, heading_text, table_header
from backends.ingest.budget import (
    HEADING_SEPARATOR,
    MIN_MAX_TOKENS,
    Budget,
    CountTokens,
    embedding_text,
    passage_context,
)
from backends.ingest.cuts import cut
from backends.sentences import sentence_spans

CHUNKER_VERSION = "2"
"""Part of every fingerprint: raise it when the same text would be split differently."""

TARGET_SHARE = 0.7
"""Passages aim at this share of the cap: 180 of 256 tokens, so that one idea fills one vector."""

MAX_HEADING = 120
"""Characters of one heading in a passage's path."""


def split(
    body: str,
    *,
    count_tokens: CountTokens,
    max_tokens: int,
    title: str = "",
    pages: Sequence[tuple[int, int]] = (),
    rows: bool = False,
) -> list[NewPassage]:
    """Split a canonical text into passages, in order.

    ``body[p.start:p.end] == p.text`` for each, only white space lies between them, and the text
    with its context (`backends.ingest.budget.passage_context` of the title and the heading) takes
    at most ``max_tokens``. Linear in the length of the body. A passage that begins within a table
    has the table's header cells as its last heading, where there is room for them.

    Args:
        body: The text, with ``\\n`` newlines.
        count_tokens: The embedder's own count, special tokens included.
        max_tokens: What the embedder reads of one text; at least ``MIN_MAX_TOKENS``.
        title: The document's title, which is embedded with each passage.
        pages: (offset where the page begins, page number), ascending; passages keep to a page.
        rows: The body is a record a line.

    Raises:
        ValueError: ``max_tokens`` is below ``MIN_MAX_TOKENS``.
    """
    if max_tokens < MIN_MAX_TOKENS:
        raise ValueError(f"max_tokens is {max_tokens}; at least {MIN_MAX_TOKENS} are needed")
    page_starts = [start for start, _ in pages]

    def page_index(piece: _Piece) -> int:
        return bisect_right(page_starts, piece.start)

    def heading_at(section: _Section, start: int, end: int) -> str:
        header = _short(section.header_above(body, start))
        if not header:
            return section.heading
        longer = HEADING_SEPARATOR.join(part for part in (section.heading, header) if part)
        context = passage_context(title, longer, count_tokens, max_tokens)
        fits = count_tokens(embedding_text(context, body[start:end])) <= max_tokens
        return longer if fits else section.heading

    passages: list[NewPassage] = []
    for section in _sections(body, find_blocks(body, rows=rows)):
        context = passage_context(title, section.heading, count_tokens, max_tokens)
        budget = Budget(count_tokens, context, max_tokens, int(max_tokens * TARGET_SHARE))
        pieces = _pieces(body, section.blocks, budget)
        # A citation names one page, so only a sentence may run over the end of it.
        for index, on_page in groupby(pieces, key=page_index):
            page = pages[index - 1][1] if index else None
            passages += [
                NewPassage(start, end, body[start:end], heading_at(section, start, end), page)
                for start, end in _pack(body, list(on_page), budget)
            ]
    return passages


_MAX_CAPTION = 80


@dataclass(slots=True)
class _Section:
    """The blocks below one heading, the heading itself included."""

    heading: str
    blocks: list[Block]

    def header_above(self, body: str, offset: int) -> str:
        """Return the header of the table that the offset lies within, not at its beginning."""
        block = self.blocks[bisect_left(self.blocks, offset, key=lambda each: each.start) - 1]
        within = block.kind == "table" and block.start < offset < block.end
        return table_header(body, block) if within else ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that is not cut further; ``parting`` says how well a passage may end after it."""

    start: int
    end: int
    cost: float
    parting: int


_TOGETHER, _SENTENCE, _ITEM, _BLOCK = range(4)
"""How well a passage may end after a piece: it introduces what follows; within a block; between
two items of a list; between two blocks."""


def _sections(body: str, blocks: Sequence[Block]) -> Iterator[_Section]:
    """Group blocks below headings; headings without anything between them share a section."""
    path: list[tuple[int, str]] = []
    section = _Section("", [])
    for block in blocks:
        if block.kind == "heading":
            if any(kept.kind != "heading" for kept in section.blocks):
                yield section
                section = _Section("", [])
            path = [(level, text) for level, text in path if level < block.level]
            path.append((block.level, heading_text(body, block)))
            section.heading = HEADING_SEPARATOR.join(_short(text) for _, text in path if text)
        section.blocks.append(block)
    if section.blocks:
        yield section


def _short(heading: str) -> str:
    return heading if len(heading) <= MAX_HEADING else heading[: MAX_HEADING - 1].rstrip() + "…"


def _pieces(body: str, blocks: Sequence[Block], budget: Budget) -> list[_Piece]:
    base = budget.cost("")
    pieces: list[_Piece] = []
    for position, block in enumerate(blocks):
        after = blocks[position + 1] if position + 1 < len(blocks) else None
        spans = list(_spans(body, block, budget))
        for number, (start, end) in enumerate(spans, start=1):
            last = number == len(spans)
            parting = _parting(body, block, after) if last else _SENTENCE
            cost = budget.cost(body[start:end]) - base
            pieces.append(_Piece(start, end, max(0.0, cost), parting))
    return pieces


def _parting(body: str, block: Block, after: Block | None) -> int:
    if block.kind == "heading" or _introduces(body, block):
        return _TOGETHER
    if after is not None and block.kind == after.kind == "item":
        return _ITEM
    return _BLOCK


def _introduces(body: str, block: Block) -> bool:
    """Whether the block leads in to the next: it ends in a colon or is a caption of a few words."""
    if block.kind in {"table", "code"}:
        return False
    ending = body[max(block.start, block.end - 8) : block.end].rstrip("*_`")
    if ending.endswith((":", "：")):
        return True
    short = block.kind == "paragraph" and block.end - block.start <= _MAX_CAPTION
    return short and ending[-1:].isalnum()


def _spans(body: str, block: Block, budget: Budget) -> Iterator[tuple[int, int]]:
    """Yield what the block must be cut into so that each piece fits."""
    whole = block.kind != "paragraph" and budget.fits(body[block.start : block.end])
    if whole:
        yield block.start, block.end
        return
    parts = _lines if block.kind in {"table", "code"} else _sentences
    for start, end in parts(body, block):
        if budget.fits(body[start:end]):
            yield start, end
        else:
            yield from cut(body, start, end, budget)


def _lines(body: str, block: Block) -> Iterator[tuple[int, int]]:
    start = block.start
    while start < block.end:
        newline = body.find("\n", start, block.end)
        end = block.end if newline < 0 else newline
        line = body[start:end]
        if line.strip():
            yield start + len(line) - len(line.lstrip()), start + len(line.rstrip())
        start = end + 1


def _sentences(body: str, block: Block) -> Iterator[tuple[int, int]]:
    for start, end in sentence_spans(body[block.start : block.end]):
        yield block.start + start, block.start + end


def _pack(body: str, pieces: Sequence[_Piece], budget: Budget) -> Iterator[tuple[int, int]]:
    """Yield the span of each passage of a section."""
    first = 0
    base = budget.cost("")
    while first < len(pieces):
        after = _reach(pieces, first, budget.target - base, budget.cap - base)
        # Costs of pieces add up only about; what is published is counted as a whole.
        while after > first + 1 and not budget.fits(
            body[pieces[first].start : pieces[after - 1].end]
        ):
            after -= 1
        yield pieces[first].start, pieces[after - 1].end
        first = after


def _reach(pieces: Sequence[_Piece], first: int, target: float, most: float) -> int:
    """Return the index after the last piece of the passage that begins with ``first``.

    Everything that is left when that fits; else up to the best place to part between half the
    target and the target; else a piece beyond the target.
    """
    used = 0.0
    best, best_rank = first + 1, (-1, 0)
    for index in range(first, len(pieces)):
        piece = pieces[index]
        used += piece.cost
        if used > most:
            return best
        rank = _rank(piece, index, used, target, parted=best_rank[0] >= _SENTENCE)
        if rank > best_rank:
            best, best_rank = index + 1, rank
    return len(pieces)


def _rank(
    piece: _Piece, index: int, used: float, target: float, *, parted: bool
) -> tuple[int, int]:
    if piece.parting == _TOGETHER:
        return (-1, index if used <= target else 0)
    if used > target:
        # Beyond the target only when whatever could end before it would be less than half of one.
        return (-1, 0) if parted else (_SENTENCE, 0)
    return (piece.parting if used >= target / 2 else _TOGETHER, index)
