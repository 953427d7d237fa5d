"""The shape of the starter model and where its files lie."""

from __future__ import annotations

from typing import Final

VOCABULARY: Final = 4096
CONTEXT: Final = 1024

SHAPE: Final = {
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
}
"""As `transformers.LlamaConfig` names it."""

RANK: Final = 16
"""Of the LoRA adapters."""

TARGETS: Final = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
"""The layers that an adapter changes: every matrix of a block."""

ANSWER_TOKENS: Final = 320
"""An answer that is longer than this is none that was learnt."""

EVIDENCE_CHARACTERS: Final = 700
"""So much of the passages fits beside a wish into what training has shown."""
