"""Rows as batches of few fixed shapes, so that a compiled training step fits them all."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backends.starter.chat import END, PAD, pieces

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from backends.starter.exchange import Exchange

LENGTHS: Final = (32, 40, 64, 96, 160, 256, 416)
"""Rows are padded to the next of these; longer ones are left out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids [rows, length] int64, and what each position weighs as a target, float32.

    ``weights[r, t]`` is about predicting ``ids[r, t]``; 0 for padding.
    """

    ids: np.ndarray
    weights: np.ndarray


COMMON: Final = 200
"""So many words stay whole: they are half of what is read, and are seen in every spelling."""


def batches(
    rows: Sequence[Exchange],
    tokenizer: Tokenizer,
    *,
    tokens: int,
    asked_weight: float,
    seed: int,
    cut: float = 0.0,
) -> Iterator[Batch]:
    """Yield every row once, in batches of about ``tokens`` tokens.

    Args:
        rows: To learn.
        tokenizer: Of the model.
        tokens: Tokens of a batch, padding included.
        asked_weight: What a token that the model need not write weighs, 0..1.
        seed: Of the order, and of where words are cut.
        cut: Share of the words asked, 0..1, that are read in two parts, as words are that have a
            slip in them (after subword regularization, Kudo 2018, https://arxiv.org/abs/1804.10959).
    """
    import numpy as np

    rng = random.Random(seed)  # noqa: S311 - batches have to repeat
    by_length: dict[int, list[tuple[list[int], list[float]]]] = {length: [] for length in LENGTHS}
    parts = [_parts(row, cut, rng) for row in rows]
    for ids, weights in _encoded(parts, tokenizer, asked_weight):
        fitting = next((length for length in LENGTHS if len(ids) <= length), None)
        if fitting is not None:
            by_length[fitting].append((ids, weights))
    made: list[Batch] = []
    pad = tokenizer.token_to_id(PAD)
    for length, found in by_length.items():
        size = max(1, tokens // length)
        for at in range(0, len(found), size):
            group = found[at : at + size]
            ids_out = np.full((size, length), pad, dtype=np.int64)
            weights_out = np.zeros((size, length), dtype=np.float32)
            for place, (ids, weights) in enumerate(group):
                ids_out[place, : len(ids)] = ids
                weights_out[place, : len(ids)] = weights
            # A last group that is nearly empty would be a noisy step for the price of a full one.
            if len(group) * 4 >= size:
                made.append(Batch(ids_out, weights_out))
    rng.shuffle(made)
    yield from made


def _parts(row: Exchange, cut: float, rng: random.Random) -> list[tuple[str, bool]]:
    """Return the pieces of a row that are encoded apart, and of each whether it is learnt."""
    parts: list[tuple[str, bool]] = []
    for text, learnt in pieces(row.messages()):
        at = 0
        if not learnt and cut:
            for word in _LONG_WORD.finditer(text):
                if rng.random() < cut:
                    end = rng.randrange(word.start() + 1, word.end())
                    parts.append((text[at:end], learnt))
                    at = end
        parts.append((text[at:], learnt))
    return parts


def _encoded(
    parts: Sequence[Sequence[tuple[str, bool]]], tokenizer: Tokenizer, asked_weight: float
) -> Iterator[tuple[list[int], list[float]]]:
    flat = [text for part in parts for text, _ in part]
    encodings = iter(tokenizer.encode_batch(flat, add_special_tokens=False))
    for part in parts:
        ids: list[int] = []
        weights: list[float] = []
        for _, learnt in part:
            piece = next(encodings).ids
            ids += piece
            weights += [1.0 if learnt else asked_weight] * len(piece)
        yield ids, weights


def train_tokenizer(rows: Sequence[Exchange], texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer of exactly ``vocabulary`` tokens, slots included.

    The first letter of a word is a token of its own, but for the commonest words: "Refund",
    " refund" and "refund" then share all but one token, and a model that copies a word to where it
    needs another first letter, which small ones otherwise fail at, learns that once for all words.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    from backends.slots import SLOTS
    from backends.starter.chat import SPECIAL

    learnt = [*(turn["content"] for row in rows for turn in row.messages()), *texts]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(_first_letters(learnt)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SLOTS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(learnt, trainer)
    tokenizer.add_tokens([AddedToken(slot, special=False, normalized=False) for slot in SLOTS])
    assert tokenizer.get_vocab_size() == vocabulary
    assert tokenizer.token_to_id(PAD) == 0
    assert tokenizer.token_to_id(END) == 1
    return tokenizer


def _first_letters(texts: Sequence[str]) -> str:
    """Return the pattern of first letters, with the space before, of words that are not common."""
    counts = Counter(word.lower() for text in texts for word in _WORD.findall(text))
    common = "|".join(word for word, _ in counts.most_common(COMMON))
    letter = rf"(?!(?i:{common})(?!\p{{L}}))\p{{L}}(?=\p{{L}})"
    return rf" {letter}|(?<!\p{{L}}|\p{{L}}['’]){letter}"


_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_LONG_WORD: Final = re.compile(r"(?<![|\w])[^\W\d_]{4,}")
"""Behind a bar stands the role of a mark."""
