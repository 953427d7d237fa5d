"""Files become published documents: unchanged ones cost a hash, broken ones are named."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.base import DocumentInfo, NewDocument, NewPassage, SearchQuery
from backends.errors import Misconfigured, Refused, Unavailable, UnreadableDocument
from backends.ingest import (
    IngestReport,
    IngestStopped,
    Progress,
    ingest,
    ingest_bytes,
)
from backends.ingest.embedding import embed_all
from backends.ingest.prepare import Prepared
from backends.ingest.seen import Seen
from backends.memory.embedder import HashingEmbedder
from backends.memory.store import MemoryStore
from backends.principals import EVERYONE, NOBODY, Principal, Principals
from tests.support.documents import folder, pdf

if TYPE_CHECKING:
    from backends.base import Vectors

STAFF: Principals = frozenset({Principal("group:staff")})
PUBLIC: Principals = frozenset({EVERYONE})


def prepared(*texts: str, context: str = "") -> Prepared:
    """A document of such passages, ready to be embedded."""
    document = NewDocument("a.md", "", "".join(texts), "text/plain", "", STAFF)
    return Prepared(
        document,
        tuple(NewPassage(0, len(text), text) for text in texts),
        tuple(f"{context}\n{text}" if context else text for text in texts),
    )


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


class Gathering(Recorder):
    """Takes as long for its first batch as it takes others to read on to a certain text."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self._last = last
        self._all_read = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not self.batches:
            await self._all_read.wait()
        return await super().embed(texts)

    def count_tokens(self, text: str) -> int:
        if text.endswith(self._last):
            self._loop.call_soon_threadsafe(self._all_read.set)
        return super().count_tokens(text)


class SettlingStore(MemoryStore):
    """Says when it is being settled, which takes until somebody lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.settling, self.may_settle = asyncio.Event(), asyncio.Event()
        self.settled = 0

    async def settle(self) -> None:
        self.settling.set()
        await self.may_settle.wait()
        self.settled += 1


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
    keeping: bool = False,
    name: str | None = None,
    max_bytes: int = 1_000_000,
    prune: bool = False,
    allow_empty: bool = False,
) -> IngestReport:
    return await ingest(
        paths,
        store=store,
        embedder=embedder or HashingEmbedder(),
        acl=acl,
        keeping=keeping,
        name=name,
        max_bytes=max_bytes,
        prune=prune,
        allow_empty=allow_empty,
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
    report = await run(root, store=store, acl=PUBLIC, keeping=True)
    assert (report.unchanged, report.published) == (1, 2)
    seen = {info.source: info.acl for info in await store.documents()}
    assert seen == {"docs/a.md": STAFF, "docs/b.md": STAFF, "docs/c.md": PUBLIC}


async def test_a_document_for_nobody_stays_for_nobody(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "docs", {"a.md": "A."}), store=store, acl=NOBODY)
    await run(folder(tmp_path / "docs", {"a.md": "Changed."}), store=store, keeping=True)
    assert (await info_of(store, "docs/a.md")).acl == NOBODY


async def test_a_list_in_the_file_is_not_what_the_document_was_ingested_for(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "---\nacl: everyone\n---\nA."})
    store = MemoryStore()
    await run(root, store=store, acl=STAFF)
    folder(root, {"a.md": "A, without a list."})
    await run(root, store=store, acl=PUBLIC, keeping=True)
    assert (await info_of(store, "docs/a.md")).acl == STAFF


async def test_a_file_cannot_say_for_whom_or_from_where_it_was_ingested(tmp_path: Path) -> None:
    text = b"---\ningested_for: everyone\norigin: here\n---\nA."
    store = MemoryStore()
    await upload(store, "a.md", text)
    assert (await info_of(store, "a.md")).metadata == {"ingested_for": "group:staff"}


async def test_documents_from_before_keep_the_readers_that_they_have(tmp_path: Path) -> None:
    store = MemoryStore()
    document = NewDocument("docs/a.md", "A", "A.", "text/plain", "f", STAFF)
    await store.publish(document, [], await HashingEmbedder().embed([]))
    root = folder(tmp_path / "docs", {"a.md": "A."})
    await run(root, store=store, acl=PUBLIC, keeping=True)
    assert (await info_of(store, "docs/a.md")).acl == STAFF


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


@pytest.mark.parametrize(("max_tokens", "published"), [(256, 0), (128, 1)])
async def test_another_embedder_cuts_anew_only_what_it_would_not_read(
    tmp_path: Path, max_tokens: int, published: int
) -> None:
    root = folder(tmp_path, {"a.md": "A."})
    store = MemoryStore()
    await run(root / "a.md", store=store)
    another = Recorder(model="another", max_tokens=max_tokens)
    report = await run(root / "a.md", store=store, embedder=another)
    assert report.published == published


async def test_fingerprints_are_asked_for_in_batches(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {f"{number:03}.md": "A." for number in range(300)})
    store = AskedStore()
    await run(root, store=store)
    assert store.asked == [256, 44]


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


async def test_passages_of_several_documents_are_embedded_together_longest_first() -> None:
    embedder = Recorder()
    documents = [prepared("one two", "one"), prepared(), prepared("one two three")]
    embedded = await embed_all(documents, embedder)
    assert embedder.batches == [["one two three", "one two", "one"]]
    assert [one.prepared for one in embedded] == documents
    for own, wanted in zip(embedded, documents, strict=True):
        assert np.array_equal(own.vectors, await HashingEmbedder().embed(wanted.texts))


async def test_sentences_are_embedded_in_the_same_pass() -> None:
    text = "One is red. Two is blue."
    [embedded] = await embed_all([prepared(text, context="Shop")], HashingEmbedder())
    [passage] = embedded.passages
    assert passage.sentences is not None
    assert passage.sentences.model == "hashing"
    assert [text[start:end] for start, end in passage.sentences.spans] == [
        "One is red.",
        "Two is blue.",
    ]
    wanted = await HashingEmbedder().embed(["Shop", "One is red.", "Two is blue."])
    assert np.array_equal(passage.sentences.vectors, wanted)


async def test_an_embedder_that_cannot_look_inside_a_text_leaves_sentences_out() -> None:
    class Whole:
        """Nothing but the port."""

        def __init__(self) -> None:
            self.model, self.dimension, self.max_tokens = "whole", 384, 256
            self.embed = HashingEmbedder().embed
            self.count_tokens = HashingEmbedder().count_tokens

    [embedded] = await embed_all([prepared("One is red.")], Whole())
    assert [passage.sentences for passage in embedded.passages] == [None]


async def test_what_gathers_while_the_embedder_is_busy_is_embedded_at_one_time(
    tmp_path: Path,
) -> None:
    files = {f"{number:02}.md": f"Text {number}." for number in range(40)}
    embedder = Gathering("Text 39.")
    await run(folder(tmp_path / "docs", files), store=MemoryStore(), embedder=embedder)
    assert len(embedder.batches) <= 3


async def test_each_passage_gets_its_own_vector(tmp_path: Path) -> None:
    texts = {f"{number}.md": f"word{number} " * (number + 1) for number in range(9)}
    store, embedder = MemoryStore(), HashingEmbedder()
    await run(folder(tmp_path / "docs", texts), store=store)
    for number in range(9):
        [vector] = await embedder.embed([f"word{number} " * (number + 1)])
        found = await store.search(SearchQuery("", vector, STAFF, limit=1))
        assert found[0].passage.source == f"docs/{number}.md"


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


# More passages than are embedded at one time, so that what comes before is embedded before.
LONG = "\n\n".join(f"# Part {number}\n\nText." for number in range(300))


async def test_an_embedder_that_is_gone_stops_the_run_and_tells_what_was_done(
    tmp_path: Path,
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": LONG, "c.md": "C."})
    with pytest.raises(IngestStopped) as caught:
        await run(root, store=MemoryStore(), embedder=Recorder(fail_at=1))
    assert isinstance(caught.value.__cause__, Unavailable)
    assert caught.value.report.published == 1
    assert "Start it." in caught.value.hint


async def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": LONG, "c.md": "C."})
    store = MemoryStore()
    with pytest.raises(IngestStopped):
        await run(root, store=store, embedder=Recorder(fail_at=1))
    report = await run(root, store=store)
    assert (report.unchanged, report.published) == (1, 2)


async def test_an_interrupted_run_leaves_whole_documents_only(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": LONG})
    store, embedder = MemoryStore(), Recorder(wait_at=3)
    task = asyncio.create_task(run(root, store=store, embedder=embedder))
    await embedder.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await sources(store) == ["docs/a.md"]


async def test_what_an_interrupted_run_left_unsettled_is_settled_by_the_next(
    tmp_path: Path,
) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), SettlingStore()
    task = asyncio.create_task(run(root, store=store))
    await store.settling.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.may_settle.set()
    report = await run(root, store=store)
    assert (report.published, report.unchanged, store.settled) == (0, 1, 1)


async def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": ""})
    store, told = MemoryStore(), list[Progress]()
    for _ in range(2):
        await ingest(
            [root], store=store, embedder=HashingEmbedder(), acl=STAFF, on_progress=told.append
        )
    said = [(one.source, one.outcome, one.passages) for one in told]
    assert sorted(said[:2]) == [("docs/a.md", "published", 1), ("docs/b.md", "unreadable", 0)]
    assert sorted(said[2:]) == [("docs/a.md", "unchanged", 0), ("docs/b.md", "unreadable", 0)]


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


# --- what is gone ---------------------------------------------------------------------------------


async def pruned(root: Path, store: MemoryStore, *, allow_empty: bool = False) -> IngestReport:
    return await run(root, store=store, prune=True, allow_empty=allow_empty)


async def test_what_is_gone_is_pruned_and_nothing_else(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "docs-old", {"z.md": "Z."}), store=store)
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B.", "sub/c.md": "C."})
    await run(root, store=store)
    await upload(store, "docs/upload.md", b"By hand.")
    (root / "b.md").unlink()
    (root / "sub" / "c.md").unlink()
    report = await pruned(root, store)
    assert (report.pruned, report.unchanged, report.problems) == (2, 1, ())
    assert await sources(store) == ["docs-old/z.md", "docs/a.md", "docs/upload.md"]


async def test_without_being_asked_nothing_is_pruned(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."}), MemoryStore()
    await run(root, store=store)
    (root / "b.md").unlink()
    assert (await run(root, store=store)).pruned == 0
    assert await sources(store) == ["docs/a.md", "docs/b.md"]


async def test_what_came_from_another_folder_of_the_name_is_not_pruned(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "x" / "docs", {"a.md": "A."}), store=store)
    report = await pruned(folder(tmp_path / "y" / "docs", {"b.md": "B."}), store)
    assert (report.pruned, await sources(store)) == (0, ["docs/a.md", "docs/b.md"])


async def test_under_a_given_name_it_does_not_matter_from_where_it_came(tmp_path: Path) -> None:
    store = MemoryStore()
    await run(folder(tmp_path / "x" / "docs", {"a.md": "A."}), store=store)
    moved = folder(tmp_path / "y" / "docs", {"b.md": "B."})
    report = await run(moved, store=store, name="docs", prune=True)
    assert (report.pruned, await sources(store)) == (1, ["docs/b.md"])


@pytest.mark.parametrize("allow_empty", [False, True])
async def test_a_missing_folder_wipes_nothing(tmp_path: Path, allow_empty: bool) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    await run(root, store=store)
    root.rename(tmp_path / "away")
    report = await pruned(root, store, allow_empty=allow_empty)
    assert (report.pruned, await sources(store)) == (0, ["docs/a.md"])
    assert "nothing was pruned" in report.problems[-1].reason


async def test_an_empty_folder_wipes_its_documents_only_where_that_is_allowed(
    tmp_path: Path,
) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A."}), MemoryStore()
    await run(root, store=store)
    (root / "a.md").unlink()
    refused = await pruned(root, store)
    assert (refused.pruned, "nothing was pruned" in refused.problems[-1].reason) == (0, True)
    allowed = await pruned(root, store, allow_empty=True)
    assert (allowed.pruned, allowed.problems, await sources(store)) == (1, (), [])


async def test_one_empty_folder_of_two_keeps_what_it_held(tmp_path: Path) -> None:
    full = folder(tmp_path / "full", {"a.md": "A."})
    share = folder(tmp_path / "share", {"b.md": "B."})
    store = MemoryStore()
    await run(full, share, store=store)
    (share / "b.md").unlink()
    report = await run(full, share, store=store, prune=True)
    assert (report.pruned, await sources(store)) == (0, ["full/a.md", "share/b.md"])


async def test_a_file_that_became_unreadable_is_kept_and_named(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."}), MemoryStore()
    await run(root, store=store)
    (root / "a.md").write_bytes(b"\0")
    report = await pruned(root, store)
    assert (report.pruned, list(reasons(report))) == (0, ["docs/a.md"])
    assert await sources(store) == ["docs/a.md", "docs/b.md"]


async def test_what_lies_behind_a_link_out_of_the_folder_is_kept(tmp_path: Path) -> None:
    root, store = folder(tmp_path / "docs", {"a.md": "A.", "sub/b.md": "B."}), MemoryStore()
    await run(root, store=store)
    (root / "sub").rename(tmp_path / "elsewhere")
    (root / "sub").symlink_to(tmp_path / "elsewhere")
    assert (await pruned(root, store)).pruned == 0
    assert await sources(store) == ["docs/a.md", "docs/sub/b.md"]


async def test_a_link_that_leads_nowhere_keeps_what_lay_behind_it(tmp_path: Path) -> None:
    files = {"a.md": "A.", "b.md": "B.", "share/c.md": "C."}
    root, store = folder(tmp_path / "docs", files), MemoryStore()
    await run(root, store=store)
    (root / "b.md").unlink()
    (root / "share").rename(tmp_path / "away")
    (root / "share").symlink_to(root / "unmounted")
    report = await pruned(root, store)
    assert (report.pruned, await sources(store)) == (1, ["docs/a.md", "docs/share/c.md"])


def test_what_was_seen_is_remembered_in_few_bytes_and_exactly() -> None:
    seen = Seen()
    assert all(seen.add(f"docs/{number}.md") for number in range(70_000))
    assert not any(seen.add(f"docs/{number}.md") for number in range(0, 70_000, 997))
    assert "docs/70000.md" not in seen
    assert len(seen) == 70_000
