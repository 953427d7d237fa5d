"""A website by its sitemap: its own pages, as often as they change, and nobody else's."""

from __future__ import annotations

import gzip

import pytest

from backends.ingest import IngestReport, SitemapSource, Wishes, ingest_source
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import parse_principals
from tests.support.documents import pdf
from tests.support.website import Page, Website, website

BOOTS = Page("<title>Boots</title><main><h1>Boots</h1><p>Boots go back within a year.</main>")


async def run(
    url: str, store: MemoryStore, *, prune: bool = False, max_bytes: int = 100_000
) -> IngestReport:
    return await ingest_source(
        SitemapSource(url, max_bytes=max_bytes),
        store=store,
        embedder=HashingEmbedder(),
        wishes=Wishes(parse_principals("group:shop"), prune=prune),
    )


async def paths(site: Website, store: MemoryStore) -> list[str]:
    return [info.source.removeprefix(site.url) for info in await store.documents()]


def reasons(site: Website, report: IngestReport) -> dict[str, str]:
    return {one.source.removeprefix(site.url): one.reason for one in report.problems}


async def test_listed_pages_become_documents_under_their_addresses() -> None:
    async with website() as site:
        site.pages |= {"/": BOOTS, "/boots": BOOTS, "/unlisted": BOOTS}
        store = MemoryStore()
        report = await run(site.sitemap("/", "/boots?x=1", "/boots?x=1#top"), store)
        assert (report.published, report.problems) == (2, ())
        assert await paths(site, store) == ["/", "/boots?x=1"]
        [info, _] = await store.documents()
        assert (info.title, info.media_type, info.acl) == (
            "Boots", "text/html", parse_principals("group:shop"),
        )  # fmt: skip


async def test_an_index_and_packed_sitemaps_are_followed() -> None:
    async with website() as site:
        site.pages |= {"/a": BOOTS, "/b": BOOTS}
        site.sitemap("/a", at="/one.xml")
        site.sitemap("/b", at="/two.xml.gz")
        plain = site.pages["/two.xml.gz"].body
        assert isinstance(plain, str)
        site.pages["/two.xml.gz"] = Page(gzip.compress(plain.encode()))
        store = MemoryStore()
        await run(site.index("/one.xml", "/two.xml.gz"), store)
        assert await paths(site, store) == ["/a", "/b"]


async def test_a_page_whose_lastmod_is_as_before_is_not_asked_for() -> None:
    async with website() as site:
        site.pages["/a"] = BOOTS
        store, when = MemoryStore(), "2026-11-19T10:00:00Z"
        await run(site.sitemap("/a", lastmod=when), store)
        site.asked.clear()
        report = await run(site.sitemap("/a", lastmod=when), store)
        assert (report.unchanged, site.asked) == (1, [("GET", "/sitemap.xml")])


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
async def test_without_a_time_the_servers_word_tells_what_has_changed(header: str) -> None:
    async with website() as site:
        store = MemoryStore()
        for version, outcome in (("one", (1, 0)), ("one", (0, 1)), ("two", (1, 0))):
            site.pages["/a"] = Page(BOOTS.body, 200, {**BOOTS.headers, header: f'"{version}"'})
            site.asked.clear()
            report = await run(site.sitemap("/a", lastmod="2026-11-19"), store)
            assert (report.published, report.unchanged) == outcome
        assert site.asked == [("GET", "/sitemap.xml"), ("HEAD", "/a"), ("GET", "/a")]


async def test_without_any_word_the_page_itself_tells() -> None:
    async with website() as site:
        site.pages["/a"] = BOOTS
        store = MemoryStore()
        url = site.sitemap("/a")
        assert (await run(url, store)).published == 1
        assert (await run(url, store)).unchanged == 1
        site.pages["/a"] = Page("<p>New.")
        assert (await run(url, store)).published == 1


async def test_what_the_server_says_it_sends_chooses_the_reader() -> None:
    async with website() as site:
        site.pages |= {
            "/a": Page(pdf(["Boots."]), 200, {"Content-Type": "application/pdf"}),
            "/b": Page("# Rain\n\nIt rains.", 200, {"Content-Type": "text/markdown;charset=utf-8"}),
            "/c.html": Page(
                "<meta charset='utf-8'><p>Ботинки.".encode("cp1251"), 200,
                {"Content-Type": "text/html; charset=windows-1251"},
            ),
        }  # fmt: skip
        store = MemoryStore()
        report = await run(site.sitemap("/a", "/b", "/c.html"), store)
        assert report.problems == ()
        assert [info.media_type for info in await store.documents()] == [
            "application/pdf", "text/markdown", "text/html",
        ]  # fmt: skip
        cyrillic = await store.document(site.whole("/c.html"))
        assert cyrillic is not None
        assert cyrillic[1] == "Ботинки."


async def test_nothing_but_the_sites_own_pages_is_fetched() -> None:
    async with website() as site, website() as other:
        other.pages["/secret"] = BOOTS
        site.pages |= {
            "/there": Page("", 302, {"Location": other.whole("/secret")}),
            "/near": Page("", 301, {"Location": "/here"}),
            "/here": BOOTS,
            "/round": Page("", 302, {"Location": "/round"}),
        }
        listed = ["/there", "/near", "/round", other.whole("/secret"), "file:///etc/passwd", "x y"]
        store = MemoryStore()
        report = await run(site.sitemap(*listed), store)
        assert (await paths(site, store), other.asked) == (["/near"], [])
        assert reasons(site, report)["/there"] == "is redirected to another site"
        assert "redirected more than 5 times" in reasons(site, report)["/round"]
        assert len(report.problems) == 5


async def test_sitemaps_of_other_sites_are_not_fetched() -> None:
    async with website() as site, website() as other:
        other.sitemap("/a")
        report = await run(site.index(other.whole("/sitemap.xml")), MemoryStore())
        assert (len(report.problems), other.asked) == (1, [])


async def test_pages_that_cannot_be_had_are_named_and_the_rest_goes_on() -> None:
    async with website() as site:
        site.pages |= {"/a": BOOTS, "/broken": Page("", 500), "/large": Page("x" * 100_001)}
        store = MemoryStore()
        report = await run(site.sitemap("/gone", "/a", "/broken", "/large"), store)
        assert await paths(site, store) == ["/a"]
        assert reasons(site, report)["/gone"] == "is answered with status 404"
        assert sorted(reasons(site, report)) == ["/broken", "/gone", "/large"]


async def test_a_page_that_is_no_longer_listed_is_pruned() -> None:
    async with website() as site:
        site.pages |= {"/a": BOOTS, "/b": BOOTS}
        store = MemoryStore()
        await run(site.sitemap("/a", "/b"), store)
        report = await run(site.sitemap("/a"), store, prune=True)
        assert (report.pruned, await paths(site, store)) == (1, ["/a"])


@pytest.mark.parametrize(
    "page",
    [
        Page('<meta name="robots" content="noindex, follow"><p>Text.'),
        Page("<p>Text.", 200, {"Content-Type": "text/html", "X-Robots-Tag": "noindex"}),
        Page("<p>Text.", 200, {"Content-Type": "text/html", "X-Robots-Tag": "nofollow, NONE"}),
    ],
)
async def test_a_page_that_asks_not_to_be_kept_is_not(page: Page) -> None:
    async with website() as site:
        site.pages |= {"/a": BOOTS, "/b": BOOTS}
        store = MemoryStore()
        url = site.sitemap("/a", "/b")
        await run(url, store)
        site.pages["/b"] = page
        report = await run(url, store, prune=True)
        assert (report.pruned, report.problems, await paths(site, store)) == (1, (), ["/a"])


@pytest.mark.parametrize(
    ("sitemap", "told"),
    [
        (Page("", 404), "status 404"),
        (Page("<html><body>Not found</body></html>"), "its root is <html>"),
        (Page("<urlset><url>"), "not well-formed"),
        (Page('<!DOCTYPE x [<!ENTITY a "b">]><urlset/>'), "declares entities"),
        (Page(gzip.compress(b"<urlset/>")[:-9] + b"xxxxxxxxx"), "cannot be unpacked"),
        (Page(gzip.compress(b" " * 60_000_000)), "larger than 50 MiB"),
        (Page("<urlset/>"), "no document was found"),
    ],
)
async def test_a_sitemap_that_cannot_be_read_prunes_nothing(sitemap: Page, told: str) -> None:
    async with website() as site:
        site.pages["/a"] = BOOTS
        store = MemoryStore()
        url = site.sitemap("/a")
        await run(url, store)
        site.pages["/sitemap.xml"] = sitemap
        report = await run(url, store, prune=True)
        assert told in " ".join(reasons(site, report).values()) + report.problems[0].reason
        assert (report.pruned, await paths(site, store)) == (0, ["/a"])


async def test_a_site_that_is_down_prunes_nothing() -> None:
    store = MemoryStore()
    report = await run("http://127.0.0.1:1/sitemap.xml", store, prune=True)
    assert "cannot be fetched" in report.problems[0].reason


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "sitemap.xml", "http://ana:secret@host/x", "file:///x"]
)
def test_the_address_of_a_sitemap_is_checked_first(url: str) -> None:
    with pytest.raises(ValueError, match="address of a sitemap"):
        SitemapSource(url)
