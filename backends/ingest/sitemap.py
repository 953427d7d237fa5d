"""A website as a source: the pages that its sitemap lists."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from backends.errors import UnreadableDocument
from backends.ingest.document import ReadDocument
from backends.ingest.files import unfit_name
from backends.ingest.read import read_document
from backends.ingest.seen import Seen
from backends.ingest.sitemap_xml import MAX_BYTES, Entry, NotASitemap, Sitemap, read_sitemap
from backends.ingest.source import (
    Content,
    Item,
    Offer,
    Scope,
    Unwalked,
    Withdrawn,
    mark_of,
    origin_of,
)
from backends.ingest.web import Fetched, Site, open_site

if TYPE_CHECKING:
    from yarl import URL

MAX_SITEMAPS: Final = 1_000
"""Sitemaps of one index: fifty million pages."""

MAX_PAGE_BYTES: Final = 20 * 1024 * 1024

PAGES: Final = 64
"""Pages whose marks are taken at once."""


class SitemapSource:
    """The pages of one site that its sitemap, or the sitemaps of its index, list.

    Nothing but pages of the sitemap's own scheme, host and port is fetched, whatever it lists and
    wherever it is redirected. A page that asks not to be indexed is not kept. What tells that a
    page has changed is its ``lastmod`` when that has a time of day, else what the server says
    without sending it (ETag, Last-Modified), else the page.

    Args:
        url: Of the sitemap, http or https.
        max_bytes: Largest page.

    Raises:
        ValueError: It is no such address, or holds a user or password.
    """

    def __init__(self, url: str, *, max_bytes: int = MAX_PAGE_BYTES) -> None:
        from yarl import URL

        self._url = URL(url)
        if self._url.scheme not in {"http", "https"} or not self._url.host:
            raise ValueError("the address of a sitemap begins with http:// or https://")
        if self._url.user is not None or self._url.password is not None:
            raise ValueError("the address of a sitemap may not hold a user or password")
        self._max_bytes = max_bytes
        self._origin = origin_of(f"sitemap:{self._url}".encode())

    @property
    def replaces(self) -> bool:
        """An address means the same page whichever sitemap lists it."""
        return True

    @property
    def scopes(self) -> Sequence[Scope]:
        """The pages that this sitemap has brought."""
        return [Scope(str(self._url.origin()), self._origin)]

    @property
    def whole(self) -> bool:
        """All that is listed is looked at."""
        return True

    async def batches(self) -> AsyncGenerator[Sequence[Offer], None]:
        """Yield the pages, as `backends.ingest.source.Source` says."""
        seen = Seen()
        async with (
            open_site(self._url, max(self._max_bytes, MAX_BYTES)) as site,
            aclosing(self._listed(site)) as lists,
        ):
            async for listed in lists:
                if isinstance(listed, Unwalked):
                    yield [listed]
                    continue
                for start in range(0, len(listed), PAGES):
                    some = listed[start : start + PAGES]
                    pages = [page for page in some if seen.add(page.loc.partition("#")[0])]
                    async with asyncio.TaskGroup() as group:
                        offers = [group.create_task(self._offer(site, page)) for page in pages]
                    yield [offer.result() for offer in offers]

    async def _listed(self, site: Site) -> AsyncGenerator[Unwalked | Sequence[Entry], None]:
        first = await self._sitemap(site, str(self._url))
        if isinstance(first, Unwalked) or not first.is_index:
            yield first if isinstance(first, Unwalked) else first.entries
            return
        for entry in first.entries[:MAX_SITEMAPS]:
            further = await self._sitemap(site, entry.loc)
            if isinstance(further, Sitemap) and further.is_index:
                yield Unwalked(entry.loc, "is an index within an index", hint="Correct it.")
            else:
                yield further if isinstance(further, Unwalked) else further.entries
        if len(first.entries) > MAX_SITEMAPS:
            told = f"lists more than {MAX_SITEMAPS} sitemaps"
            yield Unwalked(str(self._url), told, hint="Ingest some of them by themselves.")

    async def _sitemap(self, site: Site, loc: str) -> Sitemap | Unwalked:
        try:
            fetched = await site.fetch(_address(site, loc))
            return await asyncio.to_thread(read_sitemap, fetched.data)
        except UnreadableDocument as error:
            return Unwalked(error.source, error.reason, hint=error.hint)
        except NotASitemap as error:
            return Unwalked(loc, str(error), hint="Check the address of the sitemap.")

    async def _offer(self, site: Site, page: Entry) -> Offer:
        try:
            url = _address(site, page.loc)
            mark = await _mark(site, url, page.lastmod)
        except UnreadableDocument as error:
            return error
        return Item(str(url), self._origin, mark, partial(self._content, site, url, page.lastmod))

    async def _content(self, site: Site, url: URL, lastmod: str) -> Content:
        page = await site.fetch(url)
        if len(page.data) > self._max_bytes:
            raise UnreadableDocument(str(url), "is too large", hint="Raise the limit.")
        return Content(_mark_of(page, lastmod), partial(_read_page, str(url), page))


def _address(site: Site, loc: str) -> URL:
    """Return a listed address without its fragment.

    Raises:
        UnreadableDocument: It is none, or not of this site.
    """
    from yarl import URL

    shown = ascii(loc[:200])
    try:
        url = URL(loc).with_fragment(None)
    except ValueError as error:
        raise UnreadableDocument(shown, "is no address", hint="Correct the sitemap.") from error
    if not site.holds(url) or url.user is not None:
        raise UnreadableDocument(
            loc if loc.isprintable() and len(loc) <= 200 else shown,
            "is not of the site that the sitemap is of, and was not fetched",
            hint="Ingest the sitemap of that site.",
        )
    if reason := unfit_name(str(url)):
        raise UnreadableDocument(shown, reason, hint="Shorten the address.")
    return url


async def _mark(site: Site, url: URL, lastmod: str) -> bytes:
    if _tells_time(lastmod):
        return mark_of(f"lastmod {lastmod}".encode())
    if version := await site.version(url):
        return mark_of(f"version {version}".encode())
    return mark_of((await site.fetch(url)).data)


def _mark_of(page: Fetched, lastmod: str) -> bytes:
    """The mark of a page that was fetched, by the same rules."""
    if _tells_time(lastmod):
        return mark_of(f"lastmod {lastmod}".encode())
    return mark_of(f"version {page.version}".encode() if page.version else page.data)


def _tells_time(lastmod: str) -> bool:
    """Whether it is more exact than a day, within which a page may change more than once."""
    return "T" in lastmod


def _read_page(source: str, page: Fetched) -> ReadDocument:
    document = read_document(source, _in_utf_8(page), media_type=page.media_type)
    if page.noindex or (document.media_type == "text/html" and _asks_not_to_be_kept(page.data)):
        raise Withdrawn(source)
    return document


def _in_utf_8(page: Fetched) -> bytes:
    """The page in UTF-8 with a mark, where the server names another encoding: it knows best."""
    if page.charset in {"", "utf-8", "utf8"} or page.media_type == "application/pdf":
        return page.data
    try:
        return codecs.BOM_UTF8 + page.data.decode(page.charset).encode()
    except (LookupError, UnicodeError):
        return page.data


def _asks_not_to_be_kept(data: bytes) -> bool:
    """Whether ``<meta name="robots">`` says so (https://www.robotstxt.org/meta.html)."""
    from selectolax.lexbor import LexborHTMLParser

    return any(
        (node.attributes.get("name") or "").strip().lower() == "robots"
        and bool({"noindex", "none"} & _words(node.attributes.get("content") or ""))
        for node in LexborHTMLParser(data, encoding=True).css("meta")
    )


def _words(directives: str) -> set[str]:
    return {word.strip().lower() for word in directives.split(",")}
