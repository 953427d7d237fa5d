"""Everything in README.md runs, from top to bottom, as a reader would run it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from router.config import load_settings
from tests.e2e.test_cli_finetune import ORDER
from tests.support.model_server import model_server
from tests.support.website import Page, website

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

DOOR = "8080"
MODEL_SERVER = "8000"
SITE = "8090"
SHOP = "postgresql://127.0.0.1/shop"
LIMIT_S = 90.0

IN_CI = (
    "uv run pytest",
    "uv run ruff format --check .",
    "uv run ruff check .",
    "uv run mypy",
    "uv run lint-imports",
)
"""Commands that would run this test again, or take as long as all tests: .ci/run runs them."""

BEGINNINGS = (
    "",
    "## Ingest your documents",
    "## Serve",
    "## Connect vLLM",
    "## Embed as a library",
)
"""Sections that begin a part; what a server of the one before serves belongs to the same part."""

ON_REAL_VLLM = "uv run router vllm "
"""Needs a real vLLM: tests marked ``vllm`` start, ask and end theirs by the same commands."""

TRAINING = "uv run --extra finetune "
"""Takes minutes and the extra: the tests of ``router finetune`` run the same order."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of the README."""

    language: str
    text: str


def blocks(*languages: str, text: str = README) -> Sequence[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in found if language in languages]


@pytest.mark.parametrize("command", IN_CI)
def test_commands_that_check_the_project_are_the_ones_that_ci_runs(command: str) -> None:
    assert command in README
    assert command in CI.splitlines()


def test_the_settings_in_the_readme_are_valid(tmp_path: Path) -> None:
    [example] = blocks("toml")
    file = tmp_path / "router.toml"
    file.write_text(example.text, encoding="utf-8")

    assert load_settings(file).server.max_concurrent == 64


@pytest.mark.parametrize("part", range(len(BEGINNINGS)))
async def test_every_part_of_the_readme_runs_in_order(part: int, home: Path, shop: str) -> None:
    async with model_server() as server, site() as pages:
        ports = {
            DOOR: str(free_port()),
            MODEL_SERVER: server.url.rsplit(":", 1)[1],
            SITE: pages.rsplit(":", 1)[1],
        }
        reader = Reader(home, ports | {SHOP: shlex.quote(shop)})
        wanted = blocks("bash", "python", text=parts()[part])
        try:
            for block in wanted:
                await reader.follow(block)
        finally:
            await reader.leave()

    assert reader.ran == sum(map(runs, wanted)) > 0


def test_the_parts_are_the_whole_readme() -> None:
    assert "".join(parts()) == README


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's data folder, for all parts."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture
def shop(empty_database_url: str) -> str:
    """The database that the query of the orders is for."""
    with psycopg.connect(empty_database_url) as session:
        session.execute(
            "CREATE TABLE orders"
            " (number int, customer text, item text, status text, expected_on date)"
        )
        session.execute(
            "INSERT INTO orders VALUES (4711, 'ana', 'walking boots', 'shipped', '2026-11-24')"
        )
    return empty_database_url


@asynccontextmanager
async def site() -> AsyncIterator[str]:
    """A website of one page and a sitemap that lists it; its address."""
    async with website() as served:
        served.pages["/care"] = Page("<title>Boot care</title><p>Wax them twice a year.</p>")
        served.sitemap("/care")
        yield served.url


def parts() -> Sequence[str]:
    """The README cut before each of the sections that begin a part."""
    cuts = [README.index(heading) if heading else 0 for heading in BEGINNINGS]
    return [README[cut:end] for cut, end in zip(cuts, [*cuts[1:], None], strict=True)]


def runs(block: Block) -> int:
    """How many programs and commands of a block are run here."""
    if block.language == "python":
        return 1
    return sum(not elsewhere(line) for line in block.text.splitlines())


def elsewhere(command: str) -> bool:
    """Whether the command is run by somebody else."""
    if command.startswith(ON_REAL_VLLM):
        return "--print" not in command
    return command in IN_CI or command.startswith(TRAINING)


def test_the_commands_on_real_vllm_are_those_that_its_tests_run() -> None:
    tested = [ROOT / "tests" / "support" / "real_vllm.py", *(ROOT / "tests" / "vllm").glob("*.py")]
    said = "".join(file.read_text(encoding="utf-8") for file in tested)
    for command in ("up", "status", "down"):
        assert f"{ON_REAL_VLLM}{command}" in README
        assert f'"{command}"' in said


def test_the_training_in_the_readme_is_the_one_that_its_test_runs() -> None:
    order = shlex.join(word.replace(f"{ROOT}/", "") for word in ORDER)
    assert f"{TRAINING}router {order} --promote\n" in README


class Reader:
    """Somebody who runs one block after the other; a server keeps running beside the rest."""

    def __init__(self, home: Path, places: dict[str, str]) -> None:
        self._environment = {**os.environ, "ROUTER_HOME": str(home), "NO_COLOR": "1"}
        self._places = places
        self._servers: list[tuple[Process, asyncio.Task[bytes]]] = []
        self.ran = 0

    async def follow(self, block: Block) -> None:
        text = block.text
        for written, real in self._places.items():
            text = text.replace(written, real)
        if block.language == "python":
            await self._run([sys.executable, "-c", text], text)
            self.ran += 1
            return
        for line in text.splitlines():
            if not elsewhere(line):
                await self._type(line)

    async def leave(self) -> None:
        for server, log in self._servers:
            server.terminate()
            await server.wait()
            await log

    async def _type(self, line: str) -> None:
        # What pip has done stays done; this environment is the one that it made.
        command = line.removeprefix("python3 -m pip install uv && ")
        command = command.replace("uv run router", f"{sys.executable} -m router")
        command = command.replace("curl -s", "curl -sS --fail-with-body")
        if " serve " in command:
            server = await self._start(["bash", "-c", f"exec {command}"])
            self._servers.append((server, await heard(server, "listening")))
        elif command.endswith(" --watch"):
            await self._stop(await self._start(["bash", "-c", f"exec {command}"]), "unchanged")
        else:
            await self._run(["bash", "-o", "pipefail", "-c", command], line)
        self.ran += 1

    async def _stop(self, process: Process, said: str) -> None:
        rest = await heard(process, said)
        process.terminate()
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0, (await rest).decode()
        await rest

    async def _run(self, arguments: Sequence[str], shown: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            process = await self._start(arguments)
            output, _ = await process.communicate()
        assert process.returncode == 0, f"{shown}\n{output.decode()}"

    async def _start(self, arguments: Sequence[str]) -> Process:
        return await asyncio.create_subprocess_exec(
            *arguments, cwd=ROOT, env=self._environment, stdout=PIPE, stderr=STDOUT
        )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


async def heard(process: Process, word: str) -> asyncio.Task[bytes]:
    """Wait until the process says the word; the task goes on reading what it says."""
    assert process.stdout is not None
    said = []
    async with asyncio.timeout(LIMIT_S):
        while line := await process.stdout.readline():
            said.append(line.decode())
            if word in said[-1]:
                return asyncio.create_task(process.stdout.read())
    raise AssertionError("".join(said))
