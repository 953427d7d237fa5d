"""The encoder in torch, for fine-tuning: BERT (Devlin et al. 2019) under its published names.

Only tuning imports this. What it learns is written without torch and read by onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

HEADS = 12
_EPSILON = 1e-12


def build(weights: dict[str, Any], layers: int, exits: tuple[int, ...], dropout: float) -> Any:
    """Return a ``torch.nn.Module``: token ids and mask to logits, shape (rows, exits, 2).

    Args:
        weights: The published tensors by name, as numpy arrays.
        layers: How many of its layers to keep, from below.
        exits: After how many layers there is a head, rising; the last is ``layers``.
        dropout: Of hidden states and attention while training.
    """
    # Without its types: torch is no dependency of what is checked.
    torch: Any = import_module("torch")
    nn, functional = torch.nn, torch.nn.functional
    module: Any = nn.Module

    class Layer(module):  # type: ignore[misc]  # torch is not typed here
        def __init__(self, prefix: str) -> None:
            super().__init__()
            self.query = _linear(torch, weights, f"{prefix}attention.self.query")
            self.key = _linear(torch, weights, f"{prefix}attention.self.key")
            self.value = _linear(torch, weights, f"{prefix}attention.self.value")
            self.attended = _linear(torch, weights, f"{prefix}attention.output.dense")
            self.first_norm = _norm(torch, weights, f"{prefix}attention.output.LayerNorm")
            self.up = _linear(torch, weights, f"{prefix}intermediate.dense")
            self.down = _linear(torch, weights, f"{prefix}output.dense")
            self.last_norm = _norm(torch, weights, f"{prefix}output.LayerNorm")

        def forward(self, hidden: Any, mask: Any) -> Any:
            rows, length, width = hidden.shape

            def heads(tensor: Any) -> Any:
                return tensor.view(rows, length, HEADS, width // HEADS).transpose(1, 2)

            mixed = functional.scaled_dot_product_attention(
                heads(self.query(hidden)),
                heads(self.key(hidden)),
                heads(self.value(hidden)),
                attn_mask=mask,
                dropout_p=dropout if self.training else 0.0,
            )
            mixed = mixed.transpose(1, 2).reshape(rows, length, width)
            dropped = functional.dropout(self.attended(mixed), dropout, self.training)
            hidden = self.first_norm(hidden + dropped)
            widened = self.down(functional.gelu(self.up(hidden)))
            return self.last_norm(hidden + functional.dropout(widened, dropout, self.training))

    class Encoder(module):  # type: ignore[misc]  # torch is not typed here
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(Layer(f"encoder.layer.{n}.") for n in range(layers))
            width = weights["embeddings.word_embeddings.weight"].shape[1]
            self.heads = nn.ModuleList(nn.Linear(width, 2) for _ in exits)

        def forward(self, ids: Any, mask: Any) -> Any:
            hidden = functional.dropout(self.embedded(ids), dropout, self.training)
            kept = mask[:, None, None, :]
            logits = []
            for number, layer in enumerate(self.layers, 1):
                hidden = layer(hidden, kept)
                if number in exits:
                    share = mask.float() / mask.sum(1, keepdim=True)
                    pooled = (hidden.float() * share[:, :, None]).sum(1)
                    logits.append(self.heads[exits.index(number)](pooled))
            return torch.stack(logits, 1)

        def embedded(self, ids: Any) -> Any:
            """Embeddings stay as they were published, so that they need not ship again."""
            with torch.no_grad():
                summed = words(ids) + positions[: ids.shape[1]] + segment
                return norm(summed)

    words = nn.Embedding.from_pretrained(torch.tensor(weights["embeddings.word_embeddings.weight"]))
    positions = torch.tensor(weights["embeddings.position_embeddings.weight"])
    segment = torch.tensor(weights["embeddings.token_type_embeddings.weight"][0])
    norm = _norm(torch, weights, "embeddings.LayerNorm")
    return Encoder()


def tensors(module: Any) -> dict[str, Any]:
    """Return the layers of a `build` under their published names, as numpy arrays."""
    names = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "first_norm": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "last_norm": "output.LayerNorm",
    }
    found = {}
    for number, layer in enumerate(module.layers):
        for ours, published in names.items():
            part = getattr(layer, ours)
            for kind in ("weight", "bias"):
                name = f"encoder.layer.{number}.{published}.{kind}"
                found[name] = getattr(part, kind).detach().float().numpy()
    return found


def _linear(torch: Any, weights: dict[str, Any], name: str) -> Any:
    out, into = weights[f"{name}.weight"].shape
    return _filled(torch, torch.nn.Linear(into, out), weights, name)


def _norm(torch: Any, weights: dict[str, Any], name: str) -> Any:
    (width,) = weights[f"{name}.weight"].shape
    return _filled(torch, torch.nn.LayerNorm(width, eps=_EPSILON), weights, name)


def _filled(torch: Any, part: Any, weights: dict[str, Any], name: str) -> Any:
    with torch.no_grad():
        part.weight.copy_(torch.tensor(weights[f"{name}.weight"]))
        part.bias.copy_(torch.tensor(weights[f"{name}.bias"]))
    return part
