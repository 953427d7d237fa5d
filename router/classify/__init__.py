"""From a question to two calibrated probabilities."""

from router.classify.classifier import (
    Classifier,
    HeadsClassifier,
    shipped_encoder,
    shipped_heads,
    shipped_policy,
)
from router.classify.heads import Heads, InvalidHeads, Scores

__all__ = [
    "Classifier",
    "Heads",
    "HeadsClassifier",
    "InvalidHeads",
    "Scores",
    "shipped_encoder",
    "shipped_heads",
    "shipped_policy",
]
