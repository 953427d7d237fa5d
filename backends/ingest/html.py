"""Reads HTML into text that keeps its structure: headings, lists, tables and code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backends.errors import UnreadableDocument
from backends.ingest.claims import claims_access, looks_like_acl, overlooked
from backends.ingest.document import ReadDocument, one_line, title_from_name, unix_newlines
from backends.ingest.front_matter import access_list
from backends.ingest.nesting import MAX_DEPTH, nests_too_deep
from backends.ingest.text import decode

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

    from backends.principals import Principals

_DROPPED_TAGS = """
    canvas footer head header iframe nav noscript object script style svg template
"""
_BLOCK_TAGS = """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset
    figcaption figure form h1 h2 h3 h4 h5 h6 hr html legend li main ol p pre section summary table
    tbody tfoot thead tr ul
"""
_DROPPED = frozenset(_DROPPED_TAGS.split())
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}

_META_NAMES = ("name", "property", "itemprop", "http-equiv")
_COMMENT = re.compile(r"<!--(.*?)(?:--!?>|\Z)", re.DOTALL)

_MAX_INDENT = 8
"""Lists nested deeper are indented no further: indentation would grow with the square of depth."""


def read_html(source: str, data: bytes) -> ReadDocument:
    """Read HTML: the text of its content, as Markdown-like blocks a blank line apart.

    Navigation, page headers and footers, scripts and hidden elements are left out. The title is
    ``<title>``, else the first ``<h1>``, else made from the file name. ``<meta name="acl">`` says
    who may see it, as ``acl:`` does in the front matter of Markdown.

    Raises:
        UnreadableDocument: It is not text, nests too deep to be parsed in good time, or its access
            list cannot be trusted.
    """
    tree = _parse(source, data)
    acl = _access(source, tree)
    _refuse_overlooked(source, data, tree)
    title = tree.css_first("head > title") or tree.css_first("h1")
    writer = _Writer()
    if tree.body is not None:
        _walk(tree.body, writer)
    return ReadDocument(
        body=writer.result(),
        title=one_line(title.text() if title else "") or title_from_name(source),
        media_type="text/html",
        acl=acl,
    )


def _parse(source: str, data: bytes) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser

    # The HTML Standard looks for a declared encoding in the first 1024 bytes and no further.
    if re.search(rb"charset\s*=", data[:1024], re.IGNORECASE) and b"\0" not in data:
        _check_nesting(source, data.decode("latin-1"))
        return LexborHTMLParser(data, encoding=True)
    text = decode(source, data)[0]
    _check_nesting(source, text)
    return LexborHTMLParser(text)


def _check_nesting(source: str, markup: str) -> None:
    if nests_too_deep(markup):
        raise UnreadableDocument(
            source,
            f"nests its elements more than {MAX_DEPTH} deep",
            hint="Save the page anew from a browser, or convert it to text.",
        )


def _access(source: str, tree: LexborHTMLParser) -> Principals | None:
    stated = [
        node.attributes.get("content")
        for node in tree.css("meta")
        if any(looks_like_acl(node.attributes.get(key) or "") for key in _META_NAMES)
    ]
    if not stated:
        return None
    if len(stated) > 1 or stated[0] is None:
        raise overlooked(source)
    return access_list(source, stated[0].split(","), 'in <meta name="acl">')


def _refuse_overlooked(source: str, data: bytes, tree: LexborHTMLParser) -> None:
    """Refuse a page with an access list where only a converter of Markdown would leave one."""
    markup = data.decode("utf-8", "replace")
    openings = [markup, tree.body.text(separator="\n") if tree.body else ""]
    openings += (comment[1] for comment in _COMMENT.finditer(markup))
    if any(map(claims_access, openings)):
        raise overlooked(source)


def _walk(root: LexborNode, writer: _Writer) -> None:
    """Visit the tree in document order, without recursion: pages nest thousands deep."""
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        entered = _enter(node, writer)
        if entered and node.child is not None:
            node, depth = node.child, depth + 1
            continue
        if entered:
            writer.leave(node.tag or "")
        while node is not None and depth > 0 and node.next is None:
            node, depth = node.parent, depth - 1
            if node is not None:
                writer.leave(node.tag or "")
        node = node.next if node is not None and depth > 0 else None


def _enter(node: LexborNode, writer: _Writer) -> bool:
    """Take in a node; False when what is inside must not be visited."""
    if node.is_text_node:
        writer.text(node.text_content or "")
        return False
    tag = node.tag or ""
    if not node.is_element_node or tag in _DROPPED or "hidden" in node.attributes:
        return False
    if tag == "pre":
        writer.code(node.text())
        return False
    writer.enter(tag)
    return True


class _Writer:
    """Collects blocks. Inline text gathers until a block begins or ends."""

    def __init__(self) -> None:
        self._blocks: list[tuple[str, str]] = []
        self._inline: list[str] = []
        self._prefix = ""
        self._list_depth = 0
        self._cells: list[str] = []
        self._cell_depth = 0
        self._tables = 0

    def result(self) -> str:
        """Return all blocks; items of a list and rows of a table stand on lines of their own."""
        self._flush()
        pieces: list[str] = []
        before = ""
        for kind, text in self._blocks:
            tight = kind == before and kind != "block"
            pieces += ["\n" if tight else "\n\n", text]
            before = kind
        return "".join(pieces[1:])

    def text(self, raw: str) -> None:
        self._inline.append(" ".join(re.split(r"\s+", raw)))

    def code(self, raw: str) -> None:
        if self._cell_depth:
            self.text(raw)
            return
        self._flush()
        text = unix_newlines(raw).strip("\n").rstrip()
        longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
        if text.strip():
            fence = "`" * (longest + 1)
            self._blocks.append(("block", f"{fence}\n{text}\n{fence}"))

    def enter(self, tag: str) -> None:
        if tag == "br":
            self._inline.append("\n")
        elif tag in {"td", "th"}:
            self._enter_cell()
        elif tag in _BLOCKS:
            self._boundary()
            self._enter_block(tag)

    def leave(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._leave_cell()
        elif tag == "tr" and not self._cell_depth:
            self._row()
        elif tag in _BLOCKS:
            self._boundary()
            self._leave_block(tag)

    def _enter_block(self, tag: str) -> None:
        if self._cell_depth:
            return
        if tag in _HEADINGS:
            self._prefix = _HEADINGS[tag]
        elif tag == "li":
            self._prefix = self._indent(-1) + "- "
        elif tag in {"ul", "ol"}:
            self._list_depth += 1
        elif tag == "table":
            self._tables += 1

    def _leave_block(self, tag: str) -> None:
        if tag in {"ul", "ol"} and not self._cell_depth:
            self._list_depth = max(0, self._list_depth - 1)
        if tag in _HEADINGS or tag == "li":
            self._prefix = ""

    def _enter_cell(self) -> None:
        if self._cell_depth == 0:
            self._flush()
        self._cell_depth += 1
        self._inline.append(" ")

    def _leave_cell(self) -> None:
        self._cell_depth = max(0, self._cell_depth - 1)
        self._inline.append(" ")
        if self._cell_depth == 0:
            self._cells.append(" ".join(self._taken().split()))

    def _row(self) -> None:
        cells, self._cells = self._cells, []
        if len(cells) == 1 and cells[0]:
            self._blocks.append(("block", cells[0]))
        elif any(cells):
            line = " | ".join(cell.replace("|", "\\|") for cell in cells)
            self._blocks.append((f"table {self._tables}", f"| {line} |"))

    def _boundary(self) -> None:
        if self._cell_depth:
            self._inline.append(" ")
        else:
            self._flush()

    def _flush(self) -> None:
        lines = [" ".join(line.split()) for line in self._taken().split("\n")]
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        if self._prefix.startswith("#"):
            text = " ".join(text.split())
        # Later paragraphs of a list item are indented, which keeps them with the item.
        indent = self._indent()
        body = text.replace("\n", "\n" + indent)
        item = self._prefix.endswith("- ")
        self._blocks.append(("item" if item else "block", (self._prefix or indent) + body))
        self._prefix = ""

    def _indent(self, deeper: int = 0) -> str:
        return "  " * max(0, min(self._list_depth, _MAX_INDENT) + deeper)

    def _taken(self) -> str:
        text, self._inline = "".join(self._inline), []
        return text
