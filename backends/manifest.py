"""The folder of an adapter: PEFT's two files, and ``adapter.json`` with what else there is to know.

The manifest has the fields of `AdapterSpec` but the folder. A folder of PEFT's without one reads as
well; then everything that the manifest would say has its default.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final
from uuid import uuid4

from backends.adapter_fields import check_spec, spec_from_json, spec_json
from backends.adapters import AdapterSpec
from backends.lora import WEIGHTS, read_lora, read_object, refused

MANIFEST: Final = "adapter.json"


def read_adapter(folder: Path, *, name: str | None = None, base: str | None = None) -> AdapterSpec:
    """Read an adapter's folder, whose weights are hashed and not loaded.

    Args:
        folder: With PEFT's files, and perhaps a manifest.
        name: What to call it, in place of the manifest's name; without either, the folder's own.
        base: The base model's name on its server, in place of the manifest's; without either, what
            the training wrote down.

    Raises:
        Refused: Something is missing, damaged, or not what an adapter has; it says what to do.
    """
    folder = folder.absolute()
    lora = read_lora(folder)
    path = folder / MANIFEST
    said = read_object(path) if path.exists() else {}
    found = {"weights_hash": file_hash(folder / WEIGHTS), "rank": lora.rank}
    for key, value in found.items():
        if key in said and said[key] != value:
            raise refused(
                f"{path} says {key} = {said[key]!r}, and it is {value!r}.",
                f"The manifest is of another training; write it again or remove {MANIFEST}.",
            )
    known = {"name": folder.name, "base": lora.base} | said | found
    known |= {key: value for key, value in (("name", name), ("base", base)) if value is not None}
    return spec_from_json(known, folder, where=str(path))


def write_manifest(folder: Path, spec: AdapterSpec) -> None:
    """Write ``adapter.json`` into a folder; readers see the old one or the new one, whole.

    Args:
        folder: Exists; its two other files need not be there yet.
        spec: What to write; its folder is left out.

    Raises:
        Refused: A field has a value that `check_spec` refuses, or the folder cannot be written.
    """
    check_spec(spec)
    text = json.dumps(spec_json(spec), indent=2, ensure_ascii=False) + "\n"
    whole = folder / MANIFEST
    half = folder / f".{MANIFEST}.{uuid4().hex}"
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, whole)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise refused(
            f"{whole} cannot be written: {error.strerror}.", "Choose a folder that you may write."
        ) from error


def model_hash(folder: Path) -> str:
    """Return ``sha256:…`` of a base model's ``config.json`` and ``*.safetensors``, by name.

    Raises:
        Refused: The folder has no such files.
    """
    weights = sorted(path for path in folder.glob("*.safetensors") if path.name != WEIGHTS)
    config = folder / "config.json"
    if not weights or not config.is_file():
        raise refused(
            f"{folder} holds no model: config.json and *.safetensors are needed.",
            "Name a folder as transformers saves it.",
        )
    digest = hashlib.sha256()
    for path in (config, *weights):
        digest.update(f"{path.name} {file_hash(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def file_hash(path: Path) -> str:
    """Return ``sha256:…`` of a file.

    Raises:
        Refused: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise refused(f"{path} cannot be read: {error.strerror}.", "Check the folder.") from error
