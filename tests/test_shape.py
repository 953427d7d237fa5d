"""The shape of the house: what no contract of the import linter can say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agents
from agents import errors as agent_errors
from backends import errors as backend_errors
from router import errors as router_errors

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "agents", "backends")
LONGEST = 400


def test_the_package_named_agents_is_ours() -> None:
    assert agents.__file__ is not None
    assert Path(agents.__file__).parent == ROOT / "agents"


def test_a_foreign_package_named_agents_is_named_in_one_clear_error(tmp_path: Path) -> None:
    foreign = tmp_path / "agents"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from router import Router"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert "openai-agents" in done.stderr.splitlines()[-1]
    assert str(foreign) in done.stderr.splitlines()[-1]


def test_the_top_level_holds_what_the_layout_names_and_nothing_else() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}

    assert {name for name in top if not name.startswith(".")} == {
        *PACKAGES,
        "README.md",
        "infra",
        "pyproject.toml",
        "tests",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_a_reader_can_bear(package: str) -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / package).rglob("*.py")
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = ["langgraph", "langchain_core", "numpy", "onnxruntime", "psycopg", "aiohttp"]
    code = f"import router, sys; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_every_error_of_the_lower_layers_becomes_one_of_the_routers() -> None:
    made: list[backend_errors.BackendError | agent_errors.AgentError] = [
        backend_errors.Unavailable("x", backend="database"),
        backend_errors.TimedOut("x", backend="model server"),
        backend_errors.Refused("x", backend="model server", status=404),
        backend_errors.CallsNoTools("x", backend="model server", status=400),
        backend_errors.UnknownField("x", ["country"]),
        backend_errors.Garbled("x", backend="model server"),
        backend_errors.Misconfigured("x", backend="embedder"),
        backend_errors.OtherModel("x", backend="database"),
        backend_errors.UnreadableDocument("x", "y"),
        agent_errors.NoModel("hybrid"),
        agent_errors.BrokenFormat("x"),
        agent_errors.LostFacts("x"),
        agent_errors.UnusableSchema("x"),
    ]
    known: set[type[Exception]] = {type(error) for error in made}

    assert _leaves(backend_errors.BackendError) | _leaves(agent_errors.AgentError) <= known
    for error in made:
        assert isinstance(router_errors.router_error(error), router_errors.RouterError)


def _leaves(root: type[Exception]) -> set[type[Exception]]:
    """Every error of the tree that its own module defines, without the root."""
    found = {kind for kind in root.__subclasses__() if kind.__module__.endswith(".errors")}
    return found | {leaf for kind in found for leaf in _leaves(kind)}
