"""The graph of the in-process model says what transformers says of the same weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from backends.errors import Misconfigured, Refused
from backends.genai.folder import model_folder
from backends.genai.graph import Precision, decoder_graph
from backends.genai.merging import load_lora
from backends.genai.weights import Weights, read_weights
from tests.support.starter import (
    CONFIG,
    RANK,
    make_starter,
    random_tensors,
    write_adapter,
    write_base,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

UNEVEN: Mapping[str, Any] = {
    **CONFIG,
    "hidden_size": 96,
    "intermediate_size": 176,
    "head_dim": 16,
    "num_attention_heads": 6,
    "tie_word_embeddings": False,
    "rope_parameters": {"rope_theta": 500_000.0, "rope_type": "default"},
}
"""Sizes that are no multiples of a block, and a head of its own."""

every_config = pytest.mark.parametrize("config", [CONFIG, UNEVEN], ids=["even", "uneven"])


def token_ids(config: Mapping[str, Any]) -> Array:
    import numpy as np

    return np.random.default_rng(3).integers(5, config["vocab_size"], (1, 40))


def graph_logits(weights: Weights, ids: Array, precision: Precision) -> Array:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = decoder_graph(weights, precision, every_position=True)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    shape = weights.shape
    nothing = np.zeros((1, shape.kv_heads, 0, shape.head_width), np.float32)
    given: dict[str, Array] = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    for layer in range(shape.layers):
        given |= {f"past_key_values.{layer}.{part}": nothing for part in ("key", "value")}
    logits: Array = session.run(["logits"], given)[0]
    return logits


def transformers_model(config: Mapping[str, Any], weights: Weights) -> Any:
    """The same weights in transformers; skips the test where it is not installed."""
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    transformers = pytest.importorskip(
        "transformers", reason="compares with transformers, which is not installed"
    )
    known = {name: value for name, value in config.items() if name != "model_type"}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**known)).eval()
    shape = weights.shape
    state = {
        name: torch.from_numpy(weights.matrix(name).copy())
        for name in (*shape.matrices(), *shape.norms())
    }
    state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
    model.load_state_dict(state)
    return model


def transformers_logits(model: Any, ids: Array) -> Array:
    import torch

    with torch.no_grad():
        logits: Array = model(torch.from_numpy(ids)).logits.numpy()
    return logits


def lora_folder(folder: Path, weights: Weights) -> Path:
    """Write a LoRA on every linear layer."""
    import numpy as np

    random = np.random.default_rng(8)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, (rows, columns) in weights.shape.matrices().items():
        if "layers" not in name:
            continue
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        tensors[f"{stem}.lora_A.weight"] = random.normal(0, 0.1, (RANK, columns)).astype(np.float32)
        tensors[f"{stem}.lora_B.weight"] = random.normal(0, 0.1, (rows, RANK)).astype(np.float32)
    return write_adapter(folder, tensors).spec.folder


@every_config
def test_the_logits_are_those_of_transformers(config: Mapping[str, Any], tmp_path: Path) -> None:
    import numpy as np

    write_base(tmp_path, config, random_tensors(config))
    weights, ids = read_weights(tmp_path), token_ids(config)
    theirs = transformers_logits(transformers_model(config, weights), ids)
    np.testing.assert_allclose(graph_logits(weights, ids, "float32"), theirs, atol=2e-5)


# PEFT asks transformers for something under its former name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@every_config
def test_a_merged_adapter_gives_the_logits_of_peft(
    config: Mapping[str, Any], tmp_path: Path
) -> None:
    import numpy as np

    peft = pytest.importorskip("peft", reason="compares with peft, which is not installed")
    write_base(tmp_path / "base", config, random_tensors(config))
    weights, ids = read_weights(tmp_path / "base"), token_ids(config)
    folder = lora_folder(tmp_path / "adapter", weights)
    model = transformers_model(config, weights)
    before = transformers_logits(model, ids)
    theirs = transformers_logits(peft.PeftModel.from_pretrained(model, folder).eval(), ids)
    assert np.abs(theirs - before).max() > 0.1
    ours = graph_logits(load_lora(folder).merged(weights), ids, "float32")
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@every_config
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "adapter"])
def test_int8_stays_close_to_float32(
    config: Mapping[str, Any], adapted: bool, tmp_path: Path
) -> None:
    import numpy as np

    write_base(tmp_path / "base", config, random_tensors(config))
    weights, ids = read_weights(tmp_path / "base"), token_ids(config)
    if adapted:
        weights = load_lora(lora_folder(tmp_path / "adapter", weights)).merged(weights)
    exact, ours = (graph_logits(weights, ids, name) for name in ("float32", "int8"))
    assert np.corrcoef(exact.ravel(), ours.ravel())[0, 1] > 0.999


def test_the_same_weights_give_the_same_graph(tmp_path: Path) -> None:
    write_base(tmp_path, CONFIG, random_tensors(CONFIG))
    assert decoder_graph(read_weights(tmp_path)) == decoder_graph(read_weights(tmp_path))


def test_an_adapter_of_other_sizes_is_refused(tmp_path: Path) -> None:
    write_base(tmp_path / "base", CONFIG, random_tensors(CONFIG))
    write_base(tmp_path / "other", UNEVEN, random_tensors(UNEVEN))
    folder = lora_folder(tmp_path / "adapter", read_weights(tmp_path / "other"))
    with pytest.raises(Refused, match="176"):
        load_lora(folder).merged(read_weights(tmp_path / "base"))


def test_a_diverged_adapter_is_refused(tmp_path: Path) -> None:
    import numpy as np

    stem = "base_model.model.model.layers.0.mlp.down_proj"
    down = np.full((RANK, 512), np.nan, np.float32)
    tensors = {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": np.ones((128, RANK), "f")}
    with pytest.raises(Refused, match="no numbers"):
        load_lora(write_adapter(tmp_path, tensors).spec.folder)


def test_an_adapter_that_adds_what_is_no_number_is_refused(tmp_path: Path) -> None:
    write_base(tmp_path / "base", CONFIG, random_tensors(CONFIG))
    folder = lora_folder(tmp_path / "adapter", read_weights(tmp_path / "base"))
    said = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(said | {"lora_alpha": 1e308}))
    with pytest.raises(Refused, match="too large for a number"):
        load_lora(folder).merged(read_weights(tmp_path / "base"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "qwen3"}, "qwen3"),
        ({"attention_bias": True}, "bias"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "positions"),
        ({"hidden_size": 64}, "size"),
        ({"num_hidden_layers": 3}, "missing"),
        ({"vocab_size": "many"}, "config.json"),
    ],
)
def test_weights_that_the_graph_cannot_express_are_named(
    change: Mapping[str, Any], words: str, tmp_path: Path
) -> None:
    write_base(tmp_path, {**CONFIG, **change}, random_tensors(CONFIG))
    with pytest.raises(Misconfigured, match=words):
        read_weights(tmp_path)


def test_a_built_model_is_kept_and_a_damaged_one_built_again(tmp_path: Path) -> None:
    base, cache = make_starter(tmp_path / "base"), tmp_path / "models"
    read = 0

    def weights() -> Weights:
        nonlocal read
        read += 1
        return read_weights(base)

    folder = model_folder(cache, base, "sha256:0", weights)
    assert model_folder(cache, base, "sha256:0", weights) == folder
    assert read == 1
    (folder / "model.onnx").write_bytes(b"half")
    assert model_folder(cache, base, "sha256:0", weights) == folder
    assert read == 2
    assert (folder / "model.onnx").stat().st_size > 100_000
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_another_base_gets_another_folder(tmp_path: Path) -> None:
    base, cache = make_starter(tmp_path / "base"), tmp_path / "models"
    weights = read_weights(base)
    one = model_folder(cache, base, "sha256:0", lambda: weights)
    assert model_folder(cache, base, "sha256:1", lambda: weights) != one


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    base, cache = make_starter(tmp_path / "base"), tmp_path / "models"
    cache.write_text("in the way")
    with pytest.raises(Misconfigured, match="models"):
        model_folder(cache, base, "sha256:0", lambda: read_weights(base))


def test_an_adapter_changes_no_matrix_of_its_base(tmp_path: Path) -> None:
    base = read_weights(make_starter(tmp_path / "base"))
    before = {name: tensor.copy() for name, tensor in base.tensors.items()}
    load_lora(lora_folder(tmp_path / "adapter", base)).merged(replace(base))
    assert all((base.tensors[name] == tensor).all() for name, tensor in before.items())
