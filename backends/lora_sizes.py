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
    r"(?P<model>.*)\blayers\.(?P<layer>\d{1,4})\.(?:self_attn|mlp)\.(?P<kind>[a-z]+_proj)\Z"
)
_READ_HIDDEN: Final = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})
_WRITE_HIDDEN: Final = frozenset({"o_proj", "down_proj"})

_PLAIN: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Types of models all of whose layers have the sizes that the config says, whole."""

_PARTS: Final = ("vision_config", "audio_config")
"""Keys of a model whose layers are not all as wide as ``hidden_size`` says."""


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
        config: The model's ``config.json``. All sizes are known of Llama, Mistral, Qwen2 and Qwen3;
            of others the hidden width and the number of layers. A model of several parts has them
            elsewhere, and is left to its server.

    Raises:
        Refused: It has others.
    """
    layers = config.get("num_hidden_layers")
    if any(part in config for part in _PARTS) or not isinstance(layers, int):
        return
    known = _known_sizes(config)
    for module, found in sizes.items():
        match = _LINEAR.search(module)
        if match is None:
            continue
        if int(match["layer"]) >= layers:
            raise _other_model(
                path,
                module,
                f"of a model with more layers than the {layers} of the one that is served",
            )
        wanted = known.get(match["kind"], (None, None))
        if any(want not in (None, has) for want, has in zip(wanted, found, strict=True)):
            of = " by ".join("any" if want is None else str(want) for want in wanted)
            has = f"as a matrix of {found[0]} by {found[1]}"
            raise _other_model(path, module, f"{has}; the model that is served has one of {of}")


def _known_sizes(config: Mapping[str, object]) -> Mapping[str, tuple[int | None, int | None]]:
    """Rows and columns of a layer's matrices by their kind, as far as the config tells."""

    def number(key: str) -> int | None:
        value = config.get(key)
        return value if isinstance(value, int) and value > 0 else None

    hidden, inner, heads = map(number, ("hidden_size", "intermediate_size", "num_attention_heads"))
    plain = config.get("model_type") in _PLAIN
    asked = shared = None
    if plain and hidden and heads:
        head = number("head_dim") or hidden // heads
        asked, shared = heads * head, (number("num_key_value_heads") or heads) * head
    inner = inner if plain else None
    return {
        "q_proj": (asked, hidden),
        "k_proj": (shared, hidden),
        "v_proj": (shared, hidden),
        "o_proj": (hidden, asked),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }


def _other_model(path: Path, module: str, why: str) -> Refused:
    return Refused(
        f"{path} changes {module[:120]} {why}.",
        backend="adapters",
        hint="Serve the model that it was trained from, or train it on this one.",
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
