"""A small website over real HTTP, whose pages can be changed while it is up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered for a path."""

    body: bytes | str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})


@dataclass(slots=True)
class Website:
    """The site: its address without a slash at the end, its pages by path, and what was asked."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def sitemap(self, *paths: str, lastmod: str = "", at: str = "/sitemap.xml") -> str:
        """List the paths (or whole addresses) in a sitemap and return its address."""
        when = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
        entries = "".join(f"<url><loc>{self.whole(path)}</loc>{when}</url>" for path in paths)
        namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
        self.pages[at] = Page(
            f'<?xml version="1.0"?><urlset xmlns="{namespace}">{entries}</urlset>'
        )
        return self.whole(at)

    def index(self, *paths: str, at: str = "/index.xml") -> str:
        """List sitemaps in an index and return its address."""
        entries = "".join(f"<sitemap><loc>{self.whole(path)}</loc></sitemap>" for path in paths)
        self.pages[at] = Page(f"<sitemapindex>{entries}</sitemapindex>")
        return self.whole(at)

    def whole(self, path: str) -> str:
        """Return the address of a path."""
        return f"{self.url}{path}" if path.startswith("/") else path

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.asked.append((request.method, request.path))
        page = self.pages.get(request.path, Page("gone", 404))
        body = page.body.encode() if isinstance(page.body, str) else page.body
        return web.Response(body=body, status=page.status, headers=dict(page.headers))


@asynccontextmanager
async def website() -> AsyncIterator[Website]:
    """Serve an empty site on a free port of this machine."""
    site = Website("")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        await runner.cleanup()
