"""The ONNX graph of all-MiniLM-L6-v2, written node by node from its weights.

The model: BERT (Devlin et al. 2019) with 6 layers of width 384 and 12 heads, mean pooling, unit
length (Reimers and Gurevych 2019). The graph reads one text at a time, so it needs neither padding
nor a mask, and a vector does not depend on the texts embedded beside it.

Int8 costs a small part of float32's time and hardly any of its meaning; tests hold it to float32.
The down projections, whose inputs have outliers after the GELU, are quantised in blocks of 32
(MatMulNBits), which keeps their vectors closer at a little more time than one scale a row would
take. infra/bench/embedder.py prints what a text costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

RECIPE = 3
"""Raise it with every change of a graph: a cached graph of another recipe is not used."""

LAYERS = 6
HEADS = 12
WIDTH = 384

Precision = Literal["float32", "int8"]

_LAYER_NORM_EPSILON = 1e-12
_OPSET = 20  # the first with Gelu
_IR_VERSION = 10
_CONTRIB = "com.microsoft"
# 7 bits: AVX2 without VNNI adds pairs of products in 16 bits and would saturate at 8.
_WEIGHT_LIMIT = 63
_BLOCK = 32
_BLOCK_LIMIT = 127
_BLOCK_ZERO = 128

_TOKENS: Final[list[str | int | None]] = [1, "tokens", WIDTH]


def encoder_graph(weights: Mapping[str, NDArray[np.float32]], precision: Precision) -> bytes:
    """Write the serialised ONNX model of the embedder.

    Args:
        weights: Tensors under their names in the published safetensors file.
        precision: ``"int8"`` for use, ``"float32"`` to measure it against.

    Returns:
        A model with input ``input_ids``, int64 (1, tokens), and two outputs: ``embedding``,
        float32 (1, 384), of unit length, and ``tokens``, float32 (1, tokens, 384), what it is the
        mean of. The same weights give the same bytes.
    """
    graph = _Graph(weights, precision)
    hidden = _layers(graph, _embeddings(graph), range(LAYERS))
    graph.node("Identity", [hidden], output="tokens")
    mean = graph.node("ReduceMean", [hidden, graph.integers(1)], keepdims=0)
    graph.node("LpNormalization", [mean], output="embedding", axis=-1, p=2)
    return graph.model("minilm", _ids(), {"embedding": [1, WIDTH], "tokens": _TOKENS})


def lower_graph(
    weights: Mapping[str, NDArray[np.float32]], precision: Precision, layers: range
) -> bytes:
    """Write the first layers alone: ``input_ids`` as above in, ``tokens`` as above out."""
    graph = _Graph(weights, precision)
    hidden = _layers(graph, _embeddings(graph), layers)
    graph.node("Identity", [hidden], output="tokens")
    return graph.model("lower", _ids(), {"tokens": _TOKENS})


def upper_graph(
    weights: Mapping[str, NDArray[np.float32]], precision: Precision, layers: range
) -> bytes:
    """Write later layers alone: ``hidden`` in, ``tokens`` out, each float32 (1, tokens, 384)."""
    from onnx import TensorProto, helper

    graph = _Graph(weights, precision)
    graph.node("Identity", [_layers(graph, "hidden", layers)], output="tokens")
    hidden = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, _TOKENS)
    return graph.model("upper", hidden, {"tokens": _TOKENS})


@dataclass
class _Graph:
    """Nodes and constants so far; every method returns the name of the tensor it adds."""

    weights: Mapping[str, NDArray[np.float32]]
    precision: Precision
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def model(
        self, name: str, given: Any, outputs: Mapping[str, Sequence[str | int | None]]
    ) -> bytes:
        """Serialise what has been added, with float32 outputs of these shapes."""
        from onnx import TensorProto, helper

        named = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
            for output, shape in outputs.items()
        ]
        model = helper.make_model(
            helper.make_graph(self.nodes, name, [given], named, self.constants),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)],
            ir_version=_IR_VERSION,
            producer_name="agentic-query-router",
        )
        serialised: bytes = model.SerializeToString()
        return serialised

    def node(self, op: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        name = output or f"t{len(self.nodes)}"
        self._append(op, inputs, [name], attributes)
        return name

    def split(self, tensor: str, parts: int) -> list[str]:
        names = [f"t{len(self.nodes)}_{part}" for part in range(parts)]
        self._append("Split", [tensor], names, {"axis": -1, "num_outputs": parts})
        return names

    def constant(self, array: Array) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def layer_norm(self, tensor: str, name: str) -> str:
        scale = self.constant(self.weights[f"{name}.weight"])
        bias = self.constant(self.weights[f"{name}.bias"])
        return self.node(
            "LayerNormalization", [tensor, scale, bias], axis=-1, epsilon=_LAYER_NORM_EPSILON
        )

    def dense(self, tensor: str, weight: Array, bias: Array, *, outliers: bool = False) -> str:
        """Apply a linear layer; ``weight`` has shape (out, in)."""
        if self.precision == "float32":
            product = self.node("MatMul", [tensor, self.constant(weight.T)])
            return self.node("Add", [product, self.constant(bias)])
        if outliers:
            return self._dense_in_blocks(tensor, weight, bias)
        return self._dense_per_channel(tensor, weight, bias)

    def _dense_per_channel(self, tensor: str, weight: Array, bias: Array) -> str:
        import numpy as np

        scale = np.abs(weight).max(axis=1) / _WEIGHT_LIMIT
        scale[scale == 0] = 1
        rounded = np.round(weight / scale[:, None]).astype(np.int8)
        inputs = [self.constant(rounded.T), self.constant(scale), "", self.constant(bias)]
        return self.node("DynamicQuantizeMatMul", [tensor, *inputs], domain=_CONTRIB)

    def _dense_in_blocks(self, tensor: str, weight: Array, bias: Array) -> str:
        import numpy as np

        rows, columns = weight.shape
        blocks = weight.reshape(rows, columns // _BLOCK, _BLOCK)
        scale = np.abs(blocks).max(axis=2) / _BLOCK_LIMIT
        scale[scale == 0] = 1
        rounded = (np.round(blocks / scale[:, :, None]) + _BLOCK_ZERO).astype(np.uint8)
        inputs = [self.constant(rounded), self.constant(scale), "", "", self.constant(bias)]
        return self.node(
            "MatMulNBits",
            [tensor, *inputs],
            domain=_CONTRIB,
            K=columns,
            N=rows,
            bits=8,
            block_size=_BLOCK,
            accuracy_level=4,  # multiply in int8
        )

    def _append(
        self, op: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]
    ) -> None:
        from onnx import helper

        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))


def _ids() -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])


def _layers(graph: _Graph, hidden: str, layers: range) -> str:
    for layer in layers:
        hidden = _layer(graph, hidden, f"encoder.layer.{layer}.")
    return hidden


def _embeddings(graph: _Graph) -> str:
    import numpy as np
    from onnx import TensorProto

    weights = graph.weights
    words = weights["embeddings.word_embeddings.weight"]
    if graph.precision == "float32":
        looked_up = graph.node("Gather", [graph.constant(words), "input_ids"])
    else:
        # Half precision halves the file and loses nothing that int8 layers could see.
        half = graph.node("Gather", [graph.constant(words.astype(np.float16)), "input_ids"])
        looked_up = graph.node("Cast", [half], to=TensorProto.FLOAT)
    # A single text has one segment, so its segment embedding is part of every position.
    positions = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    length = graph.node("Gather", [graph.node("Shape", ["input_ids"]), graph.integers(1)])
    zero = graph.integers(0)
    first = graph.node("Slice", [graph.constant(positions), zero, length, zero])
    return graph.layer_norm(graph.node("Add", [looked_up, first]), "embeddings.LayerNorm")


def _layer(graph: _Graph, hidden: str, prefix: str) -> str:
    import numpy as np

    def weight(name: str) -> Array:
        return graph.weights[f"{prefix}{name}.weight"]

    def bias(name: str) -> Array:
        return graph.weights[f"{prefix}{name}.bias"]

    parts = [f"attention.self.{part}" for part in ("query", "key", "value")]
    together = graph.dense(
        hidden,
        np.concatenate([weight(part) for part in parts]),
        np.concatenate([bias(part) for part in parts]),
    )
    mixed = graph.node(
        "MultiHeadAttention", graph.split(together, 3), domain=_CONTRIB, num_heads=HEADS
    )
    attended = graph.dense(mixed, weight("attention.output.dense"), bias("attention.output.dense"))
    hidden = graph.layer_norm(
        graph.node("Add", [attended, hidden]), f"{prefix}attention.output.LayerNorm"
    )
    up = graph.dense(hidden, weight("intermediate.dense"), bias("intermediate.dense"))
    down = graph.dense(
        graph.node("Gelu", [up]), weight("output.dense"), bias("output.dense"), outliers=True
    )
    return graph.layer_norm(graph.node("Add", [down, hidden]), f"{prefix}output.LayerNorm")
