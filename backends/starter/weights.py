"""The shipped weights: one byte each, with a scale for every row of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

SCALE: Final = ".scale"


def quantised(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return matrices as int8 [out, in] and ``name.scale`` float16 [out]; vectors stay float32."""
    import numpy as np

    made: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        if value.ndim != 2:
            made[name] = value.astype(np.float32)
            continue
        scale = (np.abs(value).max(axis=1) / 127).astype(np.float16)
        scale = np.maximum(scale, np.float16(6e-8))
        rounded = np.round(value / scale.astype(np.float32)[:, None])
        made[name] = np.clip(rounded, -127, 127).astype(np.int8)
        made[name + SCALE] = scale
    return made


def dequantised(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what `quantised` was made from, as near as it kept it, in float32."""
    import numpy as np

    made: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        if name.endswith(SCALE):
            continue
        scale = weights.get(name + SCALE)
        if scale is None:
            made[name] = value.astype(np.float32)
        else:
            made[name] = value.astype(np.float32) * scale.astype(np.float32)[:, None]
    return made


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a safetensors file, the names in order."""
    import numpy as np
    from safetensors.numpy import save_file

    ordered = {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}
    save_file(ordered, path, metadata={"format": "pt"})
