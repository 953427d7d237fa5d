"""``router finetune`` as a process: problems by line, a stop that keeps, a gate that judges."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_cli import Run, environment, home, run

__all__ = ["home", "run"]

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples" / "finetune"
ORDER = (
    "finetune",
    str(EXAMPLES / "tickets.jsonl"),
    "--name",
    "tickets",
    "--schema",
    str(EXAMPLES / "tickets.schema.json"),
    "--system",
    str(EXAMPLES / "tickets.system.txt"),
)
LIMIT_S = 600

needs_extra = pytest.mark.skipif(
    not all(find_spec(name) for name in ("torch", "transformers", "peft", "trl")),
    reason="training adapters needs the extra finetune: uv sync --extra finetune",
)


def row(*contents: str, roles: tuple[str, ...] = ("user", "assistant")) -> str:
    turns = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
    return json.dumps({"messages": turns})


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jsonl"
    lines = [
        row("Where is it?", '{"department": "delivery"}'),
        row("Where is it?", '{"department": "delivery"}'),
        row("a", "b", roles=("assistant", "user")),
        row("Who is it?", '{"department": "kitchen"}'),
        row("word " * 1200, '{"department": "stores"}'),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_examples_that_ship_have_no_problem(run: Run) -> None:
    done = run(*ORDER, "--check", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["data"]["problems"] == []
    assert found["data"]["examples"] == 300
    assert set(found["data"]["labels"].values()) == {50}


def test_bad_data_is_a_table_with_lines_and_nothing_is_trained(
    run: Run, bad: Path, home: Path
) -> None:
    order = ("finetune", str(bad), "--name", "bad", "--schema", ORDER[5], "--check")
    done = run(*order)
    assert done.returncode == 1
    for line, problem in (
        ("2", "duplicate (warning)"),
        ("3", "wrong order (fatal)"),
        ("4", "broken format (fatal)"),
        ("5", "longer than the context (fatal)"),
    ):
        assert any(
            one.split()[:1] == [line] and problem in one for one in done.stdout.splitlines()
        ), done.stdout
    assert "Nothing was trained." in done.stderr
    assert not (home / "adapters" / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("finetune", "--name", "x"), "Name a file of examples"),
        (("finetune", "none.jsonl", "--name", "Not Good"), "is no name of an adapter"),
        (("finetune", "none.jsonl", "--name", "x", "--check"), "cannot be read"),
        (("finetune", "none.jsonl", "--name", "x", "--base", "nope", "--check"), "no base 'nope'"),
        (("finetune", "a", "--name", "x", "--schema", "none.json", "--check"), "JSON schema"),
        (("finetune", ORDER[1], "--name", "auto", "--check"), "the router answers to itself"),
        (("finetune", ORDER[1], "--name", "starter", "--check"), "that of its base"),
        (("finetune", ORDER[1], "--name", "x", "--rank", "65", "--check"), "rank 64 at most"),
        (("finetune", ORDER[1], "--name", "x", "--out", ORDER[1], "--check"), "is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: Run, arguments: tuple[str, ...], told: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@needs_extra
def test_a_stopped_training_goes_on_and_its_adapter_goes_live(home: Path, run: Run) -> None:
    order = [sys.executable, "-m", "router", *ORDER, "--promote", "--json"]
    with subprocess.Popen(
        order,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("training: "):
                os.kill(process.pid, signal.SIGINT)
        assert process.wait(LIMIT_S) == 130, said
    assert any("a checkpoint of step" in line for line in said)

    done = subprocess.run(
        [*order, "--resume"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    assert made["promoted"] is True
    assert made["adapter"] == "tickets@1"
    assert made["training"]["resumed_at"] > 0
    assert all(check["passed"] for check in made["gate"]["checks"].values())
    assert set(made["gate"]["checks"]) == {"task", "constant", "format", "length", "general"}
    manifest = json.loads((Path(made["folder"]) / "adapter.json").read_text())
    assert manifest["schema"]["required"] == ["department"]
    assert manifest["system_prompt"].startswith("Sort the customer's message")
    assert manifest["base"] == "starter"
    assert manifest["report"]["gate"]["passed"] is True
