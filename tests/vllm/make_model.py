"""Makes a tiny Qwen3 with a tokenizer and LoRA adapters, from nothing, for a real vLLM to serve.

Run by the python of vLLM's own environment, which has torch and transformers:

    python tests/vllm/make_model.py FOLDER

writes FOLDER/base and these adapters: FOLDER/adapter and FOLDER/second, which fit; FOLDER/wide,
whose rank is twice as high; FOLDER/foreign, for a model of other dimensions. The weights are
random, from fixed seeds, so the answers mean nothing; but they are the same in each run, and each
adapter's are others than the base's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SEED = 20
HIDDEN = 64
LAYERS = 2
HEADS = 2
HEAD = 64
INNER = 128
RANK = 8
POSITIONS = 8192
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SENTENCES = (
    "The question goes to the model that can answer it.",
    "Some answers are written in a document; others need a manner of speaking.",
    'An answer may be {"ok": true, "count": 12} or a plain yes or no.',
)


def main(folder: Path) -> None:
    """Write base model and adapters."""
    base = folder / "base"
    vocabulary = make_tokenizer(base)
    make_base(base, vocabulary)
    make_adapter(folder / "adapter", str(base), seed=SEED + 1)
    make_adapter(folder / "second", str(base), seed=SEED + 2)
    make_adapter(folder / "wide", str(base), seed=SEED + 3, rank=2 * RANK)
    make_adapter(folder / "foreign", str(base), seed=SEED + 4, hidden=2 * HIDDEN)


def make_tokenizer(folder: Path) -> int:
    """Train a byte-level tokenizer, so that every text can be said; return its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (  # type: ignore[import-not-found,unused-ignore]  # see above
        PreTrainedTokenizerFast,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=POSITIONS,
    )
    wrapped.save_pretrained(folder)
    return len(wrapped)


def make_base(folder: Path, vocabulary: int) -> None:
    """Write a Qwen3 with random weights."""
    import torch  # type: ignore[import-not-found,unused-ignore]  # see above
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(SEED)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        # Large enough that the layers, not the last token alone, decide what comes next.
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)


def make_adapter(
    folder: Path, base: str, *, seed: int, rank: int = RANK, hidden: int = HIDDEN
) -> None:
    """Write a LoRA in PEFT's layout, strong enough to change what is said."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    shapes = {
        "self_attn.q_proj": (hidden, HEADS * HEAD),
        "self_attn.v_proj": (hidden, HEADS * HEAD),
        "self_attn.o_proj": (HEADS * HEAD, hidden),
        "mlp.down_proj": (INNER, hidden),
    }
    weights = {}
    for layer in range(LAYERS):
        for module, (inputs, outputs) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            weights[f"{name}.lora_A.weight"] = torch.randn(rank, inputs)
            weights[f"{name}.lora_B.weight"] = torch.randn(outputs, rank)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted(module.rpartition(".")[2] for module in shapes),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
