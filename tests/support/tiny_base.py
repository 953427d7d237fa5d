"""A tiny base model for tests of fine-tuning, made once a run by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MAKER = Path(__file__).parents[1] / "vllm" / "make_model.py"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of two layers with a tokenizer and a chat template."""
    if not all(find_spec(name) for name in ("torch", "transformers", "peft", "trl")):
        pytest.skip("training adapters needs the extra finetune: uv sync --extra finetune")
    folder = tmp_path_factory.mktemp("tiny")
    made = subprocess.run(
        [sys.executable, str(MAKER), str(folder)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return folder / "base"
