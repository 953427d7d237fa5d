"""Embedding with another model what one model has embedded."""

from __future__ import annotations

import psycopg
import pytest

from backends.base import NewPassage, SearchQuery
from backends.errors import Misconfigured
from backends.ingest import reindex
from backends.memory.embedder import HashingEmbedder
from backends.pgvector import PgvectorStore
from backends.principals import asker
from tests.support.stores import in_postgres, new_document

OLD = HashingEmbedder(64, model="old")
NEW = HashingEmbedder(32, model="new")
SMALL = HashingEmbedder(32, model="small", max_tokens=64)


async def test_the_new_model_finds_what_the_old_one_embedded(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        await publish(old, OLD, "boots.md", "Boots may be returned.")
        with pytest.raises(Misconfigured, match=r"old \(64 .* but new \(32 ") as caught:
            await sources(new, NEW, "boots")
        assert "router documents reindex" in caught.value.hint
        assert await reindex(new.reindexing(), NEW) == 1
        assert await sources(new, NEW, "boots") == ["boots.md"]


async def test_questions_are_answered_with_the_old_model_meanwhile_and_after(
    database_url: str,
) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        await publish(old, OLD, "boots.md", "Boots may be returned.")
        seen = []

        class Watched(HashingEmbedder):
            async def embed(self, texts):  # type: ignore[no-untyped-def]
                seen.append(await sources(old, OLD, "boots"))
                return await super().embed(texts)

        await reindex(new.reindexing(), Watched(32, model="new"))
        assert seen == [["boots.md"]]
        assert await sources(old, OLD, "boots") == ["boots.md"]


async def test_what_is_published_meanwhile_is_embedded_too(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        await publish(old, OLD, "boots.md", "Boots may be returned.")
        late = ["shoes.md", "coats.md"]

        async def publish_another(done: int) -> None:
            name = late.pop()
            await publish(old, OLD, name, f"Boots and {name} may be returned.")

        class Busy(HashingEmbedder):
            async def embed(self, texts):  # type: ignore[no-untyped-def]
                if late:
                    await publish_another(len(late))
                return await super().embed(texts)

        assert await reindex(new.reindexing(), Busy(32, model="new")) == 3
        found = await sources(new, NEW, "boots")
        assert sorted(found) == ["boots.md", "coats.md", "shoes.md"]


async def test_the_old_model_cannot_publish_afterwards(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        await publish(old, OLD, "boots.md", "Boots.")
        await reindex(new.reindexing(), NEW)
        with pytest.raises(Misconfigured, match="embedded with new"):
            await publish(old, OLD, "shoes.md", "Shoes.")
        await publish(new, NEW, "shoes.md", "Shoes.")
        # Without a vector of its own it is found by its words.
        assert sorted(await sources(old, OLD, "shoes")) == ["boots.md", "shoes.md"]


async def test_an_interrupted_run_goes_on_where_it_stopped(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        for number in range(3):
            await publish(old, OLD, f"{number}.md", f"Boots {number}.")
        work = new.reindexing()
        await work.begin()
        [first] = await work.next(1)
        await work.add([first.id], await NEW.embed([first.text]))
        assert not await work.finish()
        assert await reindex(new.reindexing(), NEW) == 2


async def test_the_model_in_use_has_nothing_to_do(database_url: str) -> None:
    async with opened(database_url, OLD) as old:
        await publish(old, OLD, "boots.md", "Boots.")
        assert await reindex(old.reindexing(), OLD) is None


async def test_a_model_that_reads_less_than_a_passage_is_refused(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, SMALL) as small:
        await publish(old, OLD, "boots.md", "boots " * 100)
        with pytest.raises(Misconfigured, match=r"takes 10. tokens, but 'small' reads 64"):
            await reindex(small.reindexing(), SMALL)
        assert await sources(old, OLD, "boots") == ["boots.md"]


async def test_purging_leaves_the_vectors_in_use(database_url: str) -> None:
    async with opened(database_url, OLD) as old, opened(database_url, NEW) as new:
        await publish(old, OLD, "boots.md", "Boots.")
        await reindex(new.reindexing(), NEW)
        assert list(await new.purge_embeddings()) == ["old"]
        assert await sources(new, NEW, "boots") == ["boots.md"]
        with pytest.raises(Misconfigured, match="embedded with new"):
            await sources(old, OLD, "boots")
    with psycopg.connect(database_url) as session:
        tables = session.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'embedding\\__'"
        ).fetchall()
    assert tables == [("embedding_2",)]


def opened(url: str, embedder: HashingEmbedder):  # type: ignore[no-untyped-def]
    """The store as a process with this model opens it."""
    return in_postgres(url, model=embedder.model, dimension=embedder.dimension)


async def publish(store: PgvectorStore, embedder: HashingEmbedder, source: str, body: str) -> None:
    """Publish a text as one passage."""
    passage = NewPassage(0, len(body), body)
    vectors = await embedder.embed([f"Untitled\n{body}"])
    await store.publish(new_document(source, body), [passage], vectors)


async def sources(store: PgvectorStore, embedder: HashingEmbedder, text: str) -> list[str]:
    """What a question finds, best first."""
    [vector] = await embedder.embed([text])
    found = await store.search(SearchQuery(text, vector, asker("user:ana")))
    return [one.passage.source for one in found]
