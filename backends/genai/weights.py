"""The weights of a Llama as they lie in a folder: int8 rows with their scales, or plain floats.

The int8 form: for every matrix ``name`` int8 (out, in) and ``name.scale`` float (out); what a row
means is its int8 values times its scale. Norms are floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backends.errors import Misconfigured

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Rows: TypeAlias = NDArray[np.int8]

BACKEND: Final = "starter model"
EMBEDDING: Final = "model.embed_tokens.weight"
HEAD: Final = "lm_head.weight"

_SCALE: Final = ".scale"
_HINT: Final = "Reinstall the package, or set ROUTER_STARTER=false to run without the model."


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Llama, as its ``config.json`` says them.

    Attributes:
        width: Length of a hidden vector.
        inner: Length of a vector inside the feed-forward part.
        context: Tokens that it can hold, prompt and answer together.
        stops: Ids of the tokens that end an answer.
        padding: Id of the token that stands for nothing.
        tied: Whether the embedding also reads the hidden vectors out.
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    context: int
    rope_theta: float
    norm_epsilon: float
    stops: tuple[int, ...]
    padding: int
    tied: bool

    def matrices(self) -> Mapping[str, tuple[int, int]]:
        """Return the name of every matrix and its size (out, in)."""
        queries, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        in_a_layer = {
            "self_attn.q_proj": (queries, self.width),
            "self_attn.k_proj": (keys, self.width),
            "self_attn.v_proj": (keys, self.width),
            "self_attn.o_proj": (self.width, queries),
            "mlp.gate_proj": (self.inner, self.width),
            "mlp.up_proj": (self.inner, self.width),
            "mlp.down_proj": (self.width, self.inner),
        }
        sizes = {
            f"model.layers.{layer}.{part}.weight": size
            for layer in range(self.layers)
            for part, size in in_a_layer.items()
        }
        sizes[EMBEDDING] = (self.vocabulary, self.width)
        if not self.tied:
            sizes[HEAD] = (self.vocabulary, self.width)
        return sizes

    def norms(self) -> tuple[str, ...]:
        """Return the name of every norm; each has `width` values."""
        in_a_layer = ("input_layernorm", "post_attention_layernorm")
        names = [
            f"model.layers.{layer}.{part}.weight"
            for layer in range(self.layers)
            for part in in_a_layer
        ]
        return (*names, "model.norm.weight")


@dataclass(frozen=True, slots=True)
class Weights:
    """What a graph is made of.

    Attributes:
        tensors: As they lie in the file.
        changed: Matrices that an adapter has changed, in place of those in the file.
    """

    shape: Shape
    tensors: Mapping[str, NDArray[Any]]
    changed: Mapping[str, Floats] = field(default_factory=dict)

    def matrix(self, name: str) -> Floats:
        """Return a matrix (out, in), or a norm, as float32."""
        import numpy as np

        if name in self.changed:
            return self.changed[name]
        values = np.asarray(self.tensors[name], np.float32)
        scale = self.tensors.get(name + _SCALE)
        return values if scale is None else values * np.asarray(scale, np.float32)[:, None]

    def rows(self, name: str) -> tuple[Rows, Floats] | None:
        """Return int8 rows (out, in) and scales (out) of a matrix that is stored so and is as it
        was stored; None for another."""
        import numpy as np

        scale = self.tensors.get(name + _SCALE)
        if scale is None or name in self.changed:
            return None
        return self.tensors[name], np.asarray(scale, np.float32)


def read_weights(folder: Path) -> Weights:
    """Read ``config.json`` and ``model.safetensors``.

    Raises:
        Misconfigured: A file is absent or damaged, or is not a Llama that the graph can express.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    shape = read_shape(folder)
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise unusable(folder, f"model.safetensors cannot be read: {error}") from error
    weights = Weights(shape, tensors)
    _check(weights, folder)
    return weights


def read_shape(folder: Path) -> Shape:
    """Read ``config.json``, as transformers writes it for a LlamaForCausalLM; raises likewise."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        if config["model_type"] != "llama":
            raise unusable(folder, f"it is a {config['model_type']!r}, not a llama")
        return _shape(config, folder)
    except OSError as error:
        raise unusable(folder, f"config.json cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise unusable(folder, f"config.json is not what it should be ({error!r})") from error


def unusable(folder: Path, reason: str) -> Misconfigured:
    """Return the error for a model folder that cannot be used."""
    return Misconfigured(
        f"The model in {folder} cannot be used: {reason}.", backend=BACKEND, hint=_HINT
    )


def _shape(config: Mapping[str, Any], folder: Path) -> Shape:
    heads = int(config["num_attention_heads"])
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    expected = {
        "a bias": not (config.get("attention_bias") or config.get("mlp_bias")),
        "another activation than silu": config.get("hidden_act", "silu") == "silu",
        "scaled positions": rope.get("rope_type", "default") == "default",
    }
    unknown = [what for what, fine in expected.items() if not fine]
    if unknown:
        raise unusable(folder, f"it has {' and '.join(unknown)}, which the graph cannot express")
    stops = config["eos_token_id"]
    stops = tuple(stops) if isinstance(stops, list) else (int(stops),)
    padding = config.get("pad_token_id")
    theta = rope.get("rope_theta") or config.get("rope_theta") or 10_000.0
    return Shape(
        vocabulary=int(config["vocab_size"]),
        width=int(config["hidden_size"]),
        inner=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_width=int(config.get("head_dim") or config["hidden_size"] // heads),
        context=int(config["max_position_embeddings"]),
        rope_theta=float(theta),
        norm_epsilon=float(config["rms_norm_eps"]),
        stops=stops,
        padding=stops[0] if padding is None else int(padding),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _check(weights: Weights, folder: Path) -> None:
    shape, tensors = weights.shape, weights.tensors
    sizes: dict[str, tuple[int, ...]] = dict(shape.matrices())
    sizes |= dict.fromkeys(shape.norms(), (shape.width,))
    for name, size in sizes.items():
        if name not in tensors:
            raise unusable(folder, f"{name} is missing")
        if tensors[name].shape != size:
            raise unusable(folder, f"{name} has the size {tensors[name].shape}, not {size}")
        whole = tensors[name].dtype == "int8"
        scale = tensors.get(name + _SCALE)
        if whole and (scale is None or scale.shape != size[:1]):
            raise unusable(folder, f"{name} is int8 and has no scale for each of its rows")
