"""Lets a base and its adapters answer side by side, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from backends.base import Message
from backends.errors import Misconfigured
from backends.finetune.bases import open_base, open_tokenizer
from backends.finetune.encode import prompt_tokens

BASE: Final = ""
"""The name of the side that speaks without an adapter."""

_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        ended: False where it ran into its limit.
        tokens: As they were said, the end mark included.
    """

    text: str
    ended: bool
    tokens: tuple[int, ...] = ()


class Speaker:
    """One base with any number of adapters; answers are greedy, hence the same in each run.

    Args:
        base: Folder of the base model.
        adapters: Folders by name.

    Raises:
        Misconfigured: The base or an adapter cannot be opened, or they do not fit.
    """

    def __init__(self, base: Path, adapters: Mapping[str, Path]) -> None:
        self._torch: Any = import_module("torch")
        self._tokenizer = open_tokenizer(base)
        self._model = open_base(base)
        self._adapted = bool(adapters)
        peft: Any = import_module("peft")
        for name, folder in adapters.items():
            try:
                if isinstance(self._model, peft.PeftModel):
                    self._model.load_adapter(str(folder), adapter_name=name)
                else:
                    self._model = peft.PeftModel.from_pretrained(self._model, str(folder), name)
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise Misconfigured(
                    f"The adapter in {folder} cannot be opened on {base} ({type(error).__name__}).",
                    backend="fine-tuning",
                ) from error
        self._model.eval()

    def answers(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        adapter: str = BASE,
        max_tokens: int = 256,
        told: Callable[[int], None] = lambda _: None,
    ) -> list[Said]:
        """Return what each prompt is answered, in order.

        Args:
            adapter: One of those that were opened, or `BASE`.
            told: Is told how many answers there are by now.
        """
        ids = [prompt_tokens(self._tokenizer, prompt) for prompt in prompts]
        answers: list[Said | None] = [None] * len(ids)
        # Prompts of like length share a batch, as each is filled up to its longest.
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        with self._speaking(adapter):
            for start in range(0, len(order), _BATCH):
                places = order[start : start + _BATCH]
                said = self._generate([ids[place] for place in places], max_tokens)
                for place, one in zip(places, said, strict=True):
                    answers[place] = one
                told(start + len(places))
        return [one for one in answers if one is not None]

    def surprise(
        self, prompts: Sequence[Sequence[Message]], said: Sequence[Said], *, adapter: str = BASE
    ) -> list[float]:
        """Return how surprised it is by these answers, not empty: mean nats per token of each."""
        with self._speaking(adapter), self._torch.inference_mode():
            return [
                self._loss(prompt_tokens(self._tokenizer, prompt), one.tokens)
                for prompt, one in zip(prompts, said, strict=True)
            ]

    def _speaking(self, adapter: str) -> AbstractContextManager[Any]:
        if adapter:
            self._model.set_adapter(adapter)
            return nullcontext()
        disabled: AbstractContextManager[Any] = (
            self._model.disable_adapter() if self._adapted else nullcontext()
        )
        return disabled

    def _generate(self, prompts: Sequence[list[int]], max_tokens: int) -> list[Said]:
        torch, pad = self._torch, self._tokenizer.pad_token_id
        longest = max(map(len, prompts))
        ids = torch.full((len(prompts), longest), pad)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        end = self._tokenizer.eos_token_id
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                do_sample=False,
                max_new_tokens=max_tokens,
                pad_token_id=pad,
                eos_token_id=end,
                # What a base's own generation_config wishes for sampling means nothing here.
                temperature=None,
                top_p=None,
                top_k=None,
            )
        return [self._said(row[longest:].tolist(), end) for row in made]

    def _said(self, tokens: list[int], end: int) -> Said:
        ended = end in tokens
        own = tokens[: tokens.index(end)] if ended else tokens
        text = self._tokenizer.decode(own, skip_special_tokens=True)
        return Said(text, ended, (*own, end) if ended else tuple(own))

    def _loss(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        torch = self._torch
        ids = torch.tensor([[*prompt, *answer]], device=self._model.device)
        logits = self._model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
        return float(torch.nn.functional.cross_entropy(logits, ids[0, len(prompt) :]))
