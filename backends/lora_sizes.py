"""Do the matrices that a LoRA changes fit a model?

Servers may not ask: vLLM 0.32 copies a matrix that is too narrow into the corner of its own, and
then answers with it. What is known of every decoder with layers of this naming (Llama, Qwen,
Mistral, Gemma) is looked at; other modules are left to the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from backends.errors import Refused

Sizes: TypeAlias = Mapping[str, tuple[int, int]]
"""Rows and columns of the matrix that is changed, by the module's name."""

_LINEAR: Final = re.compile(
    r"(?P<model>.*)\blayers\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<kind>[a-z]+_proj)\Z"
)
_READ_HIDDEN: Final = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})
_PARTS: Final = ("vision_config", "audio_config")
"""Keys of a model whose layers are not all as wide as ``hidden_size`` says."""

_WRITE_HIDDEN: Final = frozenset({"o_proj", "down_proj"})


def check_agreement(path: Path, sizes: Sizes) -> None:
    """Check that the matrices could be those of one model.

    Args:
        path: The file, for the error.
        sizes: What it holds.

    Raises:
        Refused: Two of them that must have the same width do not.
    """
    seen: dict[tuple[str, ...], tuple[int, str]] = {}
    for module, sharing, width in _widths(sizes):
        first, other = seen.setdefault(sharing, (width, module))
        if width != first:
            raise Refused(
                f"{path} has matrices that no model has beside one another: {module[:120]} is made "
                f"for a width of {width}, and {other[:120]} for {first}.",
                backend="adapters",
                hint="Save the adapter again; its files are damaged or of several trainings.",
            )


def check_model(path: Path, sizes: Sizes, config: Mapping[str, object]) -> None:
    """Check that a model has such matrices.

    Args:
        path: The file, for the error.
        sizes: What it holds.
        config: The model's ``config.json``, of which ``hidden_size`` and ``num_hidden_layers`` are
            read. A model of several parts has them elsewhere, and is left to its server.

    Raises:
        Refused: It has others.
    """
    hidden, layers = config.get("hidden_size"), config.get("num_hidden_layers")
    whole = not any(part in config for part in _PARTS)
    if not (whole and isinstance(hidden, int) and isinstance(layers, int)):
        return
    hint = "Serve the model that it was trained from, or train it on this one."
    for module, sharing, width in _widths(sizes):
        if sharing[1:] == () and width != hidden:
            raise Refused(
                f"{path} changes {module[:120]} of a model that is {width} wide; the one that is "
                f"served is {hidden} wide.",
                backend="adapters",
                hint=hint,
            )
    deepest = max((int(found["layer"]) for found in map(_LINEAR.search, sizes) if found), default=0)
    if deepest >= layers:
        raise Refused(
            f"{path} changes layer {deepest} of a model; the one that is served has {layers}, "
            "counted from 0.",
            backend="adapters",
            hint=hint,
        )


def _widths(sizes: Sizes) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Each module with what it shares a width with: its model, or a layer's inner width."""
    for module, (rows, columns) in sizes.items():
        found = _LINEAR.search(module)
        if found is None:
            continue
        model, kind = found["model"], found["kind"]
        inner = (model, found["layer"])
        if kind in _READ_HIDDEN:
            yield module, (model,), columns
        if kind in _WRITE_HIDDEN:
            yield module, (model,), rows
        if kind in ("gate_proj", "up_proj"):
            yield module, inner, rows
        if kind == "down_proj":
            yield module, inner, columns
