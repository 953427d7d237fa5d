"""Training learns, saves where it stands, and goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from backends.slots import SLOTS
from backends.starter.batches import LENGTHS, batches, train_tokenizer
from backends.starter.chat import SPECIAL
from backends.starter.exchange import Exchange
from backends.starter.folder import ARTEFACT

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


def test_words_of_a_question_may_be_read_in_two_parts_and_say_the_same() -> None:
    tokenizer = Tokenizer.from_file(str(ARTEFACT / "tokenizer.json"))
    whole, cut = (
        [list(row) for batch in made for row in batch.ids]
        for made in (
            batches(ROWS, tokenizer, tokens=400, asked_weight=0.0, seed=1, cut=share)
            for share in (0.0, 1.0)
        )
    )

    def said(rows: list[list[int]]) -> set[str]:
        return {tokenizer.decode(row, skip_special_tokens=True) for row in rows} - {""}

    texts = {"\n" + "\n\n".join(turn["content"] for turn in row.messages()) for row in ROWS}
    assert {text.rstrip("\n") for text in said(cut)} <= texts
    assert len(said(cut)) > 1
    assert {tuple(row) for row in whole} != {tuple(row) for row in cut}
