"""Weights of a fine-tuned encoder in a byte each, as they ship.

Matrices are kept in int8 with one half-precision scale for every 32 numbers of a row, everything
else in half precision: a quarter of what float32 takes. The blocks are those of onnxruntime's
MatMulNBits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.errors import Misconfigured

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_BLOCK = 32
_LIMIT = 127
_SCALES = ".scales"


@dataclass(frozen=True, slots=True, eq=False)
class PackedEncoder:
    """A fine-tuned encoder's layers; its embeddings are the published ones.

    Attributes:
        weights: Tensors under their names in the published safetensors file.
        exits: After how many layers it may stop, rising; the last is all of them.
        head: Tokens read from the start of a text, special ones left out.
        tail: Tokens read from the end of a text that is longer than both together.
    """

    weights: Mapping[str, Floats]
    exits: tuple[int, ...]
    head: int
    tail: int


def pack(encoder: PackedEncoder) -> bytes:
    """Write safetensors; the same encoder gives the same bytes."""
    import numpy as np
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}
    for name, weight in sorted(encoder.weights.items()):
        if weight.ndim != 2:
            tensors[name] = weight.astype(np.float16)
            continue
        rows, columns = weight.shape
        blocks = weight.reshape(rows, columns // _BLOCK, _BLOCK)
        scales = (np.abs(blocks).max(axis=2) / _LIMIT).astype(np.float16)
        divisors = np.where(scales == 0, 1, scales).astype(np.float32)[:, :, None]
        tensors[name] = np.clip(np.round(blocks / divisors), -_LIMIT, _LIMIT).astype(np.int8)
        tensors[f"{name}{_SCALES}"] = scales
    about = json.dumps({"exits": encoder.exits, "head": encoder.head, "tail": encoder.tail})
    # One key only: the order of several is not fixed.
    packed: bytes = save(tensors, metadata={"encoder": about})
    return packed


def unpack(content: bytes) -> PackedEncoder:
    """Read what `pack` wrote, as float32.

    Raises:
        Misconfigured: It is no such file.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    shape = read_shape(content)
    try:
        tensors: dict[str, NDArray[Any]] = load(content)
        weights = {}
        for name, tensor in tensors.items():
            if name.endswith(_SCALES):
                continue
            weight = tensor.astype(np.float32)
            if weight.ndim == 3:
                scales = tensors[f"{name}{_SCALES}"].astype(np.float32)
                weight = (weight * scales[:, :, None]).reshape(len(weight), -1)
            weights[name] = weight
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(error) from error
    return PackedEncoder(weights, shape.exits, shape.head, shape.tail)


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a `PackedEncoder` is known without its weights."""

    exits: tuple[int, ...]
    head: int
    tail: int


def read_shape(content: bytes) -> Shape:
    """Read the header of what `pack` wrote, which costs nothing.

    Raises:
        Misconfigured: It is no such file.
    """
    try:
        length = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["encoder"])
        exits = tuple(int(layers) for layers in about["exits"])
        return Shape(exits, int(about["head"]), int(about["tail"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Misconfigured:
    return Misconfigured(
        f"The classifier's encoder cannot be read: {type(error).__name__} {error}.",
        backend="classifier",
        hint="Reinstall the package, or fit the classifier again (router.tuning.fit).",
    )
