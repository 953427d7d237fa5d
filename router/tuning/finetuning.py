"""Fine-tune the encoder and the heads at its exits together, in torch, on one core.

All exits learn at once, each from its own loss (Teerapittayanon et al. 2016, "BranchyNet").
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends.minilm.encoder import open_tokenizer
from backends.minilm.exits import both_ends
from backends.minilm.packing import PackedEncoder
from backends.minilm.weights import find_bundle
from router.policy import Route
from router.tuning import bert
from router.tuning.rows import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SHARES: Mapping[Route, float] = MappingProxyType(
    {Route.FACTUAL: 0.4, Route.BEHAVIOURAL: 0.4, Route.HYBRID: 0.2}
)
"""Weight of each route in the loss, whatever their numbers: hybrid questions are the rarer ones."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is done; the same recipe, rows and machine give the same weights.

    Attributes:
        exits: After how many of the six layers there is a head, rising.
        head: Tokens read from the start of a text.
        tail: Tokens read from the end of a longer one.
        epochs: Times each row is seen.
        learning_rate: Peak of the encoder's, after a linear warm-up and before a linear decline.
        head_learning_rate: Of the heads, likewise.
        batch: Rows a step.
        dropout: While training.
        seed: Of shuffling, dropout and the heads' first weights.
    """

    exits: tuple[int, ...] = (3, 6)
    head: int = 48
    tail: int = 24
    epochs: int = 2
    learning_rate: float = 8e-5
    head_learning_rate: float = 1e-3
    batch: int = 32
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """What was learned.

    Attributes:
        weights: Of the heads, shape (exits, 2, d).
        biases: Shape (exits, 2).
    """

    encoder: PackedEncoder
    weights: Floats
    biases: Floats


def finetune(
    rows: Sequence[Row], recipe: Recipe, told: Callable[[str], None] = lambda _: None
) -> FineTuned:
    """Fine-tune on labelled rows.

    Args:
        rows: At least one; each route counts by its share, `SHARES`.
        recipe: How.
        told: Is told how far it is, a line at a time.

    Raises:
        Misconfigured: The published weights are not installed.
        ModuleNotFoundError: torch is not installed; the extra ``tune`` brings it.
    """
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    bundle = find_bundle()
    tokenizer = open_tokenizer(bundle.tokenizer())
    module = bert.build(dict(bundle.weights()), recipe.exits[-1], recipe.exits, recipe.dropout)
    examples = _examples(rows, tokenizer, recipe)
    steps = recipe.epochs * -(-len(examples) // recipe.batch)
    optimiser, schedule = _optimiser(torch, module, recipe, steps)
    choice = random.Random(recipe.seed)  # noqa: S311 - repeatable, not secret
    module.train()
    for epoch in range(recipe.epochs):
        losses = []
        for batch in _batches(examples, recipe, choice):
            loss = _loss(torch, module, batch)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        told(f"epoch {epoch + 1} of {recipe.epochs}: loss {sum(losses) / len(losses):.4f}")
    heads = [(head.weight.detach().numpy(), head.bias.detach().numpy()) for head in module.heads]
    return FineTuned(
        PackedEncoder(bert.tensors(module), recipe.exits, recipe.head, recipe.tail),
        _stacked([weight for weight, _ in heads]),
        _stacked([bias for _, bias in heads]),
    )


@dataclass(frozen=True, slots=True)
class _Example:
    ids: list[int]
    targets: tuple[float, float]
    weight: float


def _examples(rows: Sequence[Row], tokenizer: Any, recipe: Recipe) -> list[_Example]:
    counts = Counter(row.route for row in rows)
    return [
        _Example(
            both_ends(tokenizer, row.text, recipe.head, recipe.tail)[0],
            (float(row.needs_facts), float(row.needs_manner)),
            SHARES[row.route] * len(rows) / counts[row.route],
        )
        for row in rows
    ]


def _batches(
    examples: Sequence[_Example], recipe: Recipe, choice: random.Random
) -> Iterator[Sequence[_Example]]:
    """Shuffle, then put texts of like length together within stretches of twenty batches."""
    shuffled = choice.sample(examples, len(examples))
    batches = [
        batch
        for stretch in _cut(shuffled, 20 * recipe.batch)
        for batch in _cut(sorted(stretch, key=lambda one: len(one.ids)), recipe.batch)
    ]
    choice.shuffle(batches)
    return iter(batches)


def _loss(torch: Any, module: Any, batch: Sequence[_Example]) -> Any:
    longest = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        mask[row, : len(example.ids)] = True
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = module(ids, mask)
    targets = torch.tensor([example.targets for example in batch])[:, None, :]
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        logits.float(), targets.expand_as(logits), reduction="none"
    )
    weights = torch.tensor([example.weight for example in batch])
    return (losses.mean((1, 2)) * weights).mean()


def _optimiser(torch: Any, module: Any, recipe: Recipe, steps: int) -> tuple[Any, Any]:
    """Return AdamW (Loshchilov and Hutter 2019) with a warm-up over a hundred steps."""
    groups = [
        {"params": list(module.layers.parameters()), "lr": recipe.learning_rate},
        {"params": list(module.heads.parameters()), "lr": recipe.head_learning_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    warm_up = min(100, max(1, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / steps)
    )
    return optimiser, schedule


def _cut(examples: Sequence[_Example], size: int) -> Iterator[Sequence[_Example]]:
    return (examples[start : start + size] for start in range(0, len(examples), size))


def _stacked(arrays: Sequence[Any]) -> Floats:
    import numpy as np

    return np.stack(arrays).astype(np.float32)
