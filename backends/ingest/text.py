"""Reads Markdown and plain text."""

from __future__ import annotations

import codecs
import re

from backends.errors import UnreadableDocument
from backends.ingest.blocks import plain_heading
from backends.ingest.document import ReadDocument, one_line, title_from_name, unix_newlines
from backends.ingest.front_matter import split_access, split_front_matter

TEXT_TYPES = {".txt": "text/plain", ".rst": "text/x-rst", ".csv": "text/csv"}


def read_markdown(source: str, data: bytes) -> ReadDocument:
    """Read Markdown: the body is the text after the front matter, marks and all.

    The title is the front matter's, else the first ``# heading``, else made from the file name.

    Raises:
        UnreadableDocument: It is not text, or its front matter cannot be trusted.
    """
    text, encoding = decode(source, data)
    front, body = split_front_matter(source, text)
    first = re.search(r"^# +(\S.*)$", body, re.MULTILINE)
    heading = plain_heading(first[1]) if first else ""
    return ReadDocument(
        body=body,
        title=front.title or one_line(heading) or title_from_name(source),
        media_type="text/markdown",
        acl=front.acl,
        metadata={**front.metadata, **_noted(encoding)},
    )


def read_text(source: str, data: bytes, suffix: str) -> ReadDocument:
    """Read plain text; ``suffix`` tells CSV (a record a line) and reStructuredText apart.

    Front matter is Markdown's, but where one with an access list stands all the same, it counts.

    Raises:
        UnreadableDocument: It is not text, or its front matter cannot be trusted.
    """
    text, encoding = decode(source, data)
    front, text = split_access(source, text)
    return ReadDocument(
        body=text,
        title=front.title or title_from_name(source),
        media_type=TEXT_TYPES.get(suffix, "text/plain"),
        acl=front.acl,
        metadata={**front.metadata, **_noted(encoding)},
        rows=suffix == ".csv",
    )


def decode(source: str, data: bytes) -> tuple[str, str]:
    """Return the text (``\\n`` newlines, no byte order mark) and the encoding it was read in.

    A byte order mark decides; otherwise UTF-8, and Windows-1252 for text that is not valid UTF-8.

    Raises:
        UnreadableDocument: The bytes are no text in any of these.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _clean(source, _strictly(source, data[len(mark) :], encoding)), encoding
    try:
        return _clean(source, data.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        if _CONTROL_BYTES.search(data):
            raise _binary(source) from None
    return _clean(source, _strictly(source, data, "cp1252")), "cp1252"


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def _strictly(source: str, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _binary(source) from error


def _clean(source: str, text: str) -> str:
    if "\0" in text:
        raise _binary(source)
    return unix_newlines(text)


def _binary(source: str) -> UnreadableDocument:
    return UnreadableDocument(
        source,
        "is not text and not a format that can be read",
        hint="Convert it to Markdown, HTML, PDF or UTF-8 text.",
    )


def _noted(encoding: str) -> dict[str, str]:
    return {} if encoding == "utf-8" else {"encoding": encoding}
