"""Reads the text layer of PDF files through PDFium."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from backends.errors import UnreadableDocument
from backends.ingest.document import ReadDocument, one_line, title_from_name, unix_newlines

if TYPE_CHECKING:
    import pypdfium2

MAX_SECONDS = 120.0
"""A file that takes longer than this is refused between two pages."""

_PDFIUM = threading.Lock()
"""PDFium keeps state for the whole process and must not be entered by two threads at once
(https://pdfium.googlesource.com/pdfium/+/main/README.md), so its lock is the process's too."""


def read_pdf(source: str, data: bytes) -> ReadDocument:
    """Read the text of every page in order; safe to call from any thread.

    A page that ends in the middle of a sentence runs on into the next, otherwise a blank line parts
    them. The title is the one in the file's properties, else made from the file name.

    Raises:
        UnreadableDocument: It is encrypted, damaged, without text, or takes too long.
    """
    with _PDFIUM:
        title, texts = _page_texts(source, data)
    body, pages = _joined(texts)
    if not body:
        raise UnreadableDocument(
            source,
            "holds no text (scanned?)",
            hint="Run text recognition over it, or provide the text in another format.",
        )
    return ReadDocument(
        body=body,
        title=one_line(title) or title_from_name(source),
        media_type="application/pdf",
        pages=pages,
    )


_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD in PDFium's public/fpdfview.h."""

_HYPHENATED = re.compile("[\x02\ufffe]\\s?")
"""PDFium writes one of these where a word was hyphenated at the end of a line."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")


def _page_texts(source: str, data: bytes) -> tuple[str, list[str]]:
    import pypdfium2

    deadline = time.monotonic() + MAX_SECONDS
    try:
        document = pypdfium2.PdfDocument(data)
        try:
            title = str(document.get_metadata_value("Title") or "")
            texts = []
            for number in range(len(document)):
                texts.append(_page_text(document, number))
                if time.monotonic() > deadline:
                    raise UnreadableDocument(
                        source,
                        f"takes longer than {MAX_SECONDS:.0f} s to read",
                        hint="Split it into smaller files.",
                    )
            return title, texts
        finally:
            document.close()
    except pypdfium2.PdfiumError as error:
        raise _unreadable(source, error) from error


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            return _cleaned(text_page.get_text_bounded())
        finally:
            text_page.close()
    finally:
        page.close()


def _cleaned(raw: str) -> str:
    text = _CONTROLS.sub("", _HYPHENATED.sub("", unix_newlines(raw)))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _joined(texts: list[str]) -> tuple[str, list[tuple[int, int]]]:
    pieces: list[str] = []
    pages: list[tuple[int, int]] = []
    offset = 0
    for number, text in enumerate(texts, start=1):
        if not text:
            continue
        gap = "" if not pieces else "\n\n" if pieces[-1].endswith((".", "!", "?", ":")) else "\n"
        pages.append((offset + len(gap), number))
        pieces += [gap, text]
        offset += len(gap) + len(text)
    return "".join(pieces), pages


def _unreadable(source: str, error: pypdfium2.PdfiumError) -> UnreadableDocument:
    if getattr(error, "err_code", None) == _WRONG_PASSWORD:
        return UnreadableDocument(
            source, "is encrypted; remove the password", hint="Save a copy without a password."
        )
    return UnreadableDocument(
        source,
        f"is damaged or not a PDF ({one_line(str(error))})",
        hint="Open it in a PDF viewer and save it again.",
    )
