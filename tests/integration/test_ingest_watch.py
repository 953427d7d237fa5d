"""A folder that is followed: real changes, as the kernel tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.base import DocumentInfo, NewDocument, NewPassage
from backends.errors import Misconfigured, Unavailable
from backends.ingest import IngestReport, IngestStopped, SqlSource, Wishes
from backends.ingest.following import Follower, News, Pace, Waiting
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import parse_principals
from tests.support.documents import folder

if TYPE_CHECKING:
    from backends.base import Vectors

BRISK = Pace(gather=0.05, look=0.05, retry=0.01)


class SometimesDown(MemoryStore):
    """Fails as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        if self.failures:
            raise self.failures.pop()
        return await super().publish(document, passages, embeddings)


@asynccontextmanager
async def followed(
    root: Path, store: MemoryStore, *, prune: bool = False, pace: Pace = BRISK
) -> AsyncIterator[AsyncGenerator[News, None]]:
    """Follow the folder; the first whole run is over."""
    wishes = Wishes(parse_principals("everyone"), prune=prune)
    follower = Follower(store, HashingEmbedder(), wishes, pace)
    async with aclosing(follower.by_changes(root)) as news:
        assert isinstance(await anext(news), IngestReport)
        yield news


async def until(news: AsyncGenerator[News, None], enough: Callable[[News], bool]) -> News:
    async for one in news:
        if enough(one):
            return one
    raise AssertionError("the news ended")


def published(one: News) -> bool:
    return isinstance(one, IngestReport) and one.published > 0


def pruned(one: News) -> bool:
    return isinstance(one, IngestReport) and one.pruned > 0


def broken(one: News) -> bool:
    return isinstance(one, IngestReport) and bool(one.problems)


async def body(store: MemoryStore, source: str) -> str:
    found = await store.document(source)
    return found[1] if found else ""


async def sources(store: MemoryStore) -> list[str]:
    return [info.source for info in await store.documents()]


async def test_a_changed_file_is_ingested_by_itself(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "Old.", "b.md": "B."}), MemoryStore()
    async with followed(root, store) as news:
        (root / "a.md").write_text("New.")
        report = await until(news, published)
        assert isinstance(report, IngestReport)
        assert (await body(store, "docs/a.md"), report.unchanged) == ("New.", 0)


async def test_a_new_file_in_a_new_folder_is_ingested(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    async with followed(root, store) as news:
        folder(root, {"sub/deep/b.md": "B.", ".hidden/c.md": "C."})
        await until(news, published)
        assert await sources(store) == ["docs/a.md", "docs/sub/deep/b.md"]


async def test_removed_files_and_folders_are_pruned_when_asked(tmp_path: Path) -> None:
    files = {"a.md": "A.", "b.md": "B.", "sub/c.md": "C.", "sub/d.md": "D."}
    root, store = folder(tmp_path / "docs", files), MemoryStore()
    async with followed(root, store, prune=True) as news:
        (root / "b.md").unlink()
        await until(news, pruned)
        (root / "sub").rename(tmp_path / "away")
        await until(news, pruned)
        assert await sources(store) == ["docs/a.md"]


async def test_the_last_file_can_be_removed_too(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    async with followed(root, store, prune=True) as news:
        (root / "a.md").unlink()
        await until(news, pruned)
        assert await sources(store) == []


async def test_a_renamed_file_is_the_same_text_under_another_name(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."}), MemoryStore()
    async with followed(root, store, prune=True) as news:
        (root / "a.md").rename(root / "c.md")
        while await sources(store) != ["docs/b.md", "docs/c.md"]:
            await anext(news)


async def test_without_pruning_a_removed_file_stays_a_document(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."}), MemoryStore()
    async with followed(root, store) as news:
        (root / "b.md").unlink()
        (root / "c.md").write_text("C.")
        await until(news, published)
        assert await sources(store) == ["docs/a.md", "docs/b.md", "docs/c.md"]


async def test_a_broken_file_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    async with followed(root, store) as news:
        (root / "b.md").write_bytes(b"\0")
        await until(news, broken)
        (root / "c.md").write_text("C.")
        await until(news, published)
        assert await sources(store) == ["docs/a.md", "docs/c.md"]


async def test_nothing_behind_a_link_out_of_the_folder_is_published(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    folder(tmp_path / "private", {"s.md": "Secret."})
    async with followed(root, store) as news:
        (root / "link").symlink_to(tmp_path / "private")
        await until(news, broken)
        (tmp_path / "private" / "t.md").write_text("Secret too.")
        (root / "c.md").write_text("C.")
        await until(news, published)
        assert await sources(store) == ["docs/a.md", "docs/c.md"]


async def test_a_store_that_is_down_is_waited_for(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), SometimesDown()
    async with followed(root, store) as news:
        down = Unavailable("The database is down.", backend="database")
        store.failures = [down, down]
        (root / "a.md").write_text("New.")
        told = [await anext(news), await anext(news)]
        assert told == [
            Waiting("The database is down. Trying again in 0.01 s."),
            Waiting("The database is down. Trying again in 0.02 s."),
        ]
        await until(news, published)
        assert await body(store, "docs/a.md") == "New."


async def test_what_waiting_does_not_mend_ends_it(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), SometimesDown()
    async with followed(root, store) as news:
        store.failures = [Misconfigured("Another model.", backend="database")]
        (root / "a.md").write_text("New.")
        with pytest.raises(IngestStopped):
            await until(news, published)


async def test_a_folder_that_is_gone_is_waited_for_and_wipes_nothing(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    async with followed(root, store, prune=True) as news:
        root.rename(tmp_path / "away")
        gone = await until(news, lambda one: isinstance(one, Waiting))
        assert gone == Waiting("The folder docs is gone; waiting for it to come back.")
        assert await sources(store) == ["docs/a.md"]
        (tmp_path / "away" / "b.md").write_text("B.")
        (tmp_path / "away").rename(root)
        await until(news, published)
        (root / "c.md").write_text("C.")
        await until(news, published)
        assert await sources(store) == ["docs/a.md", "docs/b.md", "docs/c.md"]


async def test_the_whole_folder_is_walked_now_and_then(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    pace = Pace(gather=0.05, look=0.05, walk=0.1)
    async with followed(root, store, pace=pace) as news:
        again = await anext(news)
        assert isinstance(again, IngestReport)
        assert again.unchanged == 1


async def test_following_can_be_cancelled_while_nothing_happens(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    async with followed(root, store, pace=Pace()) as news:
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await waiting


async def test_a_query_is_repeated_by_the_clock(database_url: str) -> None:
    store = MemoryStore()
    source = SqlSource(
        "SELECT 1 AS id, 'ana' AS owner, clock_timestamp() AS now", url=database_url, name="clock"
    )
    follower = Follower(store, HashingEmbedder(), Wishes(frozenset()), BRISK)
    async with aclosing(follower.by_clock(source, every=0.01)) as news:
        for _ in range(3):
            assert published(await anext(news))
    [info] = await store.documents()
    assert info.version == 3
