"""Recognises openings that seem to say who may see a document but cannot be trusted to be read.

Static site generators, editors and people write front matter in more ways than one. Where a file
seems to begin with an access list, to overlook it would publish the file more widely than it says.
Only the opening counts: a text that speaks of access lists further down is no claim.
"""

from __future__ import annotations

import re
import unicodedata

from backends.errors import UnreadableDocument

MAX_CHARACTERS = 64_000
"""Front matter beyond this is not front matter."""


def claims_access(text: str) -> bool:
    """Whether the text begins with something that reads like an access list.

    Blocks between fences (``---``, ``+++``, ``<!--`` and their like) are searched whole; lines
    outside such blocks only until the first that is no ``key: value``, and only for values that
    look like principals.
    """
    fenced = False
    for raw in text[:MAX_CHARACTERS].splitlines():
        line = _visible(raw)
        if not line:
            continue
        if fence := _FENCE.match(line):
            if _KEY.search(line[fence.end() :]):
                return True
            fenced = not fenced and "-->" not in line
        elif fenced:
            if _KEY.search(line):
                return True
            fenced = "-->" not in line
        elif not _ENTRY.match(line):
            return False
        elif _PRINCIPALS.search(line):
            return True
    return False


def looks_like_acl(name: str) -> bool:
    """Whether people read a key as ``acl``, with wide letters or hidden ones between or not."""
    return _visible(unicodedata.normalize("NFKC", name)).casefold() == "acl"


def refuse_overlooked(source: str, text: str) -> None:
    """Return when the text, read without front matter, does not begin with an access list.

    Raises:
        UnreadableDocument: It does.
    """
    if claims_access(text):
        raise overlooked(source)


def overlooked(source: str) -> UnreadableDocument:
    """Return the refusal of a document with an access list that is not where it must be."""
    return UnreadableDocument(
        source,
        "seems to say who may see it, but not in a form that is understood",
        hint="Write 'acl:' between two lines of exactly three dashes at the top of a Markdown or "
        'text file, or <meta name="acl" content="…"> in HTML; or remove it.',
    )


_FENCE = re.compile(r"-{3,}|-(?:\s+-){2,}|\+{3,}|;{3,}|~{3,}|[‐-―−]|<!--|/\*|\{%|%YAML")
# Marks, tags and anchors of YAML may stand before a key; TOML and JSON have marks of their own.
_KEY = re.compile(
    r"""^\W*(?:[!&]\S*\s+)*["']?acl["']?\s*(?:[:=]|$)|[{,]\s*["']?acl["']?\s*[:=]""",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"""[]\[{}"'?:,#/]|\w[\w .-]{0,40}\s*[:=]""")
_PRINCIPALS = re.compile(
    r"""(?:^\W*|[{,]\s*["']?)acl["']?\s*[:=]\W*(?:(?:user|group):|everyone\b)
    |^["']?acl["']?\s*[:=]\s*["']?(?:$|[\[{])
    |^\?\s*["']?acl["']?\s*$""",
    re.IGNORECASE | re.VERBOSE,
)


def _visible(line: str) -> str:
    """The line as people see it, without zero-width characters and the like."""
    if not line.isascii():
        line = "".join(c for c in line if unicodedata.category(c) not in {"Cf", "Cc"})
    return line.strip()
