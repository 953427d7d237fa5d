"""How an adapter is trained, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

_LORA_RATE: Final = 5e-4
_RATE_WIDTH: Final = 2_000
_RATE_POWER: Final = 0.781
_STEPS: Final = 200
_FEWEST, _MOST = 3, 10


@dataclass(frozen=True, slots=True)
class Recipe:
    """The same recipe, rows, base and machine give the same weights.

    Attributes:
        rank: Of the LoRA (Hu et al. 2021), on every linear layer, as Dettmers et al. 2023 found
            that it needs.
        alpha: Its scale; what is learnt counts alpha / rank.
        dropout: On the LoRA's input while training.
        epochs: Times each row is seen; None for what suits their number (`epochs_for`).
        learning_rate: Peak, after a short warm-up and before a linear decline; None for what suits
            the base's width (`rate_for`).
        batch: Rows a step.
        rehearsal: Rows of the base's own words in small talk, as a share of the data's rows; they
            keep what the base can do (rehearsal, Scialom et al. 2022).
        quantised: Keep the base in 4 bits while training (QLoRA); needs CUDA.
        seed: Of shuffling, dropout and the first weights.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int = 16
    rehearsal: float = 0.25
    quantised: bool = False
    seed: int = 7

    def fingerprint(self, data_hash: str, base_hash: str) -> str:
        """Name what comes of it: recipe, data and base, as 12 hexadecimal digits."""
        made_of = json.dumps([asdict(self), data_hash, base_hash], sort_keys=True)
        return hashlib.sha256(made_of.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training did.

    Attributes:
        steps: All of them, also those of a run that was resumed.
        resumed_at: The step that it went on from; 0 for a fresh start.
        epochs: Times each row was seen.
        loss: Mean over the last sixth of the steps, in nats per token.
        parameters: How many were trained.
        device: Where.
        precision: The numbers that it was computed in.
    """

    steps: int
    resumed_at: int
    epochs: int
    loss: float
    seconds: float
    parameters: int
    device: str
    precision: str

    def as_json(self) -> dict[str, Any]:
        """Return it for a report."""
        return asdict(self)


def epochs_for(rows: int, batch: int) -> int:
    """Return 3 to 10 epochs: some two hundred steps where rows are few, 3 where they are many."""
    return max(_FEWEST, min(_MOST, -(-_STEPS * batch // rows)))


def rate_for(width: int) -> float:
    """Return a good learning rate for a LoRA on a base of this hidden size.

    The rule that Schulman et al. 2025 ("LoRA Without Regret", Thinking Machines) fitted over
    fourteen models; they find that it hardly depends on the rank.
    """
    return float(_LORA_RATE * (_RATE_WIDTH / width) ** _RATE_POWER)
