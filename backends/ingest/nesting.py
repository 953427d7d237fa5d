"""Measures how deep HTML nests, before a parser whose time grows with the square of it sees it."""

from __future__ import annotations

import re

MAX_DEPTH = 2_000
"""Browsers stop at 512 (Blink's and WebKit's limit); pages that never close a tag go beyond it."""

_TAG = re.compile(r"<(/?)([a-z][a-z0-9:-]{0,40})(?:[^<>]{0,5000}?(/)?>)?", re.IGNORECASE)

# Void elements, and those that an opening tag of their like closes.
_UNCLOSED_TAGS = """
    area base body br caption col colgroup dd dt embed head hr html img input li link meta optgroup
    option p param rp rt source tbody td tfoot th thead tr track wbr
"""
_UNCLOSED = frozenset(_UNCLOSED_TAGS.split())
_FOREIGN = frozenset(["svg", "math"])


def nests_too_deep(markup: str) -> bool:
    """Whether more than ``MAX_DEPTH`` elements are open at once; linear, and only about right."""
    depth = 0
    foreign = 0
    for found in _TAG.finditer(markup):
        closing, name, alone = bool(found[1]), found[2].lower(), bool(found[3])
        if name in _UNCLOSED:
            continue
        # "<a/>" closes itself in SVG and MathML only; in HTML the slash means nothing.
        if alone and (foreign or name in _FOREIGN):
            continue
        step = -1 if closing else 1
        depth = max(0, depth + step)
        if name in _FOREIGN:
            foreign = max(0, foreign + step)
        if depth > MAX_DEPTH:
            return True
    return False
