"""Two logistic heads at each exit of an encoder, over the mean of its tokens; numpy only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.policy import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.questions import Reading

    Floats = NDArray[np.float32]

AXES = ("facts", "manner")
"""Rows of every array below."""


class InvalidHeads(ValueError):
    """Weights that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the classifier says of one question.

    Attributes:
        needs_facts: Calibrated probability, 0..1.
        needs_manner: Calibrated probability, 0..1.
        features: ``logit.facts`` and ``logit.manner`` before calibration, and ``layers``, how many
            were read; enough to decide again under another policy (`Heads.replay`).
        words: What the question's words added to the two logits, the weightiest first. The heads
            are linear over a mean of tokens, so that these are exact shares, of vectors that have
            seen their neighbours.
    """

    needs_facts: float
    needs_manner: float
    features: Mapping[str, float]
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Weights of the heads for facts and manner at each exit.

    Attributes:
        encoder: Fingerprint of the encoder they belong to.
        exits: After how many layers each stands, rising.
        weights: Shape (exits, 2, d).
        biases: Shape (exits, 2).
        calibration: Slope and intercept, shape (exits, 2, 2), so that the probability is
            sigmoid(slope * logit + intercept) (Platt 1999).
        sure: For each exit and axis the calibrated probability up to which, and that from which,
            deeper layers were not seen to change the answer; shape (exits, 2, 2).
        fingerprint: Hash of all of it.
    """

    encoder: str
    exits: tuple[int, ...]
    weights: Floats = field(repr=False)
    biases: Floats = field(repr=False)
    calibration: Floats = field(repr=False)
    sure: Floats = field(repr=False)
    fingerprint: str

    def enough(self, reading: Reading, thresholds: tuple[float, float] = (0.5, 0.5)) -> bool:
        """Whether a reading at an exit says so much that deeper layers would not change it.

        Where facts are surely not needed, manner changes nothing about the route.

        Args:
            reading: At an exit.
            thresholds: Of facts and of manner. The bounds were fitted for .5; for others they
                move away by as much, in units of the logit.
        """
        number = self._exit(reading.layers)
        probabilities = self._probabilities(self._logits(reading, number), number)
        return self.settled(number, probabilities, thresholds)

    def settled(
        self, number: int, probabilities: tuple[float, float], thresholds: tuple[float, float]
    ) -> bool:
        """Whether probabilities of facts and of manner at an exit, counted from 0, are `enough`."""
        (no_facts, facts), (no_manner, manner) = (
            _beyond(_logit(probability), bounds, _logit(threshold))
            for probability, bounds, threshold in zip(
                probabilities, self.sure[number].tolist(), thresholds, strict=True
            )
        )
        return no_facts or (facts and (no_manner or manner))

    def score(self, reading: Reading, text: str) -> Scores:
        """Return the probabilities for a reading of ``text``, and what they rest on."""
        number = self._exit(reading.layers)
        logits = self._logits(reading, number)
        facts, manner = self._probabilities(logits, number)
        features = {
            "logit.facts": float(logits[0]),
            "logit.manner": float(logits[1]),
            "layers": float(reading.layers),
        }
        return Scores(facts, manner, features, self._words(reading, text, number))

    def replay(self, features: Mapping[str, float]) -> tuple[float, float]:
        """Return the probabilities of facts and of manner again from recorded features.

        Raises:
            InvalidHeads: They were recorded by heads with other exits.
        """
        import numpy as np

        number = self._exit(int(features["layers"]))
        logits = np.array([features["logit.facts"], features["logit.manner"]], np.float32)
        return self._probabilities(logits, number)

    def _exit(self, layers: int) -> int:
        if layers not in self.exits:
            raise InvalidHeads(f"there is no head after layer {layers}, only after {self.exits}")
        return self.exits.index(layers)

    def _logits(self, reading: Reading, number: int) -> Floats:
        pooled = reading.tokens.mean(axis=0)
        logits: Floats = self.weights[number] @ pooled + self.biases[number]
        return logits

    def _probabilities(self, logits: Floats, number: int) -> tuple[float, float]:
        slopes, intercepts = self.calibration[number].T
        facts, manner = (slopes * logits + intercepts).tolist()
        return _sigmoid(facts), _sigmoid(manner)

    def _words(self, reading: Reading, text: str, number: int) -> tuple[Word, ...]:
        """Share the logit out among words; pieces of one word count together."""
        shares = (reading.tokens @ self.weights[number].T / len(reading.tokens)).astype(float)
        shares -= shares.mean(axis=0)
        found: list[tuple[int, int, float, float]] = []
        for (start, end), (facts, manner) in zip(reading.spans, shares.tolist(), strict=True):
            if start == end:
                continue
            if found and found[-1][1] == start and text[start - 1 : end].isalnum():
                first, _, more_facts, more_manner = found[-1]
                found[-1] = (first, end, more_facts + facts, more_manner + manner)
            else:
                found.append((start, end, facts, manner))
        words = [
            Word(text[start : min(end, start + _LETTERS)], round(facts, 4), round(manner, 4))
            for start, end, facts, manner in found
            if text[start].isalnum()
        ]
        words.sort(key=lambda word: -max(abs(word.facts), abs(word.manner)))
        # The weightiest of equal words stands for them.
        distinct = {word.text.casefold(): word for word in reversed(words)}
        return tuple(word for word in words if distinct[word.text.casefold()] is word)[:_WORDS]

    def dump(self) -> bytes:
        """Write the heads as safetensors; the same heads give the same bytes."""
        from safetensors.numpy import save

        tensors = {name: getattr(self, name) for name in _TENSORS}
        # One key only: the order of several is not fixed.
        about = json.dumps({"encoder": self.encoder, "exits": self.exits})
        serialised: bytes = save(tensors, metadata={"heads": about})
        return serialised

    @classmethod
    def build(cls, encoder: str, exits: tuple[int, ...], **tensors: Floats) -> Heads:
        """Put heads together and name them by their content."""
        import numpy as np

        digest = hashlib.sha256(json.dumps([encoder, exits]).encode())
        rounded = {name: np.ascontiguousarray(tensors[name], np.float32) for name in _TENSORS}
        for array in rounded.values():
            digest.update(array.tobytes())
        return cls(encoder=encoder, exits=exits, fingerprint=digest.hexdigest()[:16], **rounded)

    @classmethod
    def load(cls, content: bytes) -> Heads:
        """Read what `dump` wrote.

        Raises:
            InvalidHeads: It is no such file.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors: dict[str, Any] = load(content)
            about = json.loads(_metadata(content)["heads"])
            exits = tuple(int(layers) for layers in about["exits"])
            heads = cls.build(str(about["encoder"]), exits, **tensors)
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidHeads(f"these are no classifier heads: {error}") from error
        _check(heads)
        return heads


_TENSORS = ("weights", "biases", "calibration", "sure")

_WORDS = 6
"""Words that are named at most."""

_LETTERS = 40
"""What is shown of a longer one."""


def _metadata(content: bytes) -> dict[str, str]:
    """Read the header, which the library's loader from memory does not give out."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def _check(heads: Heads) -> None:
    import numpy as np

    exits, shapes = len(heads.exits), {name: getattr(heads, name).shape for name in _TENSORS}
    width = heads.weights.shape[-1]
    expected = {
        "weights": (exits, len(AXES), width),
        "biases": (exits, len(AXES)),
        "calibration": (exits, len(AXES), 2),
        "sure": (exits, len(AXES), 2),
    }
    if shapes != expected:
        raise InvalidHeads(f"these heads have shapes {shapes}, expected {expected}")
    if list(heads.exits) != sorted(set(heads.exits)):
        raise InvalidHeads(f"these heads stand after layers {heads.exits}, which do not rise")
    infinite = [name for name in _TENSORS if not np.isfinite(getattr(heads, name)).all()]
    if infinite:
        raise InvalidHeads(f"these heads have {infinite[0]} that are not finite")


def _beyond(logit: float, bounds: tuple[float, float], threshold: float) -> tuple[bool, bool]:
    """Return whether it lies surely below and surely above the threshold, all as logits."""
    low, high = bounds
    moved = abs(threshold)
    return logit <= _logit(low) - moved, logit >= _logit(high) + moved


def _logit(probability: float) -> float:
    if not 0 < probability < 1:
        return math.copysign(math.inf, probability - 0.5)
    return math.log(probability / (1 - probability))


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return 1 - 1 / (1 + math.exp(logit))
