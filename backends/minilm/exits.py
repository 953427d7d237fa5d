"""An encoder that reads questions with as few layers as it takes, in process.

Early exit (Teerapittayanon et al. 2016; for BERT, Xin et al. 2020, "DeeBERT"): whoever asks says
after the first layers whether what they show is enough. Long texts are read at both ends (head and
tail, Sun et al. 2019, "How to fine-tune BERT for text classification?"): instructions stand there,
and a pasted document lies between.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import Misconfigured
from backends.minilm.cache import built_graph
from backends.minilm.encoder import open_session, open_tokenizer
from backends.minilm.graph import lower_graph, upper_graph
from backends.minilm.packing import read_shape, unpack
from backends.minilm.turns import Turns
from backends.minilm.weights import WEIGHTS_SHA256, find_bundle
from backends.questions import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer


_CHARACTERS_A_TOKEN = 24
"""Characters of a text that are looked at for each token that may be read of it: longer words than
that are rare, and the tokenizer's time grows with what it is given."""


class EarlyExitEncoder:
    """The `QuestionEncoder` port, on threads of its own."""

    def __init__(self, stages: _Stages, turns: Turns) -> None:
        self._stages = stages
        self._turns = turns

    @classmethod
    @asynccontextmanager
    async def open(
        cls, cache_folder: Path, packed: bytes, *, timeout_s: float = 30.0, max_waiting: int = 256
    ) -> AsyncIterator[EarlyExitEncoder]:
        """Load the encoder for the length of the block.

        Args:
            cache_folder: Where the built graphs are kept (35 MB); made when absent.
            packed: A fine-tuned encoder, as `packing.pack` writes it.
            timeout_s: Longest wait for a turn.
            max_waiting: Readings that may wait at once; one more is refused as `Unavailable`.

        Raises:
            Misconfigured: The weights are missing or wrong, or the cache cannot be written.
        """
        async with Turns.open("classifier", timeout_s=timeout_s, max_waiting=max_waiting) as turns:
            yield cls(await turns.load(partial(_load, cache_folder, packed)), turns)

    @property
    def fingerprint(self) -> str:
        """Names the weights by their content."""
        return self._stages.fingerprint

    async def read(self, text: str, enough: Callable[[Reading], bool]) -> Reading:
        """Return the first reading that is enough, or the deepest.

        Args:
            text: Any text.
            enough: Says of all but the deepest reading whether it will do; called on a thread.

        Raises:
            TimedOut: Others kept the encoder busy for longer than the timeout.
            Unavailable: Too many readings are waiting already.
        """
        return (await self._turns.take([partial(self._stages.read, text, enough)]))[0]


@dataclass(frozen=True, slots=True)
class _Stages:
    fingerprint: str
    exits: tuple[int, ...]
    head: int
    tail: int
    sessions: Sequence[InferenceSession]
    tokenizer: Tokenizer

    def read(self, text: str, enough: Callable[[Reading], bool]) -> Reading:
        import numpy as np

        ids, spans = both_ends(self.tokenizer, text, self.head, self.tail)
        given = {"input_ids": np.array([ids], np.int64)}
        reading = None
        for session, layers in zip(self.sessions, self.exits, strict=True):
            hidden = session.run(["tokens"], given)[0]
            reading = Reading(hidden[0], spans, layers)
            if layers == self.exits[-1] or enough(reading):
                break
            given = {"hidden": hidden}
        assert reading is not None, "there is an exit at least"
        return reading


def _load(cache_folder: Path, packed: bytes) -> _Stages:
    sha256 = hashlib.sha256(packed).hexdigest()
    bundle = find_bundle()
    shape = read_shape(packed)
    ranges = [range(start, end) for start, end in pairwise((0, *shape.exits))]

    def build(layers: range) -> bytes:
        # Only where no intact graph lies in the cache: unpacking takes most of a start.
        weights = unpack(packed).weights
        try:
            if layers.start:
                return upper_graph(weights, "int8", layers)
            return lower_graph({**bundle.weights(), **weights}, "int8", layers)
        except KeyError as error:
            raise Misconfigured(
                f"The classifier's encoder lacks {error}.",
                backend="classifier",
                hint="Reinstall the package, or fit the classifier again (router.tuning.fit).",
            ) from error

    sessions = [
        open_session(
            built_graph(
                cache_folder,
                f"questions-{layers.start}-{layers.stop}",
                f"{sha256}{WEIGHTS_SHA256}",
                partial(build, layers),
            ),
            1,
        )
        for layers in ranges
    ]
    tokenizer = open_tokenizer(bundle.tokenizer())
    return _Stages(sha256[:16], shape.exits, shape.head, shape.tail, sessions, tokenizer)


def both_ends(
    tokenizer: Tokenizer, text: str, head: int, tail: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the ids that are read, special ones included, and where each stands in the text."""
    most = _CHARACTERS_A_TOKEN * (head + tail)
    if len(text) <= 2 * most:
        ids, spans = _pieces(tokenizer.encode(text), 0)
        if len(ids) <= head + tail:
            return _framed(tokenizer, ids, spans, [], [])
        return _framed(tokenizer, ids[:head], spans[:head], ids[-tail:], spans[-tail:])
    first, first_spans = _pieces(tokenizer.encode(text[:most]), 0)
    last, last_spans = _pieces(tokenizer.encode(text[-most:]), len(text) - most)
    return _framed(tokenizer, first[:head], first_spans[:head], last[-tail:], last_spans[-tail:])


def _pieces(encoding: Encoding, start: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Leave out the special tokens at both ends."""
    spans = [(start + first, start + last) for first, last in encoding.offsets[1:-1]]
    return encoding.ids[1:-1], spans


def _framed(
    tokenizer: Tokenizer,
    ids: list[int],
    spans: list[tuple[int, int]],
    tail: list[int],
    tail_spans: list[tuple[int, int]],
) -> tuple[list[int], list[tuple[int, int]]]:
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    assert start is not None, "BERT's tokenizer has both"
    assert end is not None, "BERT's tokenizer has both"
    nowhere = (0, 0)
    if not tail:
        return [start, *ids, end], [nowhere, *spans, nowhere]
    return [start, *ids, end, *tail, end], [nowhere, *spans, nowhere, *tail_spans, nowhere]
