"""Migrations against a real server, and that they lead to the schema that is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files

import psycopg
import pytest

from backends.errors import Misconfigured
from backends.postgres import migrate
from backends.postgres.migrate import Migration
from tests.support.stores import in_postgres

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (number integer)")
TWO = Migration(2, "0002_two.sql", "CREATE TABLE two (number integer)")

CATALOGUE = """
SELECT 'column', table_name, column_name, format_type(atttypid, atttypmod),
    is_nullable, column_default, attstorage::text
FROM information_schema.columns
JOIN pg_attribute ON attname = column_name
    AND attrelid = format('%%I.%%I', table_schema, table_name)::regclass
WHERE table_schema = %(schema)s
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef, '', '', ''
FROM pg_indexes WHERE schemaname = %(schema)s
UNION ALL
SELECT 'function', '', proname, pg_get_functiondef(oid), '', '', ''
FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace AND prokind IN ('f', 'p')
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid), '', '', ''
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = %(schema)s::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'relation', relname, relkind::text, array_to_string(reloptions, ','),
    coalesce(pg_get_viewdef(CASE WHEN relkind IN ('v', 'm') THEN oid END), ''), '', ''
FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
UNION ALL
SELECT 'right', '', coalesce(relname, proname), privilege_type, grantee::regrole::text, '', ''
FROM (
    SELECT relname, null, acl.* FROM pg_class CROSS JOIN aclexplode(relacl) AS acl
    WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT null, proname, acl.* FROM pg_proc CROSS JOIN aclexplode(proacl) AS acl
    WHERE pronamespace = %(schema)s::regnamespace
) AS rights (relname, proname, grantor, grantee, privilege_type, is_grantable)
UNION ALL
SELECT 'type', typname, typtype::text,
    (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum
     WHERE enumtypid = pg_type.oid), '', '', ''
FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
ORDER BY 1, 2, 3, 4, 5
"""


async def test_the_migrations_lead_to_the_schema_that_is_written_down(
    database_url: str, empty_database_url: str
) -> None:
    written = (files("backends.postgres") / "schema.sql").read_bytes()
    with psycopg.connect(empty_database_url, autocommit=True) as session:
        session.execute("CREATE EXTENSION vector")
        session.execute("CREATE SCHEMA router")
        # As the migrations leave it.
        session.execute("SET search_path = router, public, extensions, pg_temp")
        session.execute(written)
    assert _catalogue(database_url) == _catalogue(empty_database_url)


async def test_migrating_again_does_nothing(database_url: str) -> None:
    assert await migrate(database_url) == []


async def test_a_new_migration_runs_on_top(empty_database_url: str) -> None:
    await migrate(empty_database_url, steps=[ONE])
    assert await migrate(empty_database_url, steps=[ONE, TWO]) == ["0002_two.sql"]


async def test_many_may_migrate_at_once(empty_database_url: str) -> None:
    ran = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(len(names) > 0 for names in ran) == [False, False, False, True]


async def test_an_edited_migration_is_noticed(empty_database_url: str) -> None:
    await migrate(empty_database_url, steps=[ONE])
    edited = Migration(1, "0001_one.sql", "CREATE TABLE one (number bigint)")
    with pytest.raises(Misconfigured, match=r"0001_one\.sql was edited"):
        await migrate(empty_database_url, steps=[edited])


async def test_a_database_of_a_newer_version_is_left_alone(empty_database_url: str) -> None:
    await migrate(empty_database_url, steps=[ONE, TWO])
    with pytest.raises(Misconfigured, match="migration 2, which this version does not know"):
        await migrate(empty_database_url, steps=[ONE])


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    broken = Migration(2, "0002_broken.sql", "CREATE TABLE two (n integer); SELECT nonsense")
    with pytest.raises(Misconfigured, match="nonsense"):
        await migrate(empty_database_url, steps=[ONE, broken])
    assert await migrate(empty_database_url, steps=[ONE, TWO]) == ["0002_two.sql"]


async def test_each_schema_is_migrated_on_its_own(database_url: str) -> None:
    assert await migrate(database_url, schema="scratch_1") != []
    async with in_postgres(database_url, schema="scratch_1") as store:
        assert await store.documents() == []


async def test_an_old_pgvector_is_named_with_the_remedy(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as session:
        session.execute("CREATE EXTENSION vector")
        # The wheel brings one version only, so the catalogue has to say that it is an older one.
        session.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(Misconfigured, match=r"the server has 0\.7\.4") as caught:
        await migrate(empty_database_url)
    assert "ALTER EXTENSION vector UPDATE TO '0.8" in caught.value.hint


def _catalogue(url: str) -> Sequence[tuple[object, ...]]:
    with psycopg.connect(url) as session:
        # The same path on both sides, as names are shown relative to it.
        session.execute("SET search_path = router, public")
        return session.execute(CATALOGUE, {"schema": "router"}).fetchall()
