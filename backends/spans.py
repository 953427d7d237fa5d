"""What a store keeps of a passage's sentences, so that no question waits for their vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PassageSentences:
    """The sentences of a passage with their vectors, made when it was stored.

    Attributes:
        model: Whose vectors these are; others cannot be compared with them.
        spans: (start, end) of each within the passage's text, as `backends.sentences.statements`
            cuts it.
        vectors: Shape (1 + len(spans), d), unit length or nearly: first of what stands above the
            passage (title and headings; the passage's own vector where that is nothing), then of
            each sentence. Pooled from the tokens of one pass over the passage and what stands
            above it, see `backends.minilm.encoder.Encoder.encode_spans`.
    """

    model: str
    spans: tuple[tuple[int, int], ...]
    vectors: NDArray[np.float32]
