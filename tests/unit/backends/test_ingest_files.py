"""Single files: what their documents are called, and that a bad one holds nothing up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.ingest import IngestReport, ingest
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import NOBODY
from tests.support.documents import folder


async def take_in(path: Path, store: MemoryStore) -> IngestReport:
    """Ingest one path."""
    return await ingest([path], store=store, embedder=HashingEmbedder(), acl=NOBODY)


async def sources(store: MemoryStore) -> list[str]:
    """What the store's documents are called."""
    return [info.source for info in await store.documents()]


async def test_a_single_file_is_the_document_that_its_folder_made(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    store = MemoryStore()
    await take_in(root, store)
    report = await take_in(root / "a.md", store)
    assert (await sources(store), report.unchanged) == (["docs/a.md"], 1)


async def test_files_of_one_name_in_two_folders_are_two_documents(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a/README.md": "A.", "b/README.md": "B."})
    store = MemoryStore()
    await take_in(root / "a" / "README.md", store)
    await take_in(root / "b" / "README.md", store)
    assert await sources(store) == ["a/README.md", "b/README.md"]


async def test_a_file_of_the_working_folder_has_that_folders_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder(tmp_path / "docs", {"a.md": "A."}))
    store = MemoryStore()
    await take_in(Path("a.md"), store)
    assert await sources(store) == ["docs/a.md"]


def test_a_file_that_is_never_read_to_its_end_does_not_hold_the_exit(tmp_path: Path) -> None:
    folder(tmp_path, {"a.md": "A."})
    done = subprocess.run(
        [sys.executable, "-c", _ENDLESS, str(tmp_path / "a.md")], timeout=30, check=False
    )
    assert done.returncode == 0


_ENDLESS = """
import asyncio, sys, threading
from pathlib import Path
from backends.ingest import ingest
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore

async def main():
    loop, counting = asyncio.get_running_loop(), asyncio.Event()

    class Endless(HashingEmbedder):
        def count_tokens(self, text):
            loop.call_soon_threadsafe(counting.set)
            threading.Event().wait()

    reading = asyncio.create_task(
        ingest([Path(sys.argv[1])], store=MemoryStore(), embedder=Endless(), acl=frozenset())
    )
    await counting.wait()
    reading.cancel()
    await asyncio.wait([reading])

asyncio.run(main())
"""


async def test_a_link_out_of_the_folder_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("The safe opens with 4711.", encoding="utf-8")
    root = tmp_path / "docs"
    root.mkdir()
    (root / "open.md").write_text("The shop opens at nine.", encoding="utf-8")
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "inside.md").symlink_to(root / "open.md")
    store = MemoryStore()

    report = await take_in(root, store)

    assert await sources(store) == ["docs/inside.md", "docs/open.md"]
    assert [problem.source for problem in report.problems] == ["docs/link.md"]
    assert "out of the folder" in report.problems[0].reason
