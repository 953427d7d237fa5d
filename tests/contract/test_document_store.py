"""What every document store does, in memory and on PostgreSQL."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from backends.base import NewPassage, PassageId
from backends.errors import Misconfigured, Refused
from backends.principals import NOBODY, parse_principals
from tests.support.stores import (
    OpenStore,
    embedded,
    new_document,
    one_passage,
    publish,
    search,
)

ANA = parse_principals("user:ana")
HR = parse_principals("group:hr")


async def test_a_published_document_comes_back_whole(open_store: OpenStore) -> None:
    async with open_store() as store:
        document = new_document(
            "travel/policy.md", "Body with ünïcode 旅費 🧳.", metadata={"country": "DE"}
        )
        info = await publish(store, document)
        assert await store.document("travel/policy.md") == (info, document.body)


async def test_what_publishing_returns_describes_the_document(open_store: OpenStore) -> None:
    async with open_store() as store:
        document = new_document("a.md", "Some text.", acl="user:ana", metadata={"k": "v"})
        info = await publish(store, document)
        assert (info.source, info.title, info.media_type, info.fingerprint) == (
            document.source,
            document.title,
            document.media_type,
            document.fingerprint,
        )
        assert (info.acl, dict(info.metadata)) == (document.acl, {"k": "v"})
        assert (info.version, info.passages, info.characters) == (1, 1, 10)


async def test_the_first_version_is_one_and_the_next_is_two(open_store: OpenStore) -> None:
    async with open_store() as store:
        first = await publish(store, new_document("a.md", "Old."))
        second = await publish(store, new_document("a.md", "New."))
        assert (first.version, second.version) == (1, 2)


async def test_a_new_version_keeps_the_documents_id(open_store: OpenStore) -> None:
    async with open_store() as store:
        first = await publish(store, new_document("a.md", "Old."))
        second = await publish(store, new_document("a.md", "New."))
        assert first.id == second.id


async def test_a_new_version_replaces_the_text(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Old."))
        await publish(store, new_document("a.md", "New."))
        found = await store.document("a.md")
        assert found is not None
        assert found[1] == "New."


async def test_fingerprints_tell_what_is_unchanged(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Text.", fingerprint="abc"))
        assert await store.fingerprints(["a.md", "unknown.md"]) == {"a.md": "abc"}


async def test_publishing_what_is_stored_already_changes_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        first = await publish(store, new_document("a.md", "Text.", fingerprint="abc"))
        second = await publish(store, new_document("a.md", "Text.", fingerprint="abc"))
        assert second == first
        assert await store.document("a.md") == (first, "Text.")


async def test_publishing_the_same_twice_at_once_makes_one_version(open_store: OpenStore) -> None:
    async with open_store() as store:
        document = new_document("a.md", "Text.")
        both = await asyncio.gather(publish(store, document), publish(store, document))
        assert [info.version for info in both] == [1, 1]


async def test_fingerprints_of_nothing_are_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.fingerprints([]) == {}


async def test_the_listing_is_in_the_order_of_the_sources(open_store: OpenStore) -> None:
    async with open_store() as store:
        for source in ("b.md", "B.md", "ä.md", "a.md", "a b.md"):
            await publish(store, new_document(source, "Text."))
        listed = [info.source for info in await store.documents()]
        assert listed == ["B.md", "a b.md", "a.md", "b.md", "ä.md"]


async def test_the_listing_shows_an_asker_only_what_is_theirs(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("hr.md", "Text.", acl="group:hr"))
        await publish(store, new_document("it.md", "Text.", acl="group:it"))
        assert [info.source for info in await store.documents(visible_to=HR)] == ["hr.md"]


async def test_the_listing_is_empty_for_nobody(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Text.", acl="everyone"))
        assert list(await store.documents(visible_to=NOBODY)) == []


async def test_an_operator_sees_even_what_nobody_may_see(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Text.", acl=""))
        assert [info.source for info in await store.documents()] == ["a.md"]


@pytest.mark.parametrize("asker", ["user:ana", "everyone", ""])
async def test_an_invisible_document_is_as_good_as_unknown(
    open_store: OpenStore, asker: str
) -> None:
    async with open_store() as store:
        await publish(store, new_document("hr.md", "Text.", acl="group:hr"))
        assert await store.document("hr.md", visible_to=parse_principals(asker)) is None


async def test_an_unknown_document_is_none(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.document("unknown.md") is None


async def test_a_source_that_cannot_exist_is_unknown(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.document("a\x00.md") is None
        assert await store.fingerprints(["a\x00.md", "\ud800"]) == {}
        assert await store.delete("a\x00.md") is False


async def test_a_deleted_document_is_gone(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Text."))
        assert await store.delete("a.md") is True
        assert await store.document("a.md") is None


async def test_deleting_what_is_not_there_says_so(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.delete("a.md") is False


async def test_a_document_may_have_no_passages(open_store: OpenStore) -> None:
    async with open_store() as store:
        info = await store.publish(new_document("a.md", ""), [], np.zeros((0, 384), np.float32))
        assert (info.passages, info.characters) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"body": "a\x00b"},
        {"title": "a\x00b"},
        {"source": "a\x00b"},
        {"metadata": {"k": "a\x00b"}},
        {"body": "half \ud83d of a pair"},
        {"source": ""},
        {"source": "x" * 2_001},
    ],
    ids=lambda change: f"{next(iter(change))}-{len(str(change))}",
)
async def test_what_cannot_be_stored_is_refused(
    open_store: OpenStore, change: dict[str, str]
) -> None:
    async with open_store() as store:
        document = new_document(**({"source": "a.md", "body": "Text."} | change))  # type: ignore[arg-type]  # one field of many types
        with pytest.raises(Refused):
            await publish(store, document)
        assert list(await store.documents()) == []


async def test_a_refusal_names_the_source(open_store: OpenStore) -> None:
    async with open_store() as store:
        with pytest.raises(Refused, match=r"travel/nul\.txt"):
            await publish(store, new_document("travel/nul.txt", "a\x00b"))


async def test_a_passage_that_is_not_what_its_offsets_say_is_refused(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        passage = NewPassage(start=1, end=5, text="Text")
        with pytest.raises(Refused, match="offsets 1 and 5"):
            await store.publish(new_document("a.md", "Text."), [passage], embedded(["Text"]))


@pytest.mark.parametrize(
    "embeddings",
    [
        np.ones((1, 383), np.float32),
        np.ones((2, 384), np.float32),
        np.zeros((1, 384), np.float32),
        np.full((1, 384), np.nan, np.float32),
    ],
    ids=["too short", "too many", "zero", "not a number"],
)
async def test_embeddings_that_do_not_fit_are_a_misconfiguration(
    open_store: OpenStore, embeddings: np.ndarray
) -> None:
    async with open_store() as store:
        document = new_document("a.md", "Text.")
        with pytest.raises(Misconfigured):
            await store.publish(document, one_passage(document), embeddings)


async def test_publishing_at_the_same_time_ends_with_one_winner(open_store: OpenStore) -> None:
    async with open_store() as store:
        texts = [f"Text of writer {number}." for number in range(6)]
        infos = await asyncio.gather(
            *(publish(store, new_document("a.md", text)) for text in texts)
        )
        assert sorted(info.version for info in infos) == [1, 2, 3, 4, 5, 6]
        last = max(infos, key=lambda info: info.version)
        found = await store.document("a.md")
        assert found is not None
        assert found == (last, texts[infos.index(last)])


async def test_a_store_that_works_gives_a_sign_of_life(open_store: OpenStore) -> None:
    async with open_store() as store:
        await asyncio.wait_for(store.ping(), timeout=5)


async def test_a_passage_comes_back_by_its_id_as_a_search_finds_it(open_store: OpenStore) -> None:
    async with open_store() as store:
        document = new_document("a.md", "Zebra crossing.", title="Traffic", acl="user:ana")
        await publish(store, document)
        [found] = await search(store, "zebra")
        assert await store.passage(found.passage.id, visible_to=ANA) == found.passage


async def test_a_passage_is_shown_to_the_documents_readers_only(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra crossing.", acl="group:hr"))
        [found] = await search(store, "zebra", who="group:hr")
        assert await store.passage(found.passage.id, visible_to=HR) == found.passage
        assert await store.passage(found.passage.id, visible_to=ANA) is None
        assert await store.passage(found.passage.id, visible_to=NOBODY) is None


async def test_a_replaced_or_deleted_passage_is_gone(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra crossing.", acl="user:ana"))
        [old] = await search(store, "zebra")
        await publish(store, new_document("a.md", "Zebra crossings.", acl="user:ana"))
        [new] = await search(store, "zebra")
        assert await store.passage(old.passage.id, visible_to=ANA) is None
        assert await store.passage(new.passage.id, visible_to=ANA) == new.passage
        await store.delete("a.md")
        assert await store.passage(new.passage.id, visible_to=ANA) is None


@pytest.mark.parametrize(
    "text", ["", "1", "\x00", "\ud800", "' OR true --", "../a.md", "x" * 100_000]
)
async def test_what_is_no_id_names_no_passage(open_store: OpenStore, text: str) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra crossing.", acl="user:ana"))
        assert await store.passage(PassageId(text), visible_to=ANA) is None


async def test_an_id_is_known_by_its_one_spelling(open_store: OpenStore) -> None:
    async with open_store() as store:
        await publish(store, new_document("a.md", "Zebra crossing.", acl="user:ana"))
        [found] = await search(store, "zebra")
        assert await store.passage(PassageId(f"{{{found.passage.id}}}"), visible_to=ANA) is None
