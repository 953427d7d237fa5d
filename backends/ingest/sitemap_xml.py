"""Reads sitemaps and sitemap indexes (https://www.sitemaps.org/protocol.html)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

MAX_BYTES: Final = 50 * 1024 * 1024
"""Of one sitemap, unpacked; the protocol's own limit."""

MAX_ENTRIES: Final = 50_000
"""Of one sitemap; likewise."""


class NotASitemap(ValueError):
    """The bytes are no sitemap; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page or a further sitemap; ``lastmod`` as it is written, empty when it is not."""

    loc: str
    lastmod: str = ""


@dataclass(slots=True)
class Sitemap:
    """What a sitemap lists: pages, or when it is an index, further sitemaps."""

    is_index: bool = False
    entries: list[Entry] = field(default_factory=list)


def read_sitemap(data: bytes) -> Sitemap:
    """Read a sitemap, packed by gzip or not.

    Raises:
        NotASitemap: It is not well-formed, declares entities, is too large, or has another root.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(_unpacked(data), True)
    except expat.ExpatError as error:
        raise NotASitemap(f"is not well-formed XML ({error})") from error
    return reader.result


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacking = zlib.decompressobj(wbits=31)
    try:
        plain = unpacking.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise NotASitemap("is damaged: it cannot be unpacked") from error
    if unpacking.unconsumed_tail:
        raise NotASitemap(f"is larger than {MAX_BYTES // 1_048_576} MiB")
    return plain


def _refuse_entities(*_: object) -> None:
    raise NotASitemap("declares entities, which no sitemap needs")


class _Reader:
    """Collects ``loc`` and ``lastmod`` of each ``url`` or ``sitemap``."""

    def __init__(self) -> None:
        self.result = Sitemap()
        self._depth = 0
        self._field = ""
        self._fields: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        local = name.rpartition(" ")[2]
        self._depth += 1
        if self._depth == 1:
            if local not in {"urlset", "sitemapindex"}:
                raise NotASitemap(f"is no sitemap: its root is <{local[:40]}>")
            self.result.is_index = local == "sitemapindex"
        elif self._depth == 2:
            self._fields = {}
        # Images and translations have a loc of their own, deeper or in another namespace.
        self._field = local if self._depth == 3 and local in {"loc", "lastmod"} else ""

    def text(self, data: str) -> None:
        if self._field and len(self._fields.get(self._field, "")) < 4_000:
            self._fields[self._field] = self._fields.get(self._field, "") + data

    def end(self, name: str) -> None:
        del name
        self._depth -= 1
        self._field = ""
        if self._depth == 1 and (loc := self._fields.get("loc", "").strip()):
            self.result.entries.append(Entry(loc, self._fields.get("lastmod", "").strip()))
            if len(self.result.entries) > MAX_ENTRIES:
                raise NotASitemap(f"lists more than {MAX_ENTRIES} addresses")
