"""The ONNX graph of a Llama, written node by node from its weights, as onnxruntime-genai runs it.

The model: Touvron et al. 2023 with grouped queries (Ainslie et al. 2023) and rotary positions (Su
et al. 2021). Inputs and outputs are named and shaped as onnxruntime-genai expects of a decoder:
``input_ids`` and ``attention_mask`` in, ``logits`` of the last token out, and for each layer the
keys and values of the tokens so far in (``past_key_values.N.…``) and out (``present.N.…``).

Weights are multiplied as 8-bit blocks (MatMulNBits). Int8 rows of the file are kept as they are: a
block repeats its row's scale. A matrix that an adapter has changed gets a scale for each block.
infra/bench/generation.py prints what a token costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from backends.genai.weights import EMBEDDING, HEAD, Shape, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

RECIPE: Final = 4
"""Raise it with every change of a built folder: a cached one of another recipe is not used."""

INPUTS: Final = {
    "input_ids": "input_ids",
    "attention_mask": "attention_mask",
    "past_key_names": "past_key_values.%d.key",
    "past_value_names": "past_key_values.%d.value",
}
OUTPUTS: Final = {
    "logits": "logits",
    "present_key_names": "present.%d.key",
    "present_value_names": "present.%d.value",
}

Precision = Literal["float32", "int8"]

_OPSET: Final = 20
_IR_VERSION: Final = 10
_CONTRIB: Final = "com.microsoft"
_BLOCK: Final = 64
_BLOCK_LIMIT: Final = 127
_BLOCK_ZERO: Final = 128


def decoder_graph(
    weights: Weights, precision: Precision = "int8", *, every_position: bool = False
) -> bytes:
    """Write the serialised ONNX model of a decoder.

    Args:
        weights: Of the base, or of the base with an adapter merged in.
        precision: ``"int8"`` for use, ``"float32"`` to measure it against.
        every_position: Give the logits of each token of the input, to measure them; otherwise those
            of the last one, which is all that generating needs.

    Returns:
        A model; the same weights give the same bytes.
    """
    graph = _Graph(weights, precision)
    shape = weights.shape
    lengths = _lengths(graph)
    caches = _rotary_caches(graph, shape)
    residual = graph.embedded()
    normed = graph.norm(residual, "model.layers.0.input_layernorm.weight")
    for layer in range(shape.layers):
        normed, residual = _layer(graph, layer, normed, residual, lengths, caches)
    if not every_position:
        normed = graph.node("Gather", [normed, graph.integers(-1)], axis=1)
    graph.head(normed)
    return graph.model(1 if not every_position else "tokens")


@dataclass
class _Graph:
    """Nodes and constants so far; every method returns the name of the tensor it adds."""

    weights: Weights
    precision: Precision
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    embedding: tuple[str, str] = ("", "")

    def model(self, tokens: int | str) -> bytes:
        """Serialise what has been added, with logits for so many tokens."""
        from onnx import TensorProto, helper

        shape = self.weights.shape
        info, whole, real = helper.make_tensor_value_info, TensorProto.INT64, TensorProto.FLOAT
        inputs = [
            info("input_ids", whole, ["batch", "tokens"]),
            info("attention_mask", whole, ["batch", "all_tokens"]),
        ]
        outputs = [info("logits", real, ["batch", tokens, shape.vocabulary])]
        for layer in range(shape.layers):
            for part in ("key", "value"):
                past: list[str | int] = ["batch", shape.kv_heads, "past_tokens", shape.head_width]
                present: list[str | int] = ["batch", shape.kv_heads, "all_tokens", shape.head_width]
                inputs.append(info(INPUTS[f"past_{part}_names"] % layer, real, past))
                outputs.append(info(OUTPUTS[f"present_{part}_names"] % layer, real, present))
        model = helper.make_model(
            helper.make_graph(self.nodes, "llama", inputs, outputs, self.constants),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)],
            ir_version=_IR_VERSION,
            producer_name="agentic-query-router",
        )
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised

    def node(self, op: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        name = output or f"t{len(self.nodes)}"
        self.append(op, inputs, [name], attributes)
        return name

    def append(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: dict[str, Any]
    ) -> None:
        from onnx import helper

        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))

    def constant(self, array: Array) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def norm(self, tensor: str, name: str) -> str:
        return self.node(
            "SimplifiedLayerNormalization",
            [tensor, self.constant(self.weights.matrix(name))],
            axis=-1,
            epsilon=self.weights.shape.norm_epsilon,
            stash_type=1,
        )

    def added_norm(self, tensor: str, residual: str, name: str) -> tuple[str, str]:
        """Add the two; return what is normed and the sum itself."""
        outputs = [f"t{len(self.nodes)}", f"t{len(self.nodes)}_sum"]
        self.append(
            "SkipSimplifiedLayerNormalization",
            [tensor, residual, self.constant(self.weights.matrix(name))],
            [outputs[0], "", "", outputs[1]],
            {"domain": _CONTRIB, "epsilon": self.weights.shape.norm_epsilon},
        )
        return outputs[0], outputs[1]

    def dense(self, tensor: str, *names: str) -> str:
        """Apply one linear layer, or several that stand side by side, without a bias."""
        import numpy as np

        if self.precision == "float32":
            together = np.concatenate([self.weights.matrix(name) for name in names])
            return self.node("MatMul", [tensor, self.constant(together.T)])
        quantised = [_blocks(self.weights, name) for name in names]
        rows = self.constant(np.concatenate([values for values, _ in quantised]))
        scales = self.constant(np.concatenate([scale for _, scale in quantised]))
        sizes = [self.weights.shape.matrices()[name] for name in names]
        return self._multiplied(
            tensor, (rows, scales), sum(size[0] for size in sizes), sizes[0][1], ""
        )

    def embedded(self) -> str:
        """Look the input's tokens up."""
        import numpy as np
        from onnx import TensorProto

        shape = self.weights.shape
        if self.precision == "float32":
            return self.node("Gather", [self.constant(self.weights.matrix(EMBEDDING)), "input_ids"])
        values, scales = _blocks(self.weights, EMBEDDING)
        self.embedding = self.constant(values), self.constant(scales)
        blocks = self.node("Gather", [self.embedding[0], "input_ids"])
        real = self.node("Cast", [blocks], to=TensorProto.FLOAT)
        centred = self.node("Sub", [real, self.constant(np.array(_BLOCK_ZERO, np.float32))])
        scale = self.node("Gather", [self.embedding[1], "input_ids"])
        scale = self.node("Unsqueeze", [scale, self.integers(-1)])
        scaled = self.node("Mul", [centred, scale])
        padded = self.node("Reshape", [scaled, self.integers(0, 0, -1)])
        if shape.width % _BLOCK == 0:
            return padded
        bounds = [self.integers(0), self.integers(shape.width), self.integers(2)]
        return self.node("Slice", [padded, *bounds])

    def head(self, tensor: str) -> None:
        """Give the logits, from the embedding where it is tied."""
        shape = self.weights.shape
        name = EMBEDDING if shape.tied else HEAD
        if self.precision == "float32":
            matrix = self.constant(self.weights.matrix(name).T)
            self.node("MatMul", [tensor, matrix], output="logits")
            return
        stored = self.embedding
        if not shape.tied:
            values, scales = _blocks(self.weights, HEAD)
            stored = self.constant(values), self.constant(scales)
        self._multiplied(tensor, stored, shape.vocabulary, shape.width, "logits")

    def _multiplied(
        self, tensor: str, stored: tuple[str, str], rows: int, columns: int, output: str
    ) -> str:
        return self.node(
            "MatMulNBits",
            [tensor, *stored],
            output=output,
            domain=_CONTRIB,
            K=columns,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=4,  # multiply in int8
        )


def _blocks(weights: Weights, name: str) -> tuple[Array, Array]:
    """Return a matrix as MatMulNBits takes it: uint8 (out, blocks, block) and their scales."""
    import numpy as np

    stored = weights.rows(name)
    if stored is None:
        values, scales = _quantised(weights.matrix(name))
    else:
        rows, scale = stored
        values = _cut(rows.astype(np.int16))
        scales = np.repeat(scale[:, None], values.shape[1], axis=1)
    return (values + _BLOCK_ZERO).astype(np.uint8), scales.astype(np.float32)


def _quantised(matrix: Array) -> tuple[Array, Array]:
    import numpy as np

    blocks = _cut(matrix)
    scales = np.abs(blocks).max(axis=2) / _BLOCK_LIMIT
    scales[scales == 0] = 1
    return np.round(blocks / scales[:, :, None]).astype(np.int16), scales


def _cut(matrix: Array) -> Array:
    """Cut rows into whole blocks, with zeros behind the last value."""
    import numpy as np

    rows, columns = matrix.shape
    missing = -columns % _BLOCK
    padded = np.pad(matrix, ((0, 0), (0, missing))) if missing else matrix
    return padded.reshape(rows, -1, _BLOCK)


def _lengths(graph: _Graph) -> tuple[str, str]:
    """How many tokens there are, as GroupQueryAttention wants it: per row less one, and in all."""
    import numpy as np
    from onnx import TensorProto

    one = graph.integers(1)
    counted = graph.node("ReduceSum", ["attention_mask", one], keepdims=0)
    last = graph.node("Cast", [graph.node("Sub", [counted, one])], to=TensorProto.INT32)
    second = graph.constant(np.array(1, np.int64))
    length = graph.node("Gather", [graph.node("Shape", ["attention_mask"]), second], axis=0)
    return last, graph.node("Cast", [length], to=TensorProto.INT32)


def _rotary_caches(graph: _Graph, shape: Shape) -> tuple[str, str]:
    """Cosines and sines of every position, each (context, head_width / 2)."""
    import numpy as np

    half = np.arange(0, shape.head_width, 2, dtype=np.float64) / shape.head_width
    angles = np.outer(np.arange(shape.context), shape.rope_theta**-half)
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    return graph.constant(cosines), graph.constant(sines)


def _layer(
    graph: _Graph,
    layer: int,
    normed: str,
    residual: str,
    lengths: tuple[str, str],
    caches: tuple[str, str],
) -> tuple[str, str]:
    """One layer, up to and with the norm behind it."""
    shape, prefix = graph.weights.shape, f"model.layers.{layer}."

    def names(block: str, *parts: str) -> list[str]:
        return [f"{prefix}{block}.{part}_proj.weight" for part in parts]

    together = graph.dense(normed, *names("self_attn", "q", "k", "v"))
    mixed = f"t{len(graph.nodes)}"
    past = [INPUTS[f"past_{part}_names"] % layer for part in ("key", "value")]
    present = [OUTPUTS[f"present_{part}_names"] % layer for part in ("key", "value")]
    attributes = {
        "domain": _CONTRIB,
        "num_heads": shape.heads,
        "kv_num_heads": shape.kv_heads,
        "scale": shape.head_width**-0.5,
        "do_rotary": 1,
        "rotary_interleaved": 0,
    }
    inputs = [together, "", "", *past, *lengths, *caches]
    graph.append("GroupQueryAttention", inputs, [mixed, *present], attributes)
    attended = graph.dense(mixed, *names("self_attn", "o"))
    normed, residual = graph.added_norm(
        attended, residual, f"{prefix}post_attention_layernorm.weight"
    )
    fed = _feed_forward(graph, normed, names("mlp", "gate", "up"), names("mlp", "down"))
    following = (
        f"model.layers.{layer + 1}.input_layernorm.weight"
        if layer + 1 < shape.layers
        else "model.norm.weight"
    )
    return graph.added_norm(fed, residual, following)


def _feed_forward(graph: _Graph, normed: str, up: Sequence[str], down: Sequence[str]) -> str:
    both = graph.dense(normed, *up)
    halves = [f"t{len(graph.nodes)}_{half}" for half in range(2)]
    graph.append("Split", [both], halves, {"axis": -1, "num_outputs": 2})
    # x·sigmoid(αx), which is SiLU at α = 1.
    gate = graph.node("QuickGelu", [halves[0]], domain=_CONTRIB, alpha=1.0)
    return graph.dense(graph.node("Mul", [gate, halves[1]]), *down)
