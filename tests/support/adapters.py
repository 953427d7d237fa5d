"""Adapter folders as PEFT writes them, small, with weights that differ by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.adapters import AdapterSpec
from backends.lora import CONFIG, WEIGHTS

SIZES: Mapping[str, tuple[int, int]] = {
    "layers.0.self_attn.q_proj": (16, 16),
    "layers.0.self_attn.v_proj": (16, 16),
}
"""Rows and columns of what a LoRA here changes."""


def lora_folder(
    folder: Path,
    *,
    seed: int = 0,
    rank: int = 4,
    base: str = "tiny",
    sizes: Mapping[str, tuple[int, int]] = SIZES,
    **config: Any,
) -> Path:
    """Write a LoRA of two modules; ``config`` overrides keys of PEFT's configuration."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    said = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "base_model_name_or_path": base}
    (folder / CONFIG).write_text(json.dumps(said | config))
    random = np.random.default_rng(seed)
    tensors = {}
    for module, (rows, columns) in sizes.items():
        stem = f"base_model.model.model.{module}"
        tensors[f"{stem}.lora_A.weight"] = random.normal(size=(rank, columns)).astype(np.float32)
        tensors[f"{stem}.lora_B.weight"] = random.normal(size=(rows, rank)).astype(np.float32)
    save_file(tensors, folder / WEIGHTS)
    return folder


def manifest(folder: Path, said: Mapping[str, Any]) -> Path:
    """Write ``adapter.json`` as somebody might write it by hand."""
    (folder / "adapter.json").write_text(json.dumps(said))
    return folder


def adapter_spec(name: str = "brand-voice", *, seed: int = 0, **fields: Any) -> AdapterSpec:
    """A record whose weights are told apart by ``seed``; its folder need not exist."""
    known: dict[str, Any] = {
        "name": name,
        "base": "tiny",
        "folder": Path("/adapters") / name,
        "weights_hash": f"sha256:{seed:064x}",
        "rank": 4,
    }
    return AdapterSpec(**(known | fields))
