"""Turns rows into tokens: what the model reads, and which of it it learns to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from backends.base import Message
from backends.errors import Misconfigured
from backends.finetune.examples import Example

Tokens: TypeAlias = list[int]

SILENT = -100
"""Label of a token that is read and not learnt (PyTorch's ``ignore_index``)."""


def prompt_tokens(tokenizer: Any, turns: Sequence[Message]) -> Tokens:
    """Return the tokens of a prompt, up to where the answer begins, as production sends it."""
    return _tokens(tokenizer, _rendered(tokenizer, turns, answering=True))


def encoded(tokenizer: Any, example: Example) -> dict[str, Tokens]:
    """Return ``input_ids`` and ``labels`` of a row; only the answer and its end are learnt.

    The prompt is tokenised by itself, as it will be when the model is asked.

    Raises:
        Misconfigured: The chat template writes an answer in another place than it asks for it.
    """
    before = _rendered(tokenizer, example.prompt, answering=True)
    turns = [*example.prompt, Message("assistant", example.answer)]
    whole = _rendered(tokenizer, turns, answering=False)
    if not whole.startswith(before):
        raise Misconfigured(
            "The base's chat template renders an answer otherwise than it asks for one, so the "
            "model would learn what it is never asked.",
            backend="fine-tuning",
            hint="Give the base a template whose prompt is the beginning of the conversation.",
        )
    asked = _tokens(tokenizer, before)
    answer = _to_its_end(_tokens(tokenizer, whole[len(before) :]), tokenizer.eos_token_id)
    return {"input_ids": asked + answer, "labels": [SILENT] * len(asked) + answer}


def _rendered(tokenizer: Any, turns: Sequence[Message], *, answering: bool) -> str:
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    return str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answering)
    )


def _tokens(tokenizer: Any, text: str) -> Tokens:
    return [int(one) for one in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _to_its_end(answer: Tokens, end: int | None) -> Tokens:
    """What a template writes behind the end of a turn is nothing that a model would say."""
    if end is None:
        return answer
    return answer[: answer.index(end) + 1] if end in answer else [*answer, end]
