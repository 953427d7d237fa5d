"""Tokenizer and onnxruntime session of one model: texts in, unit vectors out, on this thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from backends.errors import Misconfigured
from backends.minilm.cache import built_model
from backends.minilm.weights import MODEL, find_bundle
from backends.telemetry import without_telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from backends.base import Vector, Vectors

MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained to read (its ``max_seq_length``)."""

Pooling = Literal["none", "mean", "cls"]

_FILES = ("model_quint8_avx2.onnx", "model_int8.onnx", "model_quantized.onnx", "model.onnx")


@dataclass(frozen=True, slots=True)
class Encoder:
    """One loaded model; open it with `bundled` or `from_folder`.

    Attributes:
        model: Its name.
        dimension: Length of its vectors.
        max_tokens: Tokens of a text that it reads.
        pooling: What has to be done with its output; "none" when the graph does it.
    """

    model: str
    dimension: int
    max_tokens: int
    pooling: Pooling
    session: InferenceSession
    tokenizer: Tokenizer

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d).

        One text at a time: int8 scales are taken over the whole input, so in a batch a vector
        would depend on its neighbours, and batches were measured to be no faster on a CPU.
        """
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._encode_one(text)
        return vectors

    def encode_spans(
        self, text: str, spans: Sequence[tuple[int, int]]
    ) -> tuple[Vector, Vectors | None]:
        """Return the vector of a text and those of spans of it, all from one pass.

        A span's vector is the mean of its tokens as they came out of the pass over the whole text,
        so that "it" knows what it stands for ("late chunking", Günther et al. 2024).

        Args:
            text: Any text.
            spans: (start, end) in its code points.

        Returns:
            The vector that `encode` gives, and one unit vector a span, shape (len(spans), d); that
            of the text where the span has no token or lies beyond what the model reads. None when
            the graph does not give its tokens away.
        """
        import numpy as np

        encoding = self.tokenizer.encode(text)
        ids, offsets = encoding.ids, encoding.offsets
        if len(ids) > self.max_tokens:
            ids, offsets = [*ids[: self.max_tokens - 1], ids[-1]], offsets[: self.max_tokens - 1]
        whole, tokens = self._run(ids)
        if tokens is None:
            return whole, None
        starts, ends = np.array(offsets, np.int64).reshape(-1, 2).T
        vectors = np.empty((len(spans), self.dimension), np.float32)
        for row, (start, end) in enumerate(spans):
            # Special tokens are empty at 0.
            inside = (ends > starts) & (starts < end) & (ends > start)
            within = np.flatnonzero(inside & (start < end))
            vectors[row] = _unit(tokens[within].mean(axis=0)) if within.size else whole
        return whole, vectors

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens, special ones included, without cutting."""
        return len(self.tokenizer.encode(text))

    def _encode_one(self, text: str) -> Vector:
        ids = self.tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            ids = [*ids[: self.max_tokens - 1], ids[-1]]
        return self._run(ids)[0]

    def _run(self, ids: Sequence[int]) -> tuple[Vector, Vectors | None]:
        """Return the vector of the text, and those of its tokens if the graph gives them away."""
        import numpy as np

        tokens = np.array([ids], np.int64)
        inputs = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        wanted = {name.name: inputs[name.name] for name in self.session.get_inputs()}
        first, *others = (output[0] for output in self.session.run(None, wanted))
        if self.pooling == "none":
            given = [output for output in others if output.shape == (len(ids), self.dimension)]
            return np.asarray(first, np.float32), given[0] if given else None
        return _unit(first.mean(axis=0) if self.pooling == "mean" else first[0]), first


def _unit(vector: Vector) -> Vector:
    import numpy as np

    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def bundled(cache_folder: Path, threads: int) -> Encoder:
    """Open the model whose weights are an installed package, building its graph the first time.

    Raises:
        Misconfigured: The weights are absent or wrong, or the cache cannot be written.
    """
    bundle = find_bundle()
    tokenizer = open_tokenizer(bundle.tokenizer())
    session = open_session(built_model(bundle, cache_folder), threads)
    return Encoder(MODEL, _width(session), MAX_TOKENS, "none", session, tokenizer)


def from_folder(folder: Path, threads: int) -> Encoder:
    """Open a model exported in the usual layout: config.json, tokenizer.json, onnx/model*.onnx.

    Raises:
        Misconfigured: A file is missing or is not what its name says.
    """
    config = _json(folder / "config.json")
    try:
        tokenizer = open_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
        session = open_session(_readable(_graph_file(folder)), threads)
    except OSError as error:
        raise _unusable(folder, str(error)) from error
    return Encoder(
        Path(str(config.get("_name_or_path") or folder.name)).name,
        _width(session),
        _max_tokens(folder, config),
        _pooling(folder, session),
        session,
        tokenizer,
    )


def open_tokenizer(serialised: str) -> Tokenizer:
    """Read a tokenizer that neither pads nor cuts.

    Raises:
        Misconfigured: It is no ``tokenizer.json``.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(serialised)
    except Exception as error:
        raise Misconfigured(
            f"The embedder's tokenizer.json cannot be read: {error}.", backend="embedder"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def open_session(graph: Path, threads: int) -> InferenceSession:
    """Load a graph's file onto the CPU.

    Raises:
        Misconfigured: onnxruntime cannot load it.
    """
    without_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Keeping freed memory for the next question saves no time.
    options.enable_cpu_mem_arena = False
    # A waiting thread that spins takes a core from the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _ort_errors() as error:
        raise Misconfigured(
            f"onnxruntime cannot load the graph: {error}.", backend="embedder"
        ) from error


def _ort_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
    )


def _width(session: InferenceSession) -> int:
    return int(session.get_outputs()[0].shape[-1])


def _readable(path: Path) -> Path:
    """Return the path of a file that can be read; raises `OSError` for another."""
    with path.open("rb"):
        return path


def _graph_file(folder: Path) -> Path:
    candidates = [folder / "onnx" / name for name in _FILES]
    candidates += sorted((folder / "onnx").glob("model*.onnx"))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise _unusable(folder, "it has no onnx/model*.onnx")


def _max_tokens(folder: Path, config: dict[str, Any]) -> int:
    sentence = folder / "sentence_bert_config.json"
    if sentence.is_file():
        limit = _json(sentence).get("max_seq_length")
        if isinstance(limit, int):
            return limit
    return int(config.get("max_position_embeddings", MAX_TOKENS))


def _pooling(folder: Path, session: InferenceSession) -> Pooling:
    if len(session.get_outputs()[0].shape) == 2:
        return "none"
    path = folder / "1_Pooling" / "config.json"
    by_cls = path.is_file() and _json(path).get("pooling_mode_cls_token")
    return "cls" if by_cls else "mean"


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path.parent, str(error)) from error
    if not isinstance(content, dict):
        raise _unusable(path.parent, f"{path.name} is not a JSON object")
    return content


def _unusable(folder: Path, reason: str) -> Misconfigured:
    return Misconfigured(
        f"The model folder {folder} cannot be used: {reason}.",
        backend="embedder",
        hint="It needs config.json, tokenizer.json and onnx/model.onnx.",
    )
