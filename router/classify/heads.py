"""Two logistic heads over an embedding, surface features and hashed words; numpy only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.classify.features import ngram_features, surface_features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Vector

EMBEDDING_SCALE = 3.0
NGRAM_SCALE = 6.0
NGRAM_BUCKETS = 4_096
"""Scales put the three groups on a footing, so that one strength of regularisation fits them all;
chosen by cross-validation over sources."""

_NGRAM = "ngram:"


class InvalidHeads(ValueError):
    """Weights that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the classifier says of one question.

    Attributes:
        needs_facts: Calibrated probability, 0..1.
        needs_manner: Calibrated probability, 0..1.
        features: Named features that are not 0, the embedding left out; together with the
            embedding they give the same scores again (`Heads.score`).
    """

    needs_facts: float
    needs_manner: float
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Weights of the heads for facts (row 0) and manner (row 1).

    Attributes:
        model: Name of the embedding model they were fitted on.
        embedding: Shape (2, d).
        surface: Shape (2, number of surface features), in the order of ``names``.
        ngrams: Shape (2, buckets).
        calibration: Slope, intercept and Platt's a and b folded into one: shape (2, 2), so that
            the probability is sigmoid(slope * logit + intercept) (Platt 1999).
        names: Names of the surface features.
        fingerprint: Hash of all of it.
    """

    model: str
    embedding: NDArray[np.float32]
    surface: NDArray[np.float32]
    ngrams: NDArray[np.float32]
    calibration: NDArray[np.float32]
    names: tuple[str, ...]
    fingerprint: str

    def fits(self, embedding_model: str) -> bool:
        """Whether they were fitted on that model's vectors, under its long or its short name."""
        return _bare(self.model) == _bare(embedding_model)

    def features(self, text: str) -> dict[str, float]:
        """Return the features of a question that are not 0, by name."""
        found = {name: value for name, value in surface_features(text).items() if value}
        ngrams = ngram_features(text, self.ngrams.shape[1])
        return found | {f"{_NGRAM}{place}": value for place, value in ngrams.items()}

    def score(self, embedding: Vector, features: Mapping[str, float]) -> Scores:
        """Return the probabilities for an embedding and features, fresh or recorded.

        Args:
            embedding: Unit length, shape (d,).
            features: As `features` returns them; what is absent counts as 0.

        Raises:
            InvalidHeads: The embedding has another length than the heads were fitted on.
        """
        import numpy as np

        if embedding.shape != self.embedding.shape[1:]:
            raise InvalidHeads(
                f"the embedding has shape {embedding.shape}, "
                f"the heads need {self.embedding.shape[1:]}"
            )
        surface = np.array([features.get(name, 0.0) for name in self.names], np.float32)
        logits = EMBEDDING_SCALE * (self.embedding @ embedding) + self.surface @ surface
        places = [int(name[len(_NGRAM) :]) for name in features if name.startswith(_NGRAM)]
        if places:
            values = np.array([features[f"{_NGRAM}{place}"] for place in places], np.float32)
            logits = logits + NGRAM_SCALE * (self.ngrams[:, places] @ values)
        slopes, intercepts = self.calibration.T
        facts, manner = (slopes * logits + intercepts).tolist()
        return Scores(_sigmoid(facts), _sigmoid(manner), features)

    def dump(self) -> bytes:
        """Write the heads as safetensors; the same heads give the same bytes."""
        from safetensors.numpy import save

        tensors = {name: getattr(self, name) for name in _TENSORS}
        # One key only: the order of several is not fixed.
        about = json.dumps({"model": self.model, "names": self.names})
        serialised: bytes = save(tensors, metadata={"heads": about})
        return serialised

    @classmethod
    def build(cls, model: str, names: tuple[str, ...], **tensors: NDArray[np.float32]) -> Heads:
        """Put heads together and name them by their content."""
        import numpy as np

        digest = hashlib.sha256(json.dumps([model, names]).encode())
        rounded = {name: np.ascontiguousarray(tensors[name], np.float32) for name in _TENSORS}
        for array in rounded.values():
            digest.update(array.tobytes())
        return cls(model=model, names=names, fingerprint=digest.hexdigest()[:16], **rounded)

    @classmethod
    def load(cls, content: bytes) -> Heads:
        """Read what `dump` wrote.

        Raises:
            InvalidHeads: It is no such file, or it was fitted on other surface features.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            tensors: dict[str, Any] = load(content)
            about = json.loads(_metadata(content)["heads"])
            heads = cls.build(str(about["model"]), tuple(about["names"]), **tensors)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InvalidHeads(f"these are no classifier heads: {error}") from error
        _check(heads)
        return heads


_TENSORS = ("embedding", "surface", "ngrams", "calibration")


def _metadata(content: bytes) -> dict[str, str]:
    """Read the header, which the library's loader from memory does not give out."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def _check(heads: Heads) -> None:
    known = set(surface_features(""))
    unknown = [name for name in heads.names if name not in known]
    if unknown:
        raise InvalidHeads(f"the heads use the feature {unknown[0]!r}, which is not computed here")


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return 1 - 1 / (1 + math.exp(logit))


def _bare(model: str) -> str:
    """Leave out the organisation: servers call the same model by its long or its short name."""
    return model.rsplit("/", 1)[-1].lower()
