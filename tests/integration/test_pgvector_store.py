"""What only the store on PostgreSQL has to prove: statistics, transactions, and other models."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import psycopg
import pytest
from psycopg import sql

from backends.base import NewPassage, SearchQuery
from backends.errors import Misconfigured, Refused
from backends.principals import asker
from tests.support.stores import (
    embedded,
    in_memory,
    in_postgres,
    new_document,
    one_passage,
    publish,
    search,
)

TABLES = (
    "document",
    "document_version",
    "passage",
    "passage_terms",
    "embedding_1",
    "term",
    "reader",
)


async def test_deleting_leaves_no_row_behind(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra stripes."))
        await publish(store, new_document("a.md", "Zebra stripes and more."))
        await store.delete("a.md")
    assert {table: _count(database_url, table) for table in TABLES} == dict.fromkeys(TABLES, 0)
    assert _statistics(database_url) == (0, {})


async def test_the_statistics_follow_every_change(database_url: str) -> None:
    words = ["zebra", "office", "lunch", "stripe", "travel", "leave", "night", "train"]
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    async with in_postgres(database_url) as store:
        for step in range(40):
            source = f"{chance.randrange(8)}.md"
            if step % 5 == 4:
                await store.delete(source)
            else:
                text = " ".join(chance.choices(words, k=6))
                await publish(store, new_document(source, text))
    assert _statistics(database_url) == _counted(database_url)


async def test_publishers_at_the_same_time_leave_true_statistics(database_url: str) -> None:
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret
    words = [f"word{number}" for number in range(30)]
    texts = [" ".join(chance.sample(words, 20)) for _ in range(40)]
    async with in_postgres(database_url) as store:
        await asyncio.gather(
            *(
                publish(store, new_document(f"{number % 10}.md", text))
                for number, text in enumerate(texts)
            )
        )
    assert _count(database_url, "passage") == 10
    assert _statistics(database_url) == _counted(database_url)


async def test_publishing_and_deleting_at_the_same_time_leave_true_statistics(
    database_url: str,
) -> None:
    async with in_postgres(database_url) as store:
        for _ in range(5):
            await asyncio.gather(
                publish(store, new_document("a.md", "zebra office")),
                store.delete("a.md"),
                publish(store, new_document("a.md", "zebra lunch")),
            )
    assert _statistics(database_url) == _counted(database_url)


async def test_readers_see_the_old_version_or_the_new_one_but_no_mixture(
    database_url: str,
) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, *_many_passages("old"))
        seen: set[tuple[str, int]] = set()
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                found = await search(store, "zebra", limit=50)
                kinds = {one.passage.text.split()[0] for one in found}
                seen.add((",".join(sorted(kinds)), len(found)))

        reader = asyncio.create_task(read())
        for kind in ("new", "old", "new"):
            await publish(store, *_many_passages(kind))
        done.set()
        await reader
        assert seen <= {("old", 40), ("new", 40)}


async def test_a_publish_that_is_cancelled_changes_nothing(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        before = await publish(store, new_document("a.md", "Old."))
        with psycopg.connect(database_url) as blocker:
            blocker.execute("LOCK TABLE router.term IN EXCLUSIVE MODE")
            publishing = asyncio.create_task(publish(store, new_document("a.md", "New.")))
            await asyncio.to_thread(_wait_until_somebody_waits, database_url)
            publishing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await publishing
        assert await store.document("a.md") == (before, "Old.")
        assert _count(database_url, "passage") == 1


async def test_a_vector_is_rounded_once_on_its_way_into_the_database(database_url: str) -> None:
    # Just above the middle of two half-precision numbers; five decimal digits are below it.
    above = np.float32(0.5002442)
    vector = np.array([[above, np.sqrt(1 - above**2)]], np.float32)
    document = new_document("a.md", "Zebra.")
    async with in_postgres(database_url, model="words", dimension=2) as store:
        await store.publish(document, one_passage(document), vector)
    with psycopg.connect(database_url) as session:
        row = session.execute("SELECT embedding::text FROM router.embedding_1").fetchone()
    assert row is not None
    assert float(row[0].strip("[]").split(",")[0]) == pytest.approx(float(np.float16(above)))


async def test_another_model_is_named_together_with_ours(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
    async with in_postgres(database_url, model="other", dimension=384) as other:
        with pytest.raises(Misconfigured, match=r"words \(384 .* but other \(384"):
            await other.check_live()


async def test_searching_with_another_model_is_a_misconfiguration(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
    async with in_postgres(database_url, model="other", dimension=384) as other:
        query = SearchQuery("zebra", embedded(["zebra"])[0], asker("user:ana"))
        with pytest.raises(Misconfigured, match="other"):
            await other.search(query)


async def test_publishing_with_another_model_stores_nothing(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
    async with in_postgres(database_url, model="words", dimension=2) as other:
        document = new_document("b.md", "Lunch.")
        with pytest.raises(Misconfigured, match="2 dimensions"):
            await other.publish(document, one_passage(document), embedded(["x"])[:, :2])
    assert _count(database_url, "document") == 1


async def test_an_emptied_store_takes_another_model(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
        await store.delete("a.md")
    async with in_postgres(database_url, model="other", dimension=2) as other:
        document = new_document("a.md", "Zebra.")
        info = await other.publish(document, one_passage(document), embedded(["x"])[:, :2])
        assert info.passages == 1


async def test_without_a_model_documents_can_be_listed_but_not_published(
    database_url: str,
) -> None:
    async with in_postgres(database_url, model=None) as store:
        assert list(await store.documents()) == []
        with pytest.raises(Misconfigured, match="without an embedding model"):
            await publish(store, new_document("a.md", "Zebra."))


async def test_no_principals_never_reach_the_database(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        pass
    # Its pools are closed: whatever goes to the database now fails.
    query = SearchQuery("zebra", embedded(["zebra"])[0], asker(None))
    assert list(await store.search(query)) == []


async def test_two_schemas_of_one_database_are_two_stores(database_url: str) -> None:
    from backends.postgres import migrate

    await migrate(database_url, schema="scratch")
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
    async with in_postgres(database_url, schema="scratch") as other:
        assert list(await other.documents()) == []


async def test_a_passage_of_very_many_different_words_can_be_stored(database_url: str) -> None:
    text = " ".join(f"w{number}" for number in range(20_000))
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", text))
        assert (await search(store, "w7"))[0].lexical > 0


async def test_a_refused_document_leaves_the_old_version(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        before = await publish(store, new_document("a.md", "Old."))
        with pytest.raises(Refused):
            await publish(store, new_document("a.md", "New\x00."))
        assert await store.document("a.md") == (before, "Old.")


async def test_the_twin_and_the_real_store_agree_on_every_score(database_url: str) -> None:
    chance = random.Random(3)  # noqa: S311 - repeatable, not secret
    words = [f"word{number}" for number in range(40)]
    texts = [" ".join(chance.choices(words, k=chance.randrange(3, 30))) for _ in range(80)]
    async with in_postgres(database_url) as real, in_memory() as twin:
        for number, text in enumerate(texts):
            document = new_document(f"{number}.md", text, title="")
            await publish(real, document)
            await publish(twin, document)
        for question in ("word1", "word2 word3 word4", "word5 unknown", "nothing"):
            ours = await search(real, question, limit=100)
            theirs = {one.passage.source: one for one in await search(twin, question, limit=100)}
            for one in ours:
                other = theirs[one.passage.source]
                assert one.similarity == pytest.approx(other.similarity, abs=2e-3)
                assert one.lexical == pytest.approx(other.lexical, abs=1e-3)
                assert one.score == pytest.approx(other.score, abs=1e-2)


def _many_passages(kind: str) -> tuple:  # type: ignore[type-arg]  # arguments of `publish`
    body = "".join(f"{kind} zebra {number:02} " for number in range(40))
    width = len(body) // 40
    passages = [
        NewPassage(first, first + width, body[first : first + width])
        for first in range(0, len(body), width)
    ]
    return new_document("a.md", body), passages


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as session:
        query = sql.SQL("SELECT count(*) FROM router.{}").format(sql.Identifier(table))
        row = session.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _statistics(url: str) -> tuple[int, dict[int, int]]:
    with psycopg.connect(url) as session:
        total = session.execute("SELECT passages FROM router.corpus").fetchone()
        terms = session.execute("SELECT hash, passages FROM router.term").fetchall()
    assert total is not None
    return total[0], dict(terms)


def _counted(url: str) -> tuple[int, dict[int, int]]:
    """The statistics as they should be, from the passages that are there."""
    with psycopg.connect(url) as session:
        rows = session.execute("SELECT terms FROM router.passage_terms").fetchall()
    counts: dict[int, int] = {}
    for (terms,) in rows:
        for term in terms:
            counts[term] = counts.get(term, 0) + 1
    return len(rows), counts


def _wait_until_somebody_waits(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        query = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        while session.execute(query).fetchone() == (0,):
            pass
