"""``router adapters promote`` as a real process, on PostgreSQL and a server of vLLM's format."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from backends.adapters import AdapterState
from backends.postgres import migrate
from backends.registry import open_registry
from tests.support.model_server import ModelServer, model_server
from tests.support.served import adapter

SCHEMA = "router"


async def router(home: Path, database_url: str, server: ModelServer, *said: str) -> tuple[int, str]:
    """Run a command to its end; return its exit code and all that it said."""
    given = {
        "ROUTER_HOME": str(home),
        "ROUTER_DATABASE_URL": database_url,
        "ROUTER_VLLM_URL": server.url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "router",
        "adapters",
        *said,
        env=os.environ | given,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


async def test_a_version_is_loaded_asked_and_made_live_or_nothing_is_changed(
    tmp_path: Path, database_url: str
) -> None:
    await migrate(database_url, schema=SCHEMA)
    async with model_server() as server, open_registry(database_url, schema=SCHEMA) as registry:
        await registry.add(adapter(tmp_path).spec)
        code, told = await router(
            tmp_path, database_url, server, "promote", "voice", "--probe", "Who are you?", "--json"
        )
        assert code == 0, told
        promoted = json.loads(told)
        assert (promoted["probe"], promoted["left"]) == ("Who are you?", [])
        assert "voice@1" in promoted["said"]
        assert "voice@1" in server.names

        server.max_lora_rank = 8
        await registry.add(adapter(tmp_path, version=2, rank=16).spec)
        code, told = await router(tmp_path, database_url, server, "promote", "voice")
        assert code == 1
        assert "--max-lora-rank 16" in told
        live = await registry.find("voice")
        assert live is not None
        assert (live.version, live.state) == (1, AdapterState.LIVE)
        assert "voice@1" in server.names
        assert "voice@2" not in server.names
