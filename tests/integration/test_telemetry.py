"""Neither onnxruntime nor onnxruntime-genai prepares to report to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.starter import make_starter

ROOT = Path(__file__).parents[2]
LIMIT_S = 100.0

OPENING = """
import asyncio, sys
from pathlib import Path

from backends.genai import GenaiGenerator
from backends.minilm import MiniLmEmbedder


async def main(base: Path, cache: Path) -> None:
    async with MiniLmEmbedder.open(cache) as embedder:
        await embedder.embed(["boots"])
    async with GenaiGenerator.open("starter", base, cache) as generator:
        await generator.ready()


asyncio.run(main(*map(Path, sys.argv[1:])))
"""


def test_no_identity_of_this_machine_is_made(tmp_path: Path) -> None:
    # Both keep one under the user's cache as soon as they mean to send anything; they send nothing
    # where they find themselves in a CI, so that it must not look like one.
    home = tmp_path / "home"
    home.mkdir()
    known = {name: value for name, value in os.environ.items() if name not in _TELLING}
    environment = known | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    base = make_starter(tmp_path / "base")
    subprocess.run(
        [sys.executable, "-c", OPENING, str(base), str(tmp_path / "models")],
        env=environment,
        cwd=ROOT,
        check=True,
        timeout=LIMIT_S,
    )
    assert [path for path in home.rglob("*") if "Microsoft" in path.name] == []


_TELLING = frozenset(
    {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"}
)
