"""What the database itself keeps from whoever reads on somebody's behalf."""

from __future__ import annotations

import psycopg
import pytest

from backends.base import SearchQuery
from backends.errors import Misconfigured
from backends.postgres import migrate, open_pool
from backends.postgres.pool import connection
from backends.principals import asker
from tests.support.stores import embedded, in_postgres, new_document, publish

TABLES = (
    "document",
    "document_version",
    "passage",
    "passage_terms",
    "embedding_1",
    "term",
    "reader",
    "corpus",
    "embedding_space",
    "adapter",
)


@pytest.mark.parametrize("table", TABLES)
async def test_a_reader_may_touch_no_table(database_url: str, table: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "Zebra."))
    async with open_pool(database_url, reader=True) as pool:
        for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(Misconfigured, match="permission denied"):
                async with connection(pool, "try") as session:
                    await session.execute(statement.encode())


@pytest.mark.parametrize(
    "call",
    [
        "search_plan('words', 384, '{}', '{}', 1, true)",
        "create_embedding_table(9, 384)",
    ],
)
async def test_a_reader_gets_nowhere_by_other_functions(database_url: str, call: str) -> None:
    async with open_pool(database_url, reader=True) as pool:
        with pytest.raises(Misconfigured, match="permission denied"):
            async with connection(pool, "try") as session:
                await session.execute(f"SELECT {call}".encode())


async def test_a_reader_sees_through_the_functions_what_the_asker_may_see(
    database_url: str,
) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("hr.md", "Zebra pay.", acl="group:hr"))
    doors = (
        "SELECT source FROM visible_documents(%s, '', 10)",
        "SELECT (found).source FROM visible_body(%s, 'hr.md')",
    )
    async with open_pool(database_url, reader=True) as pool:
        for door in doors:
            async with connection(pool, "look") as session:
                for who, seen in ((["group:hr"], [("hr.md",)]), (["group:h"], []), ([], [])):
                    found = await session.execute(door.encode(), [who])
                    assert await found.fetchall() == seen


async def test_a_table_of_the_readers_own_does_not_stand_in_for_ours(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("hr.md", "Zebra pay.", acl="group:hr"))
    async with open_pool(database_url, reader=True) as pool, connection(pool, "try") as session:
        await session.execute("CREATE TEMPORARY TABLE document (acl text[])")
        found = await session.execute("SELECT source FROM visible_documents('{group:hr}', '', 9)")
        assert await found.fetchall() == [("hr.md",)]


async def test_a_right_that_is_revoked_is_gone_with_the_next_search(database_url: str) -> None:
    query = SearchQuery("zebra", embedded(["zebra"])[0], asker("group:hr"))
    async with in_postgres(database_url) as store:
        await publish(store, new_document("pay.md", "Zebra pay.", acl="group:hr"))
        assert len(await store.search(query)) == 1
        with psycopg.connect(database_url) as session:
            session.execute("UPDATE router.document SET acl = '{group:board}'")
        assert list(await store.search(query)) == []


async def test_readers_are_counted_whatever_changes_a_document(database_url: str) -> None:
    async with in_postgres(database_url) as store:
        await publish(store, new_document("a.md", "One.", acl="group:hr,user:ana"))
        await publish(store, new_document("b.md", "Two.", acl="group:hr"))
        assert _readers(database_url) == {"group:hr": 2, "user:ana": 1}
        await publish(store, new_document("a.md", "One.", acl="group:board"))
        assert _readers(database_url) == {"group:hr": 1, "group:board": 1}
        await store.delete("b.md")
        assert _readers(database_url) == {"group:board": 1}


async def test_a_user_who_may_not_make_the_role_is_told_who_can(
    empty_database_url: str, database_server: str
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as session:
        session.execute("CREATE EXTENSION vector")
        session.execute("DROP ROLE IF EXISTS poor")
        session.execute("CREATE ROLE poor LOGIN")
        session.execute("GRANT CREATE ON DATABASE " + session.info.dbname + " TO poor")
    poor = psycopg.conninfo.make_conninfo(empty_database_url, user="poor")
    try:
        with pytest.raises(Misconfigured) as caught:
            await migrate(poor)
        assert "GRANT router_reader TO" in caught.value.hint
        with psycopg.connect(empty_database_url, autocommit=True) as session:
            session.execute("GRANT router_reader TO poor")
        assert await migrate(poor) != []
        async with in_postgres(poor) as store:
            await publish(store, new_document("a.md", "Zebra."))
            found = await store.search(
                SearchQuery("zebra", embedded(["zebra"])[0], asker("user:ana"))
            )
            assert len(found) == 1
    finally:
        with psycopg.connect(empty_database_url, autocommit=True) as session:
            session.execute("DROP OWNED BY poor CASCADE")
            session.execute("DROP ROLE poor")


def _readers(url: str) -> dict[str, int]:
    with psycopg.connect(url) as session:
        return dict(session.execute("SELECT principal, passages FROM router.reader").fetchall())
