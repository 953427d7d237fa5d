"""A database that keeps its connections open but does not answer any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from backends.base import SearchQuery
from backends.errors import Unavailable
from backends.pgvector import PgvectorStore
from backends.postgres import Limits, connection, open_pool
from backends.principals import asker
from tests.support.proxy import SilentProxy
from tests.support.stores import embedded, in_postgres, new_document, one_passage

LIMITS = Limits(max_size=2, connect_s=1, acquire_s=1, statement_s=1, transaction_s=30)
IN_TIME_S = 2.0
"""The limits, and a second on top."""

BOOTS = new_document("boots.md", "Boots may be returned within 30 days.")


@contextmanager
def in_time() -> Iterator[None]:
    """Fail when the block takes longer than it may."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < IN_TIME_S


@asynccontextmanager
async def behind_a_proxy(url: str) -> AsyncIterator[tuple[PgvectorStore, SilentProxy]]:
    """A store that has answered once, and the way to its database."""
    async with (
        SilentProxy(url).opened() as proxy,
        in_postgres(proxy.url, limits=LIMITS) as store,
    ):
        await store.publish(BOOTS, one_passage(BOOTS), embedded([BOOTS.body]))
        await store.search(_query())
        yield store, proxy


async def test_a_search_fails_in_time(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        with in_time(), pytest.raises(Unavailable):
            await store.search(_query())


async def test_a_lookup_fails_in_time(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        with in_time(), pytest.raises(Unavailable):
            await store.fingerprints(["boots.md"])


async def test_a_sign_of_life_fails_in_time(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        with in_time(), pytest.raises(Unavailable):
            await store.ping()


async def test_a_publication_fails_at_its_next_statement(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        with in_time(), pytest.raises(Unavailable):
            await store.publish(BOOTS, one_passage(BOOTS), embedded([BOOTS.body]))


async def test_a_statement_that_is_under_way_fails_in_time(database_url: str) -> None:
    async with (
        SilentProxy(database_url).opened() as proxy,
        open_pool(proxy.url, limits=LIMITS) as pool,
    ):
        with pytest.raises(Unavailable, match="no answer within"):  # noqa: PT012 - as below
            async with connection(pool, "sleep", within_s=30) as session:
                await session.execute("SELECT 1")
                proxy.fall_silent()
                with in_time():
                    await session.execute("SELECT 2")


async def test_a_failure_of_our_own_is_undone_in_time(database_url: str) -> None:
    async with (
        SilentProxy(database_url).opened() as proxy,
        open_pool(proxy.url, limits=LIMITS) as pool,
    ):
        with pytest.raises(LookupError):  # noqa: PT012 - what is measured begins inside
            async with connection(pool, "fail", within_s=30) as session:
                await session.execute("SELECT 1")
                proxy.fall_silent()
                began = time.monotonic()
                raise LookupError
        assert time.monotonic() - began < LIMITS.statement_s


async def test_whoever_leaves_is_not_held_by_a_silent_database(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        searching = asyncio.create_task(store.search(_query()))
        await asyncio.sleep(0)
        searching.cancel()
        with in_time(), pytest.raises(asyncio.CancelledError):
            await searching


async def test_closing_is_not_held_by_a_silent_database(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (_, proxy):
        proxy.fall_silent()
        began = time.monotonic()
    assert time.monotonic() - began < IN_TIME_S


async def test_a_database_that_speaks_again_is_asked_again(database_url: str) -> None:
    async with behind_a_proxy(database_url) as (store, proxy):
        proxy.fall_silent()
        with pytest.raises(Unavailable):
            await store.search(_query())
        proxy.speak_again()
        found = await _once_available(store)
    assert found == ["boots.md"]


async def _once_available(store: PgvectorStore) -> list[str]:
    async with asyncio.timeout(10):
        while True:
            try:
                return [found.passage.source for found in await store.search(_query())]
            except Unavailable:
                continue


def _query() -> SearchQuery:
    return SearchQuery("boots", embedded(["boots"])[0], asker("user:ana"))
