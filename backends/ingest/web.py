"""Fetches pages of one site over HTTP: bounded, polite, and never anybody else's pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backends.errors import UnreadableDocument
from backends.ingest.read import too_large

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

AT_ONCE: Final = 4
"""Requests under way at once."""

TIMEOUT_S: Final = 60.0
"""Longest wait for one page, its redirects included."""

MAX_REDIRECTS: Final = 5

_AGENT: Final = "agentic-query-router (ingestion of documents by sitemap)"
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page as the server sent it.

    Attributes:
        media_type: Without parameters, in lower case; empty when the server does not say.
        charset: As the server says; empty when it does not.
        version: What the server says changes with the page (ETag, else Last-Modified); empty when
            it says nothing.
        noindex: The server asks not to keep it.
    """

    data: bytes
    media_type: str
    charset: str
    version: str
    noindex: bool


class Site:
    """The pages of one scheme, host and port. Open it with `open_site`."""

    def __init__(self, session: ClientSession, origin: URL, max_bytes: int) -> None:
        self._session = session
        self._origin = origin
        self._max_bytes = max_bytes
        self._places = asyncio.Semaphore(AT_ONCE)

    def holds(self, url: URL) -> bool:
        """Whether the page is of this site."""
        return url.is_absolute() and bool(url.host) and url.origin() == self._origin

    async def fetch(self, url: URL) -> Fetched:
        """Return a page.

        Raises:
            UnreadableDocument: It cannot be had: an error status, too large, too slow, or it leads
                away from the site. The error names the page.
        """
        async with self._answered("GET", url) as response:
            return await self._fetched(str(url), response)

    async def version(self, url: URL) -> str:
        """Return what the server says changes with the page, without fetching it; may be empty."""
        try:
            async with self._answered("HEAD", url) as response:
                return _version(response.headers)
        except UnreadableDocument:
            return ""  # not every server knows HEAD; what is really wrong shows when it is fetched

    @asynccontextmanager
    async def _answered(self, method: str, url: URL) -> AsyncIterator[ClientResponse]:
        import aiohttp

        source = str(url)
        try:
            async with self._places, asyncio.timeout(TIMEOUT_S):
                for _ in range(MAX_REDIRECTS + 1):
                    async with self._session.request(
                        method, url, allow_redirects=False
                    ) as response:
                        if response.status not in _MOVED:
                            _check_status(source, response.status)
                            yield response
                            return
                        url = self._next(source, url, response.headers.get("Location", ""))
                raise _unreadable(source, f"is redirected more than {MAX_REDIRECTS} times")
        except TimeoutError as error:
            raise _unreadable(source, f"was not answered within {TIMEOUT_S:.0f} s") from error
        except aiohttp.ClientError as error:
            raise _unreadable(source, f"cannot be fetched ({type(error).__name__})") from error

    def _next(self, source: str, url: URL, location: str) -> URL:
        from yarl import URL

        try:
            there = url.join(URL(location))
        except ValueError as error:
            raise _unreadable(source, "is redirected to something that is no address") from error
        if not self.holds(there):
            raise _unreadable(source, "is redirected to another site")
        return there

    async def _fetched(self, source: str, response: ClientResponse) -> Fetched:
        stated = response.content_length
        if stated is not None and stated > self._max_bytes:
            raise too_large(source, stated, self._max_bytes)
        data = bytearray()
        async for piece in response.content.iter_chunked(65_536):
            data += piece
            if len(data) > self._max_bytes:
                raise too_large(source, len(data), self._max_bytes)
        kind = response.headers.get("Content-Type", "")
        return Fetched(
            data=bytes(data),
            media_type=kind.partition(";")[0].strip().lower(),
            charset=_charset(kind),
            version=_version(response.headers),
            noindex=_asks_not_to_be_kept(response.headers.getall("X-Robots-Tag", [])),
        )


@asynccontextmanager
async def open_site(url: URL, max_bytes: int) -> AsyncIterator[Site]:
    """Use the site that an address is of, for the length of the block.

    Args:
        url: Absolute, http or https.
        max_bytes: Largest page, unpacked.
    """
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=AT_ONCE),
        headers={"User-Agent": _AGENT},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield Site(session, url.origin(), max_bytes)


def _check_status(source: str, status: int) -> None:
    if status != 200:
        raise _unreadable(source, f"is answered with status {status}")


def _unreadable(source: str, reason: str) -> UnreadableDocument:
    return UnreadableDocument(source, reason, hint="Check the address and the web server.")


def _version(headers: Mapping[str, str]) -> str:
    return headers.get("ETag") or headers.get("Last-Modified") or ""


def _asks_not_to_be_kept(directives: Iterable[str]) -> bool:
    """Whether it is asked of anybody: each may begin with the name of a crawler and a colon."""
    return any({"noindex", "none"} & set(re.split(r"[\s,:]+", one.lower())) for one in directives)


def _charset(kind: str) -> str:
    found = re.search(r"charset\s*=\s*\"?([\w.:-]+)", kind, re.IGNORECASE)
    return found[1].lower() if found else ""
