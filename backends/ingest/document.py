"""What reading a file yields: canonical text, and what is known about it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from backends.principals import Principals

MAX_TITLE = 200
"""Characters; a longer title is a paragraph in the wrong place and is shortened."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A file turned into text.

    Attributes:
        body: Canonical text: ``\\n`` newlines, no byte order mark. Every offset counts in it.
        title: One line, never empty.
        media_type: IANA media type of what was read.
        acl: Who may see it, where the file itself says so; None where it does not.
        metadata: Facts that the file states about itself.
        pages: (offset where the page begins, page number from 1) in order; empty without pages.
        rows: The body is a record a line (CSV); lines then stay whole.
    """

    body: str
    title: str
    media_type: str
    acl: Principals | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    pages: Sequence[tuple[int, int]] = ()
    rows: bool = False


def one_line(text: str) -> str:
    """Return the text as a single line that any database and any terminal can take.

    White space runs become one space; control characters and lone surrogates go.
    """
    kept = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _UNWANTED)
    return kept if len(kept) <= MAX_TITLE else kept[: MAX_TITLE - 1].rstrip() + "…"


def title_from_name(source: str) -> str:
    """Return a title made from the file name: ``handbook/returns-policy.md``: "Returns policy"."""
    stem = PurePosixPath(source).stem
    words = one_line(re.sub(r"[-_]+", " ", stem))
    return words[:1].upper() + words[1:] if words else one_line(source) or "Untitled"


def unix_newlines(text: str) -> str:
    """Return the text with every line end written as a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


_UNWANTED = frozenset({"Cc", "Cs"})
