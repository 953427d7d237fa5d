"""``router adapters`` as a real process on a real database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.adapters import lora_folder, manifest
from tests.support.model_server import BASE_MODEL, model_server

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

LIMIT_S = 120


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    ours = ("ROUTER_", "OTEL_", "NO_COLOR", "FORCE_COLOR")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {
        "ROUTER_HOME": str(tmp_path / "home"),
        "ROUTER_DATABASE_URL": database_url,
        "ROUTER_STARTER": "false",
    }

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "router", "adapters", *arguments],
            env=clean | settings | more,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return run


def told(run: Run, *arguments: str, **more: str) -> dict[str, Any]:
    done = run(*arguments, "--json", **more)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_version_lives_from_its_folder_to_its_retirement(run: Run, tmp_path: Path) -> None:
    assert told(run, "list") == {"adapters": []}
    folder = lora_folder(tmp_path / "Brand Voice", seed=1)
    system = tmp_path / "system.txt"
    system.write_text("Sei herzlich – immer.", encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"z": {}, "a": {}}}')
    said = ("--name", "brand-voice", "--description", "Warm.", "--base", "starter")
    examples = ("--example", "make it warm", "--example", "say it kindly")
    files = ("--schema", str(schema), "--system", str(system))

    added = told(run, "add", str(folder), *said, *examples, *files)
    assert (added["served_as"], added["state"]) == ("brand-voice@1", "candidate")
    assert added["examples"] == ["make it warm", "say it kindly"]
    assert added["system_prompt"] == "Sei herzlich – immer."
    assert list(added["schema"]["properties"]) == ["z", "a"]
    assert (added["base"], added["folder"]) == ("starter", str(folder))

    lora_folder(folder, seed=2)
    assert told(run, "add", str(folder), *said)["served_as"] == "brand-voice@2"
    assert told(run, "promote", "brand-voice@1", "--unproven")["previous"] is None
    promoted = told(run, "promote", "brand-voice", "--unproven")
    assert promoted["adapter"]["served_as"] == "brand-voice@2"
    assert (promoted["adapter"]["state"], promoted["previous"]) == ("live", "brand-voice@1")
    assert told(run, "show", "brand-voice")["version"] == 2
    live = told(run, "list", "--state", "live")["adapters"]
    assert [each["served_as"] for each in live] == ["brand-voice@2"]
    assert told(run, "retire", "brand-voice")["adapter"]["served_as"] == "brand-voice@2"
    shown = run("list")
    assert "brand-voice@1" in shown.stdout
    assert "retired" in shown.stdout


def test_what_cannot_be_done_says_why_and_exits_with_one(run: Run, tmp_path: Path) -> None:
    folder = manifest(lora_folder(tmp_path / "tone"), {"colour": "red"})
    damaged = lora_folder(tmp_path / "damaged")
    sound = lora_folder(tmp_path / "sound", base="starter")
    nonsense = tmp_path / "nonsense.json"
    nonsense.write_text('{"type": "nonsense"}')
    told(run, "add", str(sound))
    (damaged / "adapter_model.safetensors").write_bytes(b"cut")
    for arguments, complaint in (
        (("add", str(tmp_path / "nowhere")), "is not a folder"),
        (("add", str(folder)), "colour: unknown key"),
        (("add", str(damaged)), "not a safetensors file, or is cut"),
        (("add", str(sound), "--schema", str(nonsense)), "JSON schema"),
        (("add", str(sound), "--name", "auto"), "one that the router answers to itself"),
        (("add", str(sound), "--name", "starter"), "that of its base"),
        (("promote", "sound"), "can be neither loaded nor asked; nothing has changed"),
        (("promote", "tone@3"), "There is no adapter tone@3"),
        (("retire", "tone"), "There is no adapter tone"),
        (("show", "tone"), "router adapters list"),
    ):
        done = run(*arguments, "--json")
        assert done.returncode == 1
        error = json.loads(done.stdout)["error"]
        assert complaint in error["message"]
        assert error["code"] in ("invalid_request", "model_not_found", "model_unavailable")
        assert done.stderr == ""


async def test_a_model_server_has_loaded_and_answered_before_a_version_is_live(
    run: Run, tmp_path: Path
) -> None:
    folder = lora_folder(tmp_path / "tone", base=BASE_MODEL)
    async with model_server() as server:

        async def connected(*arguments: str) -> dict[str, Any]:
            return await asyncio.to_thread(told, run, *arguments, ROUTER_VLLM_URL=server.url)

        await connected("add", str(folder), "--example", "make it kind")
        server.max_lora_rank = 2
        refused = await asyncio.to_thread(run, "promote", "tone", ROUTER_VLLM_URL=server.url)
        assert (refused.returncode, "--max-lora-rank" in refused.stderr) == (1, True)
        assert (await connected("show", "tone"))["state"] == "candidate"
        server.max_lora_rank = 16
        done = await connected("promote", "tone")
        assert (done["adapter"]["state"], done["left"]) == ("live", [])
        assert (done["probe"], bool(done["said"])) == ("make it kind", True)
        assert server.calls[-1].body["model"] == "tone@1"
        assert ("tone@1", BASE_MODEL) in server.models
        await connected("retire", "tone")
        assert ("tone@1", BASE_MODEL) not in server.models


def test_what_is_no_name_or_no_file_is_misuse(run: Run, tmp_path: Path) -> None:
    for arguments in (
        ("promote", "Brand Voice"),
        ("show", "tone@latest"),
        ("add", str(tmp_path), "--schema", str(tmp_path / "nowhere.json")),
        ("add", str(tmp_path), "--name", "A B"),
        ("list", "--state", "asleep"),
    ):
        assert run(*arguments).returncode == 2
