"""A LoRA in PEFT's files, merged into the weights of its base: W + (alpha / r) · B · A.

Hu et al. 2021. Merging costs nothing while tokens are made, where two more products a matrix would.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backends.genai.weights import Weights
from backends.lora import CONFIG, WEIGHTS, read_lora, read_object, refused
from backends.manifest import file_hash

if TYPE_CHECKING:
    from backends.genai.weights import Floats

MAX_RANK: Final = 64

_TENSOR: Final = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


@dataclass(frozen=True, slots=True)
class Lora:
    """One adapter, read whole.

    Attributes:
        rank: Of each of its products.
        weights_hash: ``sha256:…`` of its tensors' file.
        factor: Of every product.
        halves: For each matrix of the base that it changes A (r, in) and B (out, r).
    """

    rank: int
    weights_hash: str
    factor: float
    halves: Mapping[str, tuple[Floats, Floats]]

    def merged(self, base: Weights) -> Weights:
        """Return the base's weights with the adapter in them.

        Raises:
            Refused: It changes a matrix that the base has not, or one of another size.
        """
        sizes = base.shape.matrices()
        changed = {}
        for name, (down, up) in self.halves.items():
            if sizes.get(name) != (up.shape[0], down.shape[1]):
                raise refused(
                    f"The adapter changes {name[:120]} as a matrix of {up.shape[0]} by "
                    f"{down.shape[1]}, which its base model does not have.",
                    "Train it on this base model.",
                )
            changed[name] = base.matrix(name) + _finite(name, self.factor, up, down)
        return Weights(base.shape, base.tensors, changed)


def _finite(name: str, factor: float, up: Floats, down: Floats) -> Floats:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        added: Floats = np.float32(factor) * (up @ down)
    if not np.isfinite(added).all():
        raise refused(
            f"What the adapter adds to {name[:120]} is too large for a number.",
            "Its lora_alpha or its weights are wrong; train it again.",
        )
    return added


def load_lora(folder: Path) -> Lora:
    """Read an adapter's folder, weights included.

    Raises:
        Refused: A file is absent or damaged, its rank is above `MAX_RANK`, or it is something else
            than a plain LoRA of linear layers.
    """
    rank = read_lora(folder).rank
    if rank > MAX_RANK:
        raise refused(
            f"The adapter in {folder} has rank {rank}; in this process it may be {MAX_RANK} "
            "at most.",
            "Train it with a smaller rank, or serve it by vLLM (--max-lora-rank).",
        )
    config = read_object(folder / CONFIG)
    alpha = config.get("lora_alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise refused(f"{folder / CONFIG} says lora_alpha = {alpha!r}.", "Save it again.")
    scaled_by = math.sqrt(rank) if config.get("use_rslora") else rank
    halves = _halves(folder / WEIGHTS)
    return Lora(rank, file_hash(folder / WEIGHTS), float(alpha) / scaled_by, halves)


def _halves(path: Path) -> Mapping[str, tuple[Floats, Floats]]:
    import numpy as np

    found: dict[str, dict[str, Floats]] = {}
    for name, values in _tensors(path).items():
        known = _TENSOR.fullmatch(name)
        if known is None:
            raise refused(
                f"{path} changes {name[:120]}, which is no linear layer.",
                "Train an adapter of linear layers alone, or serve it by vLLM.",
            )
        half = np.asarray(values, np.float32)
        if not np.isfinite(half).all():
            raise refused(
                f"{path} holds values in {name[:120]} that are no numbers.",
                "Train it again; the training has diverged.",
            )
        found.setdefault(f"{known[1]}.weight", {})[known[2]] = half
    return {name: (both["A"], both["B"]) for name, both in found.items()}


def _tensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: Mapping[str, Any] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise refused(f"{path} cannot be read: {error}.", "Copy the adapter again.") from error
    return tensors
