"""Turns a file's bytes into a document, choosing the reader by suffix and by what is inside."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

from backends.errors import UnreadableDocument
from backends.ingest.document import ReadDocument

DEFAULT_MAX_BYTES = 50 * 1024 * 1024

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd"})
HTML = frozenset({".html", ".htm", ".xhtml"})

_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/csv": ".csv",
}
"""Readers by media type; ``text/plain`` and what says nothing leave it to the suffix."""


def read_document(source: str, data: bytes, *, media_type: str = "") -> ReadDocument:
    """Return the document that a file holds.

    The suffix of ``source`` chooses the reader, unless a server has said what it sends. An unknown
    suffix is taken for PDF when the bytes begin like one, else for text.

    Args:
        source: Names the document.
        data: Its bytes.
        media_type: As a server calls it; empty when only the suffix tells.

    Raises:
        UnreadableDocument: The bytes are empty, binary, damaged, encrypted or hold no text; the
            error names the source, the reason, and what to do.
    """
    if not data:
        raise UnreadableDocument(source, "is empty", hint="Remove it, or write something into it.")
    suffix = PurePosixPath(source).suffix.lower()
    document = _read(source, _SUFFIXES.get(media_type, suffix), data)
    if not document.body.strip():
        raise UnreadableDocument(source, "holds no text", hint="Remove it, or add its text.")
    return document


def read_bytes(path: Path, source: str, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """Return the content of a regular file; what is too large is refused by its size, unread.

    Raises:
        UnreadableDocument: It is missing, too large, not a regular file, or may not be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableDocument(source, "is not a regular file", hint="Remove it.")
        if status.st_size > max_bytes:
            raise too_large(source, status.st_size, max_bytes)
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableDocument(
            source, f"cannot be read ({reason})", hint="Check the file and its permissions."
        ) from error
    if len(data) > max_bytes:
        raise too_large(source, len(data), max_bytes)
    return data


def too_large(source: str, size: int, max_bytes: int) -> UnreadableDocument:
    """Return the refusal of a document of ``size`` bytes where ``max_bytes`` are allowed."""
    return UnreadableDocument(
        source,
        f"is too large ({size / 1_048_576:.1f} MiB; at most {max_bytes / 1_048_576:.1f} MiB)",
        hint="Split it, or raise the limit.",
    )


def _read(source: str, suffix: str, data: bytes) -> ReadDocument:
    # The readers' libraries are loaded only for the formats that occur.
    if suffix == ".pdf" or data.startswith(b"%PDF-"):
        from backends.ingest.pdf import read_pdf

        return read_pdf(source, data)
    if suffix in HTML:
        from backends.ingest.html import read_html

        return read_html(source, data)
    from backends.ingest.text import read_markdown, read_text

    return read_markdown(source, data) if suffix in MARKDOWN else read_text(source, data, suffix)
