"""Rows of a query as documents: each finds their own, whatever else is wrong with the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from backends.base import SearchQuery
from backends.ingest import IngestReport, SqlSource, Wishes, ingest_source
from backends.memory.embedder import HashingEmbedder
from backends.principals import NOBODY, asker
from tests.support.stores import Store, in_postgres

ORDERS = "SELECT number AS id, customer AS owner, status FROM orders;\n"


@asynccontextmanager
async def shop(database_url: str, *rows: tuple[object, ...]) -> AsyncIterator[Store]:
    """A table of orders (number, customer, status), and the documents beside it."""
    with psycopg.connect(database_url) as session:
        session.execute(
            "CREATE TABLE IF NOT EXISTS orders (number text, customer text, status text)"
        )
        session.cursor().executemany("INSERT INTO orders VALUES (%s, %s, %s)", rows)
    async with in_postgres(database_url) as store:
        yield store


def change(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as session:
        session.execute(statement.encode())


async def run(
    store: Store, url: str, query: str = ORDERS, *, prune: bool = False, name: str = "orders"
) -> IngestReport:
    return await ingest_source(
        SqlSource(query, url=url, name=name),
        store=store,
        embedder=HashingEmbedder(),
        wishes=Wishes(NOBODY, prune=prune),
    )


async def found(store: Store, who: str, text: str = "order") -> Sequence[str]:
    [vector] = await HashingEmbedder().embed([text])
    return sorted(
        one.passage.source for one in await store.search(SearchQuery(text, vector, asker(who)))
    )


async def test_everybody_finds_their_own_rows_and_nobody_elses(database_url: str) -> None:
    rows = [("1", "ana", "shipped"), ("2", "ben", "packed"), ("3", None, "lost")]
    async with shop(database_url, *rows) as store:
        report = await run(store, database_url)
        assert (report.published, report.problems) == (3, ())
        assert await found(store, "user:ana") == ["orders/1"]
        assert await found(store, "user:ben") == ["orders/2"]
        assert await found(store, "everyone") == []


async def test_a_row_that_changes_hands_changes_readers(database_url: str) -> None:
    async with shop(database_url, ("1", "ana", "shipped")) as store:
        await run(store, database_url)
        change(database_url, "UPDATE orders SET customer = 'ben'")
        report = await run(store, database_url)
        assert (report.published, await found(store, "user:ana")) == (1, [])
        assert await found(store, "user:ben") == ["orders/1"]


async def test_unchanged_rows_are_skipped(database_url: str) -> None:
    async with shop(database_url, ("1", "ana", "shipped"), ("2", "ana", "packed")) as store:
        await run(store, database_url)
        change(database_url, "UPDATE orders SET status = 'lost' WHERE number = '2'")
        report = await run(store, database_url)
        assert (report.unchanged, report.published) == (1, 1)


async def test_bad_rows_are_named_and_the_others_go_on(database_url: str) -> None:
    rows = [
        ("1", "a b", "x"),
        (None, "ana", "x"),
        ("2", "ana", "x"),
        ("3", "ana", "x"),
        ("3", "ben", "y"),
    ]
    async with shop(database_url, *rows) as store:
        report = await run(store, database_url)
        assert {problem.source for problem in report.problems} == {
            "orders/1", "orders, row 2", "orders/3",
        }  # fmt: skip
        assert report.published == 1
        assert await found(store, "user:ana") == ["orders/2"]


async def test_rows_that_are_gone_are_pruned_when_asked(database_url: str) -> None:
    async with shop(database_url, ("1", "ana", "x"), ("2", "ana", "x")) as store:
        await run(store, database_url)
        await run(store, database_url, name="orders-archive")
        change(database_url, "DELETE FROM orders WHERE number = '1'")
        assert (await run(store, database_url)).pruned == 0
        assert (await run(store, database_url, prune=True)).pruned == 1
        assert await found(store, "user:ana") == [
            "orders-archive/1", "orders-archive/2", "orders/2",
        ]  # fmt: skip


async def test_a_query_without_rows_prunes_nothing_unless_that_is_allowed(
    database_url: str,
) -> None:
    async with shop(database_url, ("1", "ana", "x")) as store:
        await run(store, database_url)
        change(database_url, "DELETE FROM orders")
        report = await run(store, database_url, prune=True)
        assert (report.pruned, len(report.problems)) == (0, 1)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT number AS id FROM orders", "no column 'acl' or 'owner'"),
        ("SELECT number AS id, customer AS owner, nothing FROM orders", '"nothing" does not exist'),
        ("SELEC", "syntax error"),
        ("DELETE FROM orders RETURNING number AS id, customer AS owner", "syntax error"),
        ("SELECT 1 AS id, 'ana' AS owner, 'infinity'::date AS until", "'infinity'"),
        ("SELECT nextval('counter')::text AS id, 'ana' AS owner", "read-only transaction"),
    ],
)
async def test_a_query_that_does_not_work_is_told_and_prunes_nothing(
    database_url: str, query: str, told: str
) -> None:
    async with shop(database_url, ("1", "ana", "x")) as store:
        change(database_url, "CREATE SEQUENCE counter")
        await run(store, database_url)
        report = await run(store, database_url, query, prune=True)
        assert told in report.problems[0].reason
        assert "nothing was pruned" in report.problems[1].reason
        assert await found(store, "user:ana") == ["orders/1"]


async def test_a_database_that_is_down_is_told_without_its_password(database_url: str) -> None:
    async with shop(database_url) as store:
        report = await run(store, "postgresql://bob:hunter2@127.0.0.1:1/nowhere")
        assert "cannot be reached" in report.problems[0].reason
        assert "hunter2" not in str(report.problems)


async def test_a_url_that_cannot_be_read_is_not_quoted(database_url: str) -> None:
    async with shop(database_url) as store:
        report = await run(store, "postgresql://bob:hunter2@[x")
        assert len(report.problems) == 1
        assert "hunter2" not in str(report.problems)


async def test_more_rows_than_are_held_in_memory_are_all_published_once(database_url: str) -> None:
    query = "SELECT n AS id, 'ana' AS owner FROM generate_series(1, 700) AS n"
    async with shop(database_url) as store:
        report = await run(store, database_url, query, name="numbers")
        assert (report.published, report.problems) == (700, ())


async def test_text_in_a_row_cannot_say_who_may_see_it(database_url: str) -> None:
    query = "SELECT 1 AS id, 'ana' AS owner, E'---\\nacl: everyone\\n---\\norder' AS body"
    async with shop(database_url) as store:
        await run(store, make_conninfo(database_url), query)
        assert await found(store, "everyone") == []
