"""What onnxruntime-genai loads: a folder with graph, configuration and tokenizer, built once.

Folders are found by what they were made from and put in place whole, so that several processes may
build the same one at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from backends.errors import Misconfigured
from backends.genai.graph import INPUTS, OUTPUTS, RECIPE, decoder_graph
from backends.genai.merging import Lora
from backends.genai.weights import BACKEND, Shape, Weights

_GRAPH: Final = "model.onnx"
_CHECKSUMS: Final = "checksums.json"


def model_folder(
    cache: Path, source: Path, base_hash: str, read: Callable[[], Weights], lora: Lora | None = None
) -> Path:
    """Return a folder that onnxruntime-genai loads, built now unless an intact one lies there.

    Args:
        cache: Holds such folders; made when absent.
        source: Of the base, with its ``tokenizer.json``.
        base_hash: Stands for the content of ``source``.
        read: Reads its weights.
        lora: Merged into the weights; None for the base alone.

    Raises:
        Misconfigured: The cache cannot be written, or the weights cannot be read.
        Refused: The adapter does not fit the base.
    """
    key = _key(base_hash, lora)
    folder = cache / f"decoder-{key}"
    if _intact(folder):
        return folder
    base = read()
    weights = base if lora is None else lora.merged(base)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=cache, prefix=f".{folder.name}."))
        try:
            _write(building, source, weights)
            _put_in_place(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise Misconfigured(
            f"The graph of the starter model cannot be kept in {cache}: {error.strerror}.",
            backend=BACKEND,
            hint="Make the folder writable, or choose another one (ROUTER_HOME).",
        ) from error
    return folder


def _key(base_hash: str, lora: Lora | None) -> str:
    """Everything that decides the files."""
    parts = [base_hash, str(RECIPE), version("onnx")]
    if lora is not None:
        parts += [lora.weights_hash, repr(lora.factor)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _intact(folder: Path) -> bool:
    try:
        recorded = json.loads((folder / _CHECKSUMS).read_text("utf-8"))
        return bool(recorded == _checksums(folder))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != _CHECKSUMS
    }


def _write(folder: Path, source: Path, weights: Weights) -> None:
    (folder / _GRAPH).write_bytes(decoder_graph(weights))
    config = json.dumps(_configuration(weights.shape), indent=2)
    (folder / "genai_config.json").write_text(config, "utf-8")
    (folder / "tokenizer.json").write_text(_vocabulary(source), "utf-8")
    # Of transformers' names this is the one that onnxruntime-genai knows for byte-level BPE.
    named = json.dumps({"tokenizer_class": "GPT2Tokenizer"})
    (folder / "tokenizer_config.json").write_text(named, "utf-8")
    (folder / _CHECKSUMS).write_text(json.dumps(_checksums(folder)), "utf-8")


def _vocabulary(source: Path) -> str:
    """Return the tokenizer without the rules by which it splits a text.

    The runtime learns from it what text each token stands for, to hold an answer to a form; prompts
    come to it as ids. Of patterns to split by it reads few, and it refuses a form with the others.
    """
    tokenizer = json.loads((source / "tokenizer.json").read_text("utf-8"))
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    tokenizer["pre_tokenizer"] = plain | {"use_regex": True}
    return json.dumps(tokenizer, ensure_ascii=False)


def _put_in_place(built: Path, folder: Path) -> None:
    """Give the whole folder its name in one step; a damaged one of that name makes way."""
    os.chmod(built, 0o755)  # noqa: S103  # as any other folder of the cache
    if folder.exists():
        damaged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        os.replace(folder, damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        os.rename(built, folder)
    except OSError:
        # Another process was as quick, with the same files.
        if not _intact(folder):
            raise


def _configuration(shape: Shape) -> dict[str, object]:
    """``genai_config.json``: what the graph is like, and how tokens are chosen by default."""
    session = {
        "log_id": "onnxruntime-genai",
        "provider_options": [],
        # A second thread makes a token of a model this small later, not sooner: it has to be woken
        # some forty times a token. Several answers share the cores instead.
        "intra_op_num_threads": 1,
        "inter_op_num_threads": 1,
        # Keeping freed memory for the next token saves no time and costs 8 MB an adapter.
        "enable_cpu_mem_arena": False,
    }
    decoder = {
        "session_options": session,
        "filename": _GRAPH,
        "head_size": shape.head_width,
        "hidden_size": shape.width,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
    }
    model = {
        "type": "llama",
        "decoder": decoder,
        "bos_token_id": shape.stops[0],
        "eos_token_id": list(shape.stops),
        "pad_token_id": shape.padding,
        "vocab_size": shape.vocabulary,
        "context_length": shape.context,
    }
    search = {
        "do_sample": False,
        "num_beams": 1,
        "max_length": shape.context,
        "past_present_share_buffer": True,
    }
    return {"model": model, "search": search}
