"""Files become published documents: unchanged ones cost a hash, broken ones are named."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.base import DocumentInfo, NewDocument, NewPassage
from backends.errors import Misconfigured, Refused, Unavailable, UnreadableDocument
from backends.ingest import (
    IngestReport,
    IngestStopped,
    Progress,
    ingest,
    ingest_bytes,
    readers_so_far,
)
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import EVERYONE, NOBODY, Principal, Principals
from tests.support.documents import folder, pdf

if TYPE_CHECKING:
    from backends.base import Vectors

STAFF: Principals = frozenset({Principal("group:staff")})
PUBLIC: Principals = frozenset({EVERYONE})


class Recorder(HashingEmbedder):
    """Keeps what it is asked, and fails or waits from a given call on."""

    def __init__(
        self, *, model: str = "hashing", max_tokens: int = 256, fail_at: int = -1, wait_at: int = -1
    ) -> None:
        super().__init__(model=model, max_tokens=max_tokens)
        self.batches: list[list[str]] = []
        self.counting_threads: set[int] = set()
        self.waiting = asyncio.Event()
        self._fail_at = fail_at
        self._wait_at = wait_at

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if len(self.batches) == self._fail_at:
            raise Unavailable("The embedder is gone.", backend="embedder", hint="Start it.")
        if len(self.batches) == self._wait_at:
            self.waiting.set()
            await asyncio.Event().wait()
        self.batches.append(list(texts))
        return await super().embed(texts)

    def count_tokens(self, text: str) -> int:
        self.counting_threads.add(threading.get_ident())
        return super().count_tokens(text)


class AskedStore(MemoryStore):
    """Counts the questions for fingerprints, and refuses one source."""

    def __init__(self, *, refused: str = "") -> None:
        super().__init__()
        self.asked: list[int] = []
        self._refused = refused

    async def fingerprints(self, sources: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(len(sources))
        return await super().fingerprints(sources)

    async def publish(
        self, document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors
    ) -> DocumentInfo:
        if document.source == self._refused:
            raise Refused("It is too odd.", backend="database", hint="Change it.")
        return await super().publish(document, passages, embeddings)


async def run(
    *paths: Path,
    store: MemoryStore,
    embedder: HashingEmbedder | None = None,
    acl: Principals = STAFF,
    keep: Mapping[str, Principals] | None = None,
    name: str | None = None,
    max_bytes: int = 1_000_000,
) -> IngestReport:
    return await ingest(
        paths,
        store=store,
        embedder=embedder or HashingEmbedder(),
        acl=acl,
        keep=keep,
        name=name,
        max_bytes=max_bytes,
    )


async def sources(store: MemoryStore) -> list[str]:
    return [info.source for info in await store.documents()]


async def info_of(store: MemoryStore, source: str) -> DocumentInfo:
    found = await store.document(source)
    assert found is not None
    return found[0]


def reasons(report: IngestReport) -> dict[str, str]:
    return {problem.source: problem.reason for problem in report.problems}


# --- finding --------------------------------------------------------------------------------------


async def test_a_source_is_the_path_below_the_folder_behind_its_name(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"b/boots.md": "Boots.", "a.txt": "A.", "B.html": "<p>B"})
    store = MemoryStore()
    await run(root, store=store)
    assert await sources(store) == ["docs/B.html", "docs/a.txt", "docs/b/boots.md"]


async def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", ".secret.md": "S.", ".git/config": "G."})
    store = MemoryStore()
    report = await run(root, store=store)
    assert (await sources(store), report.problems) == (["docs/a.md"], ())


async def test_every_supported_format_is_published(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": "A.", "b.txt": "B.", "c.html": "<p>C.", "d.pdf": pdf(["D."]), "e.csv": "e,f",
        "f.rst": "F\n=\n", "g.log": "G.",
    }  # fmt: skip
    report = await run(folder(tmp_path, files), store=MemoryStore())
    assert (report.published, report.problems) == (len(files), ())


async def test_a_folder_without_documents_is_a_problem(tmp_path: Path) -> None:
    report = await run(folder(tmp_path / "empty", {}), store=MemoryStore())
    assert reasons(report) == {"empty": "holds no documents"}


async def test_a_path_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    report = await run(tmp_path / "gone", store=MemoryStore())
    assert reasons(report) == {"gone": "cannot be read (no such file or directory)"}


async def test_links_that_lead_nowhere_to_themselves_or_back_up_are_problems(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    (root / "gone.md").symlink_to(root / "missing.md")
    (root / "self.md").symlink_to(root / "self.md")
    (root / "up").symlink_to(root)
    report = await run(root, store=MemoryStore())
    assert sorted(reasons(report)) == ["docs/gone.md", "docs/self.md", "docs/up"]


async def test_a_pipe_is_a_problem_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    report = await run(tmp_path / "pipe.md", store=MemoryStore())
    assert reasons(report) == {"pipe.md": "is not a regular file"}


async def test_a_name_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("Text.")
    report = await run(tmp_path, store=MemoryStore())
    assert ["not valid UTF-8" in problem.reason for problem in report.problems] == [True]


async def test_two_folders_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first = folder(tmp_path / "x" / "docs", {"a.md": "First."})
    second = folder(tmp_path / "y" / "docs", {"a.md": "Second."})
    store = MemoryStore()
    report = await run(first, second, store=store)
    found = await store.document("docs/a.md")
    assert found is not None
    assert (found[1], list(reasons(report))) == ("First.", ["docs/a.md"])


async def test_another_folder_of_a_known_name_replaces_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "x" / "docs", {"a.md": "First."}), store=store)
    other = folder(tmp_path / "y" / "docs", {"a.md": "Second.", "b.md": "New."})
    report = await run(other, store=store)
    assert reasons(report) == {"docs/a.md": "another folder of that name was ingested before"}
    assert "--name" in report.problems[0].hint
    assert (await info_of(store, "docs/a.md")).version == 1


async def test_a_name_tells_folders_of_one_name_apart(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "x" / "docs", {"a.md": "First."}), store=store)
    await run(folder(tmp_path / "y" / "docs", {"a.md": "Second."}), store=store, name="y-docs/")
    assert await sources(store) == ["docs/a.md", "y-docs/a.md"]


async def test_a_given_name_replaces_what_came_from_elsewhere(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "x" / "docs", {"a.md": "First."}), store=store)
    moved = folder(tmp_path / "y" / "docs", {"a.md": "Second."})
    report = await run(moved, store=store, name="docs")
    assert (report.published, report.problems) == (1, ())


async def test_a_file_by_itself_is_of_the_folder_that_holds_it(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "First."})
    store = MemoryStore()
    await run(root, store=store)
    folder(root, {"a.md": "Second."})
    report = await run(root / "a.md", store=store)
    assert (report.published, await sources(store)) == (1, ["docs/a.md"])


async def test_a_name_takes_the_place_of_a_single_files_folder(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "docs", {"a.md": "A."}) / "a.md", store=store, name="papers")
    assert await sources(store) == ["papers/a.md"]


async def test_where_a_document_came_from_is_not_told(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "docs", {"a.md": "A."}), store=store)
    origin = (await info_of(store, "docs/a.md")).metadata["origin"]
    assert (len(origin), set(origin) <= set("0123456789abcdef")) == (16, True)


@pytest.mark.parametrize(("paths", "name"), [(["x", "y"], "docs"), (["x"], "/")])
async def test_a_name_is_for_one_path_and_not_empty(paths: list[str], name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await run(*map(Path, paths), store=MemoryStore(), name=name)


# --- what cannot be read --------------------------------------------------------------------------


async def test_a_file_of_200_megabytes_is_refused_by_its_size_without_being_read(
    tmp_path: Path,
) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    tracemalloc.start()
    try:
        report = await ingest(
            [tmp_path / "big.txt"], store=MemoryStore(), embedder=HashingEmbedder(), acl=STAFF
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reasons(report) == {
        f"{tmp_path.name}/big.txt": "is too large (200.0 MiB; at most 50.0 MiB)"
    }
    assert peak < 10_000_000


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
async def test_a_file_that_fails_while_being_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "broken.md").symlink_to("/proc/self/mem")
    report = await run(tmp_path / "broken.md", store=MemoryStore())
    assert reasons(report) == {f"{tmp_path.name}/broken.md": "cannot be read (input/output error)"}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
async def test_a_file_that_may_not_be_read_is_a_problem(tmp_path: Path) -> None:
    path = folder(tmp_path, {"a.md": "A."}) / "a.md"
    path.chmod(0)
    report = await run(path, store=MemoryStore())
    assert reasons(report) == {f"{tmp_path.name}/a.md": "cannot be read (permission denied)"}


async def test_unreadable_files_are_named_with_a_hint_and_the_rest_goes_on(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": b"\0", "b.md": "B.", "c.pdf": b"no", "d.md": ""})
    report = await run(root, store=MemoryStore())
    assert sorted(reasons(report)) == ["docs/a.md", "docs/c.pdf", "docs/d.md"]
    assert report.published == 1
    assert all(problem.hint for problem in report.problems)


async def test_a_document_that_the_store_refuses_is_a_problem_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."})
    report = await run(root, store=AskedStore(refused="docs/a.md"))
    assert reasons(report) == {"docs/a.md": "is refused by the store: It is too odd"}
    assert report.published == 1


# --- who may see it -------------------------------------------------------------------------------


async def test_a_file_that_does_not_say_who_may_see_it_gets_the_given_list(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path, {"a.md": "A."}) / "a.md", store=store, acl=STAFF)
    assert (await info_of(store, f"{tmp_path.name}/a.md")).acl == STAFF


async def test_the_access_list_in_the_file_wins_over_the_given_one(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.md": "---\nacl: [group:hr]\n---\nA."})
    store = MemoryStore()
    await run(root / "a.md", store=store, acl=PUBLIC)
    assert (await info_of(store, f"{tmp_path.name}/a.md")).acl == {Principal("group:hr")}


async def test_without_any_access_list_nobody_sees_it(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path, {"a.md": "A."}) / "a.md", store=store, acl=NOBODY)
    assert await store.documents(visible_to=PUBLIC) == []


async def test_a_file_with_an_invalid_access_list_is_not_published(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.md": "---\nacl: hr\n---\nA."})
    store = MemoryStore()
    report = await run(root / "a.md", store=store, acl=PUBLIC)
    assert (await sources(store), list(reasons(report))) == ([], [f"{tmp_path.name}/a.md"])


async def test_known_documents_keep_the_readers_that_they_were_ingested_for(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."})
    await run(root, store=store, acl=STAFF)
    folder(root, {"b.md": "B, changed.", "c.md": "New."})
    report = await run(root, store=store, acl=PUBLIC, keep=await readers_so_far(store))
    assert (report.unchanged, report.published) == (1, 2)
    seen = {info.source: info.acl for info in await store.documents()}
    assert seen == {"docs/a.md": STAFF, "docs/b.md": STAFF, "docs/c.md": PUBLIC}


async def test_a_document_for_nobody_stays_for_nobody(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "docs", {"a.md": "A."}), store=store, acl=NOBODY)
    assert await readers_so_far(store) == {"docs/a.md": NOBODY}


async def test_a_list_in_the_file_is_not_what_the_document_was_ingested_for(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "---\nacl: everyone\n---\nA."})
    store = MemoryStore()
    await run(root, store=store, acl=STAFF)
    assert await readers_so_far(store) == {"docs/a.md": STAFF}


async def test_a_file_cannot_say_for_whom_or_from_where_it_was_ingested(tmp_path: Path) -> None:
    text = b"---\ningested_for: everyone\norigin: here\n---\nA."
    store = MemoryStore()
    await upload(store, "a.md", text)
    assert (await info_of(store, "a.md")).metadata == {"ingested_for": "group:staff"}


async def test_documents_from_before_keep_the_readers_that_they_have() -> None:
    store = MemoryStore()
    document = NewDocument("a.md", "A", "A.", "text/plain", "f", STAFF)
    await store.publish(document, [], await HashingEmbedder().embed([]))
    assert await readers_so_far(store) == {"a.md": STAFF}


async def test_a_changed_access_list_is_published_though_the_file_is_unchanged(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path, {"a.md": "A."})
    store = MemoryStore()
    await run(root / "a.md", store=store, acl=PUBLIC)
    await run(root / "a.md", store=store, acl=STAFF)
    assert (await info_of(store, f"{tmp_path.name}/a.md")).acl == STAFF


# --- again ----------------------------------------------------------------------------------------


async def test_unchanged_files_are_neither_embedded_nor_published_again(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."})
    store, embedder = MemoryStore(), Recorder()
    await run(root, store=store)
    report = await run(root, store=store, embedder=embedder)
    assert (report.unchanged, report.published, embedder.batches) == (2, 0, [])


async def test_a_changed_file_gets_its_next_version(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path, {"a.md": "Old."}) / "a.md", store=store)
    await run(folder(tmp_path, {"a.md": "New."}) / "a.md", store=store)
    assert (await info_of(store, f"{tmp_path.name}/a.md")).version == 2


async def test_another_embedder_publishes_everything_anew(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.md": "A."})
    store = MemoryStore()
    await run(root / "a.md", store=store)
    report = await run(root / "a.md", store=store, embedder=Recorder(model="another"))
    assert report.published == 1


async def test_fingerprints_are_asked_for_in_batches(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {f"{number:02}.md": "A." for number in range(40)})
    store = AskedStore()
    await run(root, store=store)
    assert store.asked == [32, 8]


# --- embedding ------------------------------------------------------------------------------------


async def test_title_and_headings_are_embedded_with_the_text(tmp_path: Path) -> None:
    text = "---\ntitle: Shop\n---\n# Returns\n\n## Boots\n\nSend them."
    embedder = Recorder()
    root = folder(tmp_path, {"a.md": text})
    await run(root / "a.md", store=MemoryStore(), embedder=embedder)
    expected = "Shop\nReturns > Boots\n# Returns\n\n## Boots\n\nSend them."
    assert embedder.batches == [[expected]]


async def test_long_documents_are_embedded_in_bounded_batches(tmp_path: Path) -> None:
    text = "\n\n".join(f"# Part {number}\n\nText." for number in range(150))
    embedder = Recorder()
    report = await run(
        folder(tmp_path, {"a.md": text}) / "a.md", store=MemoryStore(), embedder=embedder
    )
    assert [len(batch) for batch in embedder.batches] == [64, 64, 22]
    assert report.passages == 150


async def test_what_is_embedded_fits_the_embedder(tmp_path: Path) -> None:
    text = "---\ntitle: Shop\n---\n" + "It rains a lot in the north of the country. " * 200
    embedder = Recorder(max_tokens=40)
    root = folder(tmp_path, {"a.md": text})
    await run(root / "a.md", store=MemoryStore(), embedder=embedder)
    counts = [embedder.count_tokens(text) for batch in embedder.batches for text in batch]
    assert max(counts) <= 40


async def test_an_embedder_that_reads_more_does_not_make_passages_longer(tmp_path: Path) -> None:
    text = "It rains a lot in the north of the country. " * 200
    embedder = Recorder(max_tokens=8_192)
    root = folder(tmp_path, {"a.md": text})
    await run(root / "a.md", store=MemoryStore(), embedder=embedder)
    assert max(embedder.count_tokens(text) for text in embedder.batches[0]) <= 256


async def test_an_embedder_that_reads_too_little_stops_the_run(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.md": "A."})
    with pytest.raises(IngestStopped) as caught:
        await run(root / "a.md", store=MemoryStore(), embedder=Recorder(max_tokens=8))
    assert isinstance(caught.value.__cause__, Misconfigured)


async def test_reading_and_splitting_leave_the_event_loop_free(tmp_path: Path) -> None:
    embedder = Recorder()
    root = folder(tmp_path, {"a.md": "A."})
    await run(root / "a.md", store=MemoryStore(), embedder=embedder)
    assert embedder.counting_threads
    assert threading.get_ident() not in embedder.counting_threads


# --- when something fails or is stopped -----------------------------------------------------------


async def test_an_embedder_that_is_gone_stops_the_run_and_tells_what_was_done(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B.", "c.md": "C."})
    with pytest.raises(IngestStopped) as caught:
        await run(root, store=MemoryStore(), embedder=Recorder(fail_at=1))
    assert isinstance(caught.value.__cause__, Unavailable)
    assert caught.value.report.published == 1
    assert "Start it." in caught.value.hint


async def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B.", "c.md": "C."})
    store = MemoryStore()
    with pytest.raises(IngestStopped):
        await run(root, store=store, embedder=Recorder(fail_at=1))
    report = await run(root, store=store)
    assert (report.unchanged, report.published) == (1, 2)


async def test_an_interrupted_run_leaves_whole_documents_only(tmp_path: Path) -> None:
    long = "\n\n".join(f"# Part {number}\n\nText." for number in range(100))
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": long})
    store, embedder = MemoryStore(), Recorder(wait_at=2)
    task = asyncio.create_task(run(root, store=store, embedder=embedder))
    await embedder.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await sources(store) == ["docs/a.md"]


async def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": ""})
    store, told = MemoryStore(), list[Progress]()
    for _ in range(2):
        await ingest(
            [root], store=store, embedder=HashingEmbedder(), acl=STAFF, on_progress=told.append
        )
    assert [(one.source, one.outcome, one.passages) for one in told] == [
        ("docs/a.md", "published", 1),
        ("docs/b.md", "unreadable", 0),
        ("docs/a.md", "unchanged", 0),
        ("docs/b.md", "unreadable", 0),
    ]


# --- one document in memory -----------------------------------------------------------------------


async def upload(store: MemoryStore, source: str, data: bytes, title: str = "") -> object:
    return await ingest_bytes(
        source,
        data,
        store=store,
        embedder=HashingEmbedder(),
        acl=STAFF,
        title=title,
        max_bytes=1_000,
    )


async def test_an_upload_is_published_under_its_source_and_title() -> None:
    store = MemoryStore()
    await upload(store, "uploads/a.md", b"# Own title\n\nText.", title="Given title")
    assert (await info_of(store, "uploads/a.md")).title == "Given title"


async def test_the_same_upload_again_changes_nothing() -> None:
    store = MemoryStore()
    await upload(store, "a.md", b"Text.")
    assert await upload(store, "a.md", b"Text.") is None


@pytest.mark.parametrize(
    ("source", "data", "reason"),
    [
        ("a.md", b"x" * 1_001, "too large"),
        ("a.md", b"", "is empty"),
        ("a\0.md", b"Text.", "control characters"),
        ("", b"Text.", "empty name"),
        ("é" * 1_001, b"Text.", "2002 bytes"),
    ],
)
async def test_an_upload_that_cannot_become_a_document_is_refused(
    source: str, data: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        await upload(MemoryStore(), source, data)
