"""The built graph on disk: found by what it was made from, checked by a checksum beside it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from backends.errors import Misconfigured
from backends.minilm.graph import RECIPE, encoder_graph
from backends.minilm.weights import MODEL, WEIGHTS_SHA256, Bundle


def built_model(bundle: Bundle, cache_folder: Path) -> Path:
    """Return where the embedder's int8 graph lies; it is built unless an intact one is cached.

    Raises:
        Misconfigured: The weights are wrong, or the cache folder cannot be written.
    """
    return built_graph(
        cache_folder, MODEL, WEIGHTS_SHA256, lambda: encoder_graph(bundle.weights(), "int8")
    )


def built_graph(
    cache_folder: Path, name: str, weights_sha256: str, build: Callable[[], bytes]
) -> Path:
    """Return where a graph lies, built now unless an intact one lies in the cache.

    A file, since onnxruntime keeps the bytes of a graph that it is given for as long as it runs.
    Several processes may do this at once: each builds the same bytes and replaces whole files.

    Args:
        cache_folder: Made when absent.
        name: Of the file, without suffix.
        weights_sha256: Of the weights that the graph is made of.
        build: Makes it; must give the same bytes for the same weights and `RECIPE`.

    Raises:
        Misconfigured: The weights are wrong, or the cache folder cannot be written.
    """
    path = cache_folder / f"{name}-{_key(weights_sha256)}.onnx"
    checksum = path.with_suffix(".sha256")
    if _intact(path, checksum):
        return path
    model = build()
    try:
        cache_folder.mkdir(parents=True, exist_ok=True)
        _replace(path, model)
        _replace(checksum, hashlib.sha256(model).hexdigest().encode())
    except OSError as error:
        raise Misconfigured(
            f"The graph of {name} cannot be kept in {cache_folder}: {error.strerror}.",
            backend="embedder",
            hint="Make the folder writable, or choose another one.",
        ) from error
    return path


def _key(weights_sha256: str) -> str:
    """Everything that decides the bytes of the graph."""
    parts = (weights_sha256, str(RECIPE), version("onnx"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _intact(path: Path, checksum: Path) -> bool:
    try:
        recorded = checksum.read_bytes()
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Misconfigured(
            f"The embedder cannot read its model {path}: {error.strerror}.",
            backend="embedder",
            hint="Make the file readable, or choose another cache folder.",
        ) from error
    return found.encode() == recorded


def _replace(path: Path, content: bytes) -> None:
    """Put the whole file in place in one step, so that nobody ever reads half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
