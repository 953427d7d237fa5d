"""The training loop of the starter model and its adapters; needs the extra ``finetune``."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backends.starter.batches import Batch, batches

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from backends.starter.exchange import Exchange

CHUNK: Final = 3000
"""Rows that are composed at once."""

_WARM_UP: Final = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        steps: Batches to learn, unless time runs out before.
        minutes: Time to learn in; the schedule ends with it. Infinite when only steps count.
        rate: Highest learning rate.
        tokens: Tokens of a batch.
        asked_weight: What tokens of the question weigh beside those of the answer.
        seed: Of everything.
        cut: Share of the words of a question that are read in two parts.
        saved_every: Chunks of rows between two checkpoints.
    """

    steps: int
    minutes: float = math.inf
    rate: float = 2e-3
    tokens: int = 6144
    asked_weight: float = 0.1
    seed: int = 1
    cut: float = 0.0
    saved_every: int = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands."""

    step: int
    share: float
    loss: float
    tokens: int
    tokens_per_second: float


def train(
    model: Any,
    rows: Callable[[int], Sequence[Exchange]],
    tokenizer: Tokenizer,
    plan: Plan,
    *,
    checkpoint: Path,
    resume: bool = False,
    told: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Train the parameters of a causal model that want gradients; return how it ended.

    Args:
        model: Of transformers, or wrapped by PEFT.
        rows: Gives the n-th chunk of rows, the same for the same n.
        tokenizer: Of the model.
        plan: How.
        checkpoint: Written now and then; holds everything that ``resume`` needs.
        resume: Go on from the checkpoint, if there is one.
        told: Hears of progress every few steps.
    """
    import torch

    torch.manual_seed(plan.seed)
    optimizers = _optimizers(model, plan.rate)
    step, chunk, tokens, spent = 0, 0, 0, 0.0
    if resume and checkpoint.exists():
        step, chunk, tokens, spent = _restore(checkpoint, model, optimizers)
    learn = _compiled(model)
    started = time.monotonic() - spent
    recent: list[float] = []
    last = Progress(step, 0.0, math.nan, tokens, 0.0)
    counted, counted_at = tokens, time.monotonic()
    for number, batch in _chunks(rows, tokenizer, plan, chunk):
        passed = (time.monotonic() - started) / 60
        share = max(step / plan.steps, passed / plan.minutes)
        if share >= 1:
            break
        _set_rate(optimizers, _schedule(share, step))
        recent.append(_learn(learn, model, optimizers, batch))
        step, tokens = step + 1, tokens + batch.ids.size
        if step % 20 == 0:
            now = time.monotonic()
            speed = (tokens - counted) / (now - counted_at)
            counted, counted_at = tokens, now
            last = Progress(step, share, sum(recent) / len(recent), tokens, speed)
            recent.clear()
            told(last)
        if number != chunk:
            chunk = number
            if chunk % plan.saved_every == 0:
                spent = time.monotonic() - started
                _save(checkpoint, model, optimizers, (step, chunk, tokens, spent))
    return last


def _chunks(
    rows: Callable[[int], Sequence[Exchange]], tokenizer: Tokenizer, plan: Plan, first: int
) -> Iterator[tuple[int, Batch]]:
    for number in itertools.count(first):
        for batch in batches(
            rows(number),
            tokenizer,
            tokens=plan.tokens,
            asked_weight=plan.asked_weight,
            seed=plan.seed + number,
            cut=plan.cut,
        ):
            yield number, batch


def _compiled(model: Any) -> Callable[[Any, Any], Any]:
    import torch
    import torch.nn.functional as functions

    def loss(ids: Any, weights: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        each = functions.cross_entropy(
            logits.float().reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none"
        )
        wanted = weights[:, 1:].reshape(-1)
        return (each * wanted).sum() / wanted.sum()

    return torch.compile(loss, dynamic=False)  # type: ignore[no-any-return]


def _learn(
    learn: Callable[[Any, Any], Any], model: Any, optimizers: Sequence[Any], batch: Batch
) -> float:
    import torch

    loss = learn(torch.from_numpy(batch.ids), torch.from_numpy(batch.weights))
    loss.backward()
    wanted = [one for one in model.parameters() if one.requires_grad]
    torch.nn.utils.clip_grad_norm_(wanted, 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _optimizers(model: Any, rate: float) -> list[Any]:
    """Muon for the matrices of a whole model, AdamW for the rest and for adapters."""
    import torch

    wanted = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    adapter = any("lora_" in name for name, _ in wanted)
    inner = [one for name, one in wanted if one.ndim == 2 and "embed" not in name and not adapter]
    chosen = {id(one) for one in inner}
    rest = [one for _, one in wanted if id(one) not in chosen]
    made: list[Any] = [
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.97), weight_decay=0.01, fused=True)
    ]
    if inner:
        made.append(
            torch.optim.Muon(inner, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        )
    for optimizer in made:
        for group in optimizer.param_groups:
            group["highest"] = rate
    return made


def _schedule(share: float, step: int) -> float:
    """Warm up, then fall along a cosine to a fiftieth."""
    warm = min(1.0, (step + 1) / _WARM_UP)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def _set_rate(optimizers: Sequence[Any], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * factor


def _save(
    path: Path, model: Any, optimizers: Sequence[Any], where: tuple[int, int, int, float]
) -> None:
    import torch

    state = {
        "model": {name: one for name, one in model.named_parameters() if one.requires_grad},
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "where": list(where),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(path: Path, model: Any, optimizers: Sequence[Any]) -> tuple[int, int, int, float]:
    import torch

    state = torch.load(path, weights_only=True)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in state["model"].items():
            parameters[name].copy_(value)
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    step, chunk, tokens, spent = state["where"]
    return int(step), int(chunk), int(tokens), float(spent)


def describe(progress: Progress) -> str:
    """Return a line for people."""
    return json.dumps(
        {
            "step": progress.step,
            "done": round(progress.share, 3),
            "loss": round(progress.loss, 4),
            "tokens": progress.tokens,
            "tokens/s": round(progress.tokens_per_second),
        }
    )
