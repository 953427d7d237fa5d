"""The shipped starter model as a plain Hugging Face folder that every loader reads."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ARTEFACT: Final = Path(__file__).parent / "artefact"
"""What ships: int8 weights, tokenizer, card and the adapters."""

FILES: Final = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def starter_folder(cache: Path, artefact: Path = ARTEFACT) -> Path:
    """Return a folder with the starter model in float32, written once, named by its hash.

    Safe to call from several processes at once: whoever is first, the folder appears whole.

    Args:
        cache: Folder to write it in; made where it is missing.
        artefact: Another artefact than the shipped one.

    Raises:
        FileNotFoundError: The artefact is not complete.
        OSError: The cache cannot be written.
    """
    from safetensors.numpy import load_file

    from backends.starter.weights import dequantised, write_weights

    folder = cache / f"starter-{artefact_hash(artefact)[:16]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".starter-", dir=cache))
    try:
        for name in FILES:
            if name != "model.safetensors":
                shutil.copyfile(artefact / name, part / name)
        weights = dequantised(load_file(artefact / "model.safetensors"))
        write_weights(part / "model.safetensors", weights)
        part.chmod(0o755)
        try:
            os.replace(part, folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def artefact_hash(artefact: Path = ARTEFACT) -> str:
    """Return the SHA-256 of the artefact's files, in hexadecimal."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(name.encode())
        digest.update((artefact / name).read_bytes())
    return digest.hexdigest()


def adapter_folders(artefact: Path = ARTEFACT) -> Mapping[str, Path]:
    """Return the folders of the shipped adapters by name."""
    found = sorted((artefact / "adapters").glob("*/adapter_config.json"))
    return {config.parent.name: config.parent for config in found}
