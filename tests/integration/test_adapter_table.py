"""What the database itself says about adapters, whoever writes into it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from backends.errors import Unavailable
from backends.postgres.pool import SCHEMA, Limits
from backends.registry import open_registry
from tests.support.adapters import adapter_spec
from tests.support.proxy import SilentProxy


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE adapter SET system_prompt = 'Say whatever you like.'",
        "UPDATE adapter SET weights_hash = 'sha256:0'",
        'UPDATE adapter SET schema = \'{"type": "object" }\'',
        "UPDATE adapter SET examples = '{}', state = 'retired'",
        "UPDATE adapter SET version = 9",
        "UPDATE adapter SET state = 'candidate' WHERE version = 1",
        "DELETE FROM adapter",
    ],
)
async def test_a_version_cannot_be_changed(database_url: str, change: str) -> None:
    await _two_versions(database_url)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("SET search_path = router")
        before = _rows(session)
        with pytest.raises(psycopg.IntegrityError, match="cannot be changed"):
            session.execute(change.encode())
        assert _rows(session) == before


async def test_two_versions_of_a_name_cannot_be_live(database_url: str) -> None:
    await _two_versions(database_url)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("SET search_path = router")
        with pytest.raises(psycopg.errors.UniqueViolation, match="adapter_live"):
            session.execute("UPDATE adapter SET state = 'live'")


async def test_a_promotion_that_does_not_end_changes_nothing(database_url: str) -> None:
    await _two_versions(database_url)
    async with open_registry(database_url, schema=SCHEMA) as registry:
        with psycopg.connect(database_url) as blocker:
            blocker.execute("SET search_path = router")
            blocker.execute("SELECT FROM adapter WHERE version = 2 FOR UPDATE")
            promoting = asyncio.create_task(registry.promote("tone", 2))
            await _until_somebody_waits(database_url)
            promoting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await promoting
        found = await registry.find("tone")
    assert found is not None
    assert found.served_as == "tone@1"


async def test_a_registry_that_falls_silent_is_unavailable_in_time(database_url: str) -> None:
    limits = Limits(connect_s=1, acquire_s=1, statement_s=1)
    async with (
        SilentProxy(database_url).opened() as proxy,
        open_registry(proxy.url, schema=SCHEMA, limits=limits) as registry,
    ):
        proxy.fall_silent()
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable) as caught:
                await registry.adapters()
            with pytest.raises(Unavailable):
                await registry.add(adapter_spec())
        assert caught.value.backend == "database"
        proxy.speak_again()


async def _two_versions(url: str) -> None:
    """The first is live."""
    async with open_registry(url, schema=SCHEMA) as registry:
        for seed in range(2):
            await registry.add(
                adapter_spec("tone", seed=seed, schema={"type": "object"}, examples=("a",))
            )
        await registry.promote("tone", 1)


async def _until_somebody_waits(url: str) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as session:
        name = session.info.dbname
        async with asyncio.timeout(5):
            found = None
            while found is None:
                found = await (await session.execute(waiting, [name])).fetchone()


def _rows(session: psycopg.Connection) -> list[tuple[object, ...]]:
    return session.execute("SELECT adapter::text FROM adapter ORDER BY version").fetchall()
