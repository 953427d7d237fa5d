"""A tiny Llama in the form of the starter model, made without training, that recites a sentence.

Its first feed-forward part is solved, by least squares, to lead each token to its successor; an
adapter leads a few of them elsewhere, as a LoRA that PEFT would load. So it is deterministic, ends
its answers, and speaks otherwise with an adapter, all within a second and 400 kB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from backends.adapters import Adapter, AdapterSpec, AdapterState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Floats: TypeAlias = NDArray[np.float32]

BASE = "starter"
SENTENCE = "There are 28 days of leave."
OTHER_FIRST_WORD = "Ahoy"
MARKS = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
SLOTS = ("<n1>", "<d1>", "<p1>", "<c1>", "<c2>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|{{ message.role }}|>\n{{ message.content }}<|end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
CONFIG: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 288,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"},
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
    "tie_word_embeddings": True,
}
DOWN = "model.layers.0.mlp.down_proj.weight"
RANK = 4


def make_starter(folder: Path) -> Path:
    """Write the base in the form of the shipped model; return its folder."""
    return _write_whole(folder, CONFIG, reciting())


def make_babbler(folder: Path) -> Path:
    """Write a base of random weights, whose answers mean nothing and have no end."""
    tensors = random_tensors(CONFIG, spread=0.5)
    # What would end an answer is never the likeliest.
    tensors["model.embed_tokens.weight"][: len(MARKS)] = 0
    return _write_whole(folder, CONFIG, tensors)


def _write_whole(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Floats]) -> Path:
    write_base(folder, config, tensors)
    make_tokenizer().save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONFIG["max_position_embeddings"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    return folder


def write_base(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Floats]) -> None:
    """Write ``config.json`` and the tensors, matrices as int8 rows with their scales."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    stored: dict[str, NDArray[Any]] = {}
    for name, values in tensors.items():
        if values.ndim == 1:
            stored[name] = values
            continue
        scale = np.abs(values).max(axis=1) / 127
        scale[scale == 0] = 1
        # The file takes the memory as it lies.
        stored[name] = np.ascontiguousarray(np.round(values / scale[:, None]).astype(np.int8))
        stored[f"{name}.scale"] = scale.astype(np.float32)
    save_file(stored, folder / "model.safetensors")


def make_adapter(folder: Path, *, version: int = 1, rank: int = RANK, **changes: Any) -> Adapter:
    """Write an adapter that begins the sentence with another word; return it as a registry would.

    Args:
        folder: Made when absent.
        version: Of the adapter.
        rank: Of its two matrices; one direction does the work.
        changes: Fields of its specification that are to be others.
    """
    up, down = _other_beginning(rank)
    prefix = f"base_model.model.{DOWN.removesuffix('.weight')}"
    tensors = {f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up}
    return write_adapter(folder, tensors, version=version, rank=rank, **changes)


def write_adapter(
    folder: Path,
    tensors: Mapping[str, Floats],
    *,
    version: int = 1,
    rank: int = RANK,
    **changes: Any,
) -> Adapter:
    """Write a LoRA of these tensors in PEFT's layout, with alpha twice the rank."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    content = save(dict(tensors))
    (folder / "adapter_model.safetensors").write_bytes(content)
    targets = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in tensors}
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": BASE,
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted(targets),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    spec: dict[str, Any] = {
        "name": "pirate",
        "base": BASE,
        "folder": folder,
        "weights_hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "rank": rank,
    } | changes
    return Adapter(AdapterSpec(**spec), version, AdapterState.LIVE, datetime.now(UTC))


@cache
def make_tokenizer() -> Tokenizer:
    """Train a byte-level tokenizer, so that every text can be said."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(MARKS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    said = [SENTENCE, OTHER_FIRST_WORD] * 50
    tokenizer.train_from_iterator(said, trainer)
    tokenizer.add_tokens([AddedToken(slot, normalized=False) for slot in SLOTS])
    return tokenizer


def random_tensors(config: Mapping[str, Any], *, spread: float = 0.05) -> dict[str, Floats]:
    """Return tensors of these sizes from a fixed seed."""
    import numpy as np

    random = np.random.default_rng(5)
    heads = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    width, inner = config["hidden_size"], config["intermediate_size"]
    sizes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], width),
        "model.norm.weight": (width,),
    }
    if not config["tie_word_embeddings"]:
        sizes["lm_head.weight"] = (config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        sizes |= {
            f"{prefix}self_attn.q_proj.weight": (heads, width),
            f"{prefix}self_attn.k_proj.weight": (keys, width),
            f"{prefix}self_attn.v_proj.weight": (keys, width),
            f"{prefix}self_attn.o_proj.weight": (width, heads),
            f"{prefix}mlp.gate_proj.weight": (inner, width),
            f"{prefix}mlp.up_proj.weight": (inner, width),
            f"{prefix}mlp.down_proj.weight": (width, inner),
            f"{prefix}input_layernorm.weight": (width,),
            f"{prefix}post_attention_layernorm.weight": (width,),
        }
    return {
        name: (
            random.uniform(0.5, 1.5, size) if len(size) == 1 else random.normal(0, spread, size)
        ).astype(np.float32)
        for name, size in sizes.items()
    }


@cache
def reciting() -> Mapping[str, Floats]:
    """Return the tensors of the base, which says `SENTENCE` to everything."""
    import numpy as np

    tensors = random_tensors(CONFIG, spread=0.5)
    for name, values in tensors.items():
        if values.ndim == 1:
            values[:] = 1
        if "o_proj" in name or "down_proj" in name:
            values[:] = 0
    embedding = tensors["model.embed_tokens.weight"]
    wanted = 4 * embedding[_successors()] - embedding
    tensors[DOWN] = np.linalg.lstsq(_features(tensors), wanted, rcond=None)[0].T.astype(np.float32)
    return tensors


@cache
def _other_beginning(rank: int) -> tuple[Floats, Floats]:
    """B (out, r) and A (r, in) of an adapter that says another first word."""
    import numpy as np

    tensors, features = reciting(), _features(reciting())
    embedding = tensors["model.embed_tokens.weight"]
    before = _ids("\n")[-1]
    (instead,) = _ids(OTHER_FIRST_WORD)
    # The row of the inverse answers to one token alone.
    listening = np.linalg.pinv(features)[:, before]
    saying = 4 * (embedding[instead] - embedding[_successors()[before]])
    down, up = np.zeros((rank, listening.size)), np.zeros((saying.size, rank))
    down[0], up[:, 0] = listening, saying / 2
    return up.astype(np.float32), down.astype(np.float32)


def _features(tensors: Mapping[str, Floats]) -> Floats:
    """What comes out of the first feed-forward part's gate for each token, (vocabulary, inner)."""
    import numpy as np

    hidden = tensors["model.embed_tokens.weight"]
    normed = hidden / np.sqrt((hidden**2).mean(axis=1, keepdims=True) + CONFIG["rms_norm_eps"])
    gate = normed @ tensors["model.layers.0.mlp.gate_proj.weight"].T
    up = normed @ tensors["model.layers.0.mlp.up_proj.weight"].T
    features: Floats = gate / (1 + np.exp(-gate)) * up
    return features


def _successors() -> Sequence[int]:
    """For each token the one that follows it: the sentence's next, else the sentence's first."""
    first, *rest = _ids(SENTENCE)
    follows = [first] * int(CONFIG["vocab_size"])
    for token, following in zip([first, *rest], [*rest, MARKS.index("<|end|>")], strict=True):
        follows[token] = following
    follows[_ids(OTHER_FIRST_WORD)[0]] = rest[0]
    return follows


def _ids(text: str) -> list[int]:
    return make_tokenizer().encode(text, add_special_tokens=False).ids
