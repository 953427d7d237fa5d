"""Adapters to put on model servers: folders that read, and records of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.adapters import Adapter, AdapterState
from backends.manifest import read_adapter
from tests.support.adapters import SIZES, lora_folder
from tests.support.model_server import BASE_MODEL


def adapter(
    folder: Path, name: str = "voice", version: int = 1, *, base: str = BASE_MODEL, **fields: Any
) -> Adapter:
    """Make a LoRA of its own in a folder of its own, and its record.

    Args:
        folder: Where its folder goes.
        name: What it is called.
        version: Which of its versions; each has other weights.
        base: What it was trained from.
        fields: Of its spec, in place of what its files say; ``rank`` and ``sizes`` are those of the
            files.
    """
    files = {"rank": fields.pop("rank", 4), "sizes": fields.pop("sizes", SIZES)}
    made = lora_folder(folder / f"{name}-{version}", seed=version, base=base, **files)
    spec = replace(read_adapter(made, name=name), **fields)
    return Adapter(spec, version, AdapterState.CANDIDATE, datetime(2026, 1, version, tzinfo=UTC))
