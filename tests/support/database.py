"""A real PostgreSQL for tests: one server a session, one fresh migrated database a test."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from backends.postgres import embedded_server, migrate


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """Connection string of a server where databases may be made."""
    if given := os.environ.get("ROUTER_TEST_DATABASE_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="router-test-") as folder, asyncio.Runner() as runner:
        server = embedded_server(Path(folder) / "server")
        url = runner.run(server.__aenter__())
        try:
            # Nothing here has to survive a power cut.
            with psycopg.connect(url, autocommit=True) as session:
                session.execute("ALTER SYSTEM SET fsync = off")
                session.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            runner.run(server.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def database_template(database_server: str) -> Iterator[str]:
    """Name of a migrated database that nobody is connected to, to be copied."""
    with _database(database_server) as name:
        with asyncio.Runner() as runner:
            runner.run(migrate(make_conninfo(database_server, dbname=name)))
        yield name


@pytest.fixture
def database_url(database_server: str, database_template: str) -> Iterator[str]:
    """Connection string of a migrated, empty database of this test's own."""
    with _database(database_server, template=database_template) as name:
        yield make_conninfo(database_server, dbname=name)


@pytest.fixture
def empty_database_url(database_server: str) -> Iterator[str]:
    """Connection string of a database of this test's own that was never migrated."""
    with _database(database_server) as name:
        yield make_conninfo(database_server, dbname=name)


@contextmanager
def _database(server: str, template: str = "template0") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as session:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        session.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield name
    finally:
        with psycopg.connect(server, autocommit=True) as session:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            session.execute(drop.format(sql.Identifier(name)))
