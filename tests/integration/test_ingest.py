"""From files to PostgreSQL: what is ingested is found by those it is for, and by nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backends.base import DocumentInfo, ScoredPassage, SearchQuery
from backends.errors import Misconfigured
from backends.ingest import IngestReport, IngestStopped, Progress, ingest
from backends.memory.embedder import HashingEmbedder
from backends.principals import EVERYONE, Principals, asker, parse_principals
from tests.support.documents import folder, pdf
from tests.support.stores import Store, in_postgres

PUBLIC: Principals = frozenset({EVERYONE})
HR = parse_principals("group:hr")


async def run(root: Path, store: Store) -> IngestReport:
    return await ingest([root], store=store, embedder=HashingEmbedder(), acl=PUBLIC)


async def search(store: Store, text: str, principals: Principals) -> list[ScoredPassage]:
    [vector] = await HashingEmbedder().embed([text])
    return list(await store.search(SearchQuery(text, vector, asker(principals))))


async def only_document(store: Store) -> tuple[DocumentInfo, str]:
    [info] = await store.documents()
    found = await store.document(info.source)
    assert found is not None
    return found


async def test_an_ingested_passage_is_found_with_its_heading_and_exact_place(
    database_url: str, tmp_path: Path
) -> None:
    text = "# Returns\r\n\r\nAll.\r\n\r\n## Boots 🥾\r\n\r\nWorn boots go back within a year.\r\n"
    async with in_postgres(database_url) as store:
        await run(folder(tmp_path / "docs", {"a.md": text}), store)
        best = (await search(store, "worn boots", HR))[0].passage
        _, body = await only_document(store)
        assert (best.title, best.heading) == ("Returns", "Returns > Boots 🥾")
        assert body[best.start : best.end] == best.text
        assert "Worn boots" in best.text


async def test_a_passage_of_a_pdf_is_found_with_its_page(database_url: str, tmp_path: Path) -> None:
    data = pdf(["Shoes are on this page. " * 3] * 8, ["Boots are on that page. " * 3] * 8)
    async with in_postgres(database_url) as store:
        await run(folder(tmp_path / "docs", {"a.pdf": data}), store)
        assert (await search(store, "boots", HR))[0].passage.page == 2


async def test_the_access_list_in_the_file_decides_who_finds_it(
    database_url: str, tmp_path: Path
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "---\nacl: group:hr\n---\nThe salary is high."})
    async with in_postgres(database_url) as store:
        await run(root, store)
        found_by_hr = await search(store, "salary", HR)
        found_by_ana = await search(store, "salary", parse_principals("user:ana"))
        assert (len(found_by_hr), found_by_ana) == (1, [])


async def test_a_broken_access_list_never_widens_what_was_published(
    database_url: str, tmp_path: Path
) -> None:
    async with in_postgres(database_url) as store:
        await run(folder(tmp_path / "d", {"a.md": "---\nacl: group:hr\n---\nOld."}), store)
        report = await run(folder(tmp_path / "d", {"a.md": "---\nacl: hr\n---\nNew."}), store)
        info, body = await only_document(store)
        assert (len(report.problems), info.acl, body) == (1, HR, "Old.")


@pytest.mark.parametrize(
    "data",
    [
        b"bell \x07 and form feed \x0c",
        "line\u2028separators\x85 and \ufeff marks".encode(),
        b'---\ntitle: "\\0\\ud800"\nx: "\\0"\n---\nText.',
        b"&#0;&#xD800;<p>Text",
    ],
)
async def test_whatever_can_be_read_can_be_stored(
    database_url: str, tmp_path: Path, data: bytes
) -> None:
    async with in_postgres(database_url) as store:
        report = await run(folder(tmp_path / "d", {"a.md": data, "b.html": data}), store)
        assert (report.published, report.problems) == (2, ())


async def test_unchanged_files_keep_their_version(database_url: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "Text."})
    async with in_postgres(database_url) as store:
        await run(root, store)
        await run(root, store)
        info, _ = await only_document(store)
        assert info.version == 1


async def test_two_runs_at_once_leave_each_document_once(database_url: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {f"{number}.md": f"Text {number}." for number in range(5)})
    async with in_postgres(database_url) as store:
        await asyncio.gather(run(root, store), run(root, store))
        assert len(await search(store, "text", HR)) == 5


async def test_a_database_without_its_tables_stops_the_run(
    empty_database_url: str, tmp_path: Path
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "Text."})
    async with in_postgres(empty_database_url) as store:
        with pytest.raises(IngestStopped) as caught:
            await run(root, store)
        assert isinstance(caught.value.__cause__, Misconfigured)


async def test_an_interrupted_run_goes_on_without_loss_or_doubles(
    database_url: str, tmp_path: Path
) -> None:
    long = "\n\n".join(f"# Part {number}\n\nText." for number in range(120))
    root = folder(tmp_path / "docs", {f"{number:02}.md": long for number in range(12)})
    async with in_postgres(database_url) as store:
        published: asyncio.Queue[Progress] = asyncio.Queue()
        first = asyncio.create_task(
            ingest(
                [root],
                store=store,
                embedder=HashingEmbedder(),
                acl=PUBLIC,
                on_progress=published.put_nowait,
            )
        )
        for _ in range(4):
            await published.get()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        before = await store.documents()
        assert {info.passages for info in before} == {120}
        report = await run(root, store)
        after = await store.documents()
        assert (report.unchanged, report.published) == (len(before), 12 - len(before))
        assert {(info.version, info.passages) for info in after} == {(1, 120)}
        assert len(after) == 12


async def test_what_is_gone_is_pruned_from_the_database(database_url: str, tmp_path: Path) -> None:
    names = [f"{number:03}-é字.md" for number in range(30)]
    root = folder(tmp_path / "docs", {name: f"Text of {name}." for name in names})
    folder(root, {"a.md": "Kept.", "a/b.md": "Kept below."})
    async with in_postgres(database_url) as store:
        await run(root, store)
        for name in names:
            (root / name).unlink()
        report = await ingest(
            [root], store=store, embedder=HashingEmbedder(), acl=PUBLIC, prune=True
        )
        assert (report.pruned, report.unchanged) == (30, 2)
        assert [info.source for info in await store.documents()] == ["docs/a.md", "docs/a/b.md"]
