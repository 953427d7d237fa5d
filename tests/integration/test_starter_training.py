"""Training learns, saves where it stands, and goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.slots import SLOTS
from backends.starter.batches import LENGTHS, batches, train_tokenizer
from backends.starter.chat import SPECIAL
from backends.starter.exchange import Exchange

torch = pytest.importorskip("torch", reason="training needs the extra finetune")

SIZE = 256 + len(SPECIAL) + len(SLOTS)
"""Bytes, marks of turns and slots: a tokenizer without a single merge."""

WORDS = ("lamp", "rope", "mill", "coat")
ROWS = [Exchange(f"Say {one}.", f"{one} {other}") for one in WORDS for other in WORDS] * 4
TEXTS = [" ".join((one, other, third)) for one in WORDS for other in WORDS for third in WORDS]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A tiny model and its tokenizer; compiling would take longer than all of the test."""
    from transformers import LlamaConfig, LlamaForCausalLM

    monkeypatch.setattr(torch, "compile", lambda step, **_: step)
    tokenizer = train_tokenizer(ROWS, TEXTS, SIZE)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config), tokenizer


def rows(_: int) -> Sequence[Exchange]:
    """Every chunk is the same."""
    return ROWS


def test_the_loss_falls_and_a_second_run_goes_on_from_the_checkpoint(
    parts: tuple[Any, Any], tmp_path: Path
) -> None:
    from backends.starter.training import Plan, Progress, train

    model, tokenizer = parts
    told: list[Progress] = []
    plan = Plan(steps=40, rate=1e-2, tokens=400, saved_every=1)
    ended = train(
        model, rows, tokenizer, plan, checkpoint=tmp_path / "c.pt", resume=False, told=told.append
    )
    assert ended.step == 40
    assert told[-1].loss < told[0].loss
    longer = Plan(steps=60, rate=1e-2, tokens=400, saved_every=1)
    again = train(
        model, rows, tokenizer, longer, checkpoint=tmp_path / "c.pt", resume=True, told=told.append
    )
    assert again.step == 60
    assert again.tokens < 2 * ended.tokens


def test_batches_have_few_shapes_and_weigh_only_what_is_written(parts: tuple[Any, Any]) -> None:
    _, tokenizer = parts
    made = list(batches(ROWS, tokenizer, tokens=400, asked_weight=0.0, seed=1))
    assert {batch.ids.shape[1] for batch in made} <= set(LENGTHS)
    learnt = made[0].ids[0][made[0].weights[0] > 0]
    text = tokenizer.decode([int(token) for token in learnt], skip_special_tokens=True)
    assert text in {row.assistant for row in ROWS}
