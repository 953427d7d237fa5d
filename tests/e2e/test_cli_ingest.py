"""Ingestion as a real process: rows, websites, what is gone, and folders that are followed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from tests.support.documents import folder
from tests.support.website import Page, website

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

LIMIT_S = 120


def environment(home: Path, **more: str) -> dict[str, str]:
    ours = ("ROUTER_", "OTEL_", "NO_COLOR", "FORCE_COLOR")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return clean | {"ROUTER_HOME": str(home)} | more


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(home: Path, database_url: str) -> Run:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "router", *arguments],
            env=environment(home, ROUTER_DATABASE_URL=database_url, **more),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return run


@contextmanager
def following(home: Path, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`router ingest` that stays; killed at the end should it not have ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "router", "ingest", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home, ROUTER_DATABASE_URL=url) | {"PYTHONUNBUFFERED": "1"},
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def reports(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    return map(json.loads, process.stdout)


def listed(run: Run) -> list[str]:
    documents = json.loads(run("documents", "list", "--json").stdout)["documents"]
    return [document["source"] for document in documents]


def test_each_customer_finds_their_own_order_and_nobody_elses(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as session:
        session.execute(
            "CREATE TABLE shop_orders (number int, customer text, status text, expected date)"
        )
        session.execute(
            "INSERT INTO shop_orders VALUES (4711, 'ana', 'shipped', '2026-11-24'),"
            " (4712, 'ben', 'packed', '2026-11-27')"
        )
    query = tmp_path / "orders.sql"
    query.write_text(
        "SELECT number AS id, customer AS owner, status, expected AS expected_delivery\n"
        "FROM shop_orders;\n"
    )
    taken = run(
        "ingest", "--sql", str(query), "--name", "orders", "--json",
        ROUTER_INGEST_SQL_URL=database_url,
    )  # fmt: skip
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout)["published"] == 2

    def asked(who: str) -> dict[str, Any]:
        done = run("ask", "Where is my order?", "--as", who, "--json")
        assert done.returncode == 0, done.stdout
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    ana, ben, stranger = asked("user:ana"), asked("user:ben"), asked("everyone")
    assert [one["source"] for one in ana["citations"]] == ["orders/4711"]
    assert [one["source"] for one in ben["citations"]] == ["orders/4712"]
    assert "shipped" in ana["text"]
    assert "packed" in ben["text"]
    assert "4712" not in json.dumps(ana)
    assert "4711" not in json.dumps(ben)
    assert "471" not in json.dumps(stranger)
    assert stranger["citations"] == []


async def test_a_sitemap_is_taken_in_by_its_address(run: Run) -> None:
    import asyncio

    async with website() as site:
        site.pages["/boots"] = Page("<title>Boots</title><p>Boots go back within a year.")
        url = site.sitemap("/boots", "/gone")
        done = await asyncio.to_thread(run, "ingest", "--sitemap", url, "--json")
        report = json.loads(done.stdout)
        assert (done.returncode, report["published"]) == (1, 1)
        assert [one["source"] for one in report["problems"]] == [site.whole("/gone")]


def test_what_is_gone_is_pruned_only_when_asked(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A.", "b.md": "B."})
    run("ingest", str(root))
    (root / "b.md").unlink()
    kept = json.loads(run("ingest", str(root), "--json").stdout)
    assert (kept["pruned"], listed(run)) == (0, ["docs/a.md", "docs/b.md"])
    done = run("ingest", str(root), "--prune")
    assert "1 pruned" in done.stdout
    assert listed(run) == ["docs/a.md"]


def test_an_empty_folder_is_no_reason_to_delete_everything(run: Run, tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    run("ingest", str(root))
    (root / "a.md").unlink()
    done = run("ingest", str(root), "--prune")
    assert (done.returncode, listed(run)) == (1, ["docs/a.md"])
    assert "nothing was pruned" in done.stderr
    assert run("ingest", str(root), "--prune", "--allow-empty").returncode == 0
    assert listed(run) == []


def test_a_folder_is_followed_until_the_process_is_asked_to_end(
    home: Path, run: Run, database_url: str, tmp_path: Path
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    with following(home, database_url, str(root), "--watch", "--prune", "--json") as process:
        told = reports(process)
        assert next(told)["published"] == 1
        (root / "b.md").write_text("B.")
        assert next(one for one in told if one["published"])["published"] == 1
        (root / "a.md").unlink()
        assert next(one for one in told if one["pruned"])["pruned"] == 1
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, complaints) == (0, "")
    assert listed(run) == ["docs/b.md"]


def test_ctrl_c_ends_the_following_quietly(home: Path, database_url: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    with following(home, database_url, str(root), "--every", "3600") as process:
        assert process.stdout is not None
        assert "docs/a.md: published, 1 passage" in process.stdout.readline()
        assert "1 document published" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, complaints) == (130, "")


def test_a_database_that_restarts_is_waited_for(
    home: Path, database_url: str, tmp_path: Path
) -> None:
    root = folder(tmp_path / "docs", {"a.md": "A."})
    with following(home, database_url, str(root), "--watch", "--json") as process:
        told = reports(process)
        next(told)
        with psycopg.connect(database_url, autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        (root / "b.md").write_text("B.")
        assert next(one for one in told if one["published"])["published"] == 1
