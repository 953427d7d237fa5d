"""The classifier that ships: an encoder, its heads and a policy from the package."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from backends.errors import Misconfigured
from router.classify.heads import Heads, Scores
from router.policy import Policy

if TYPE_CHECKING:
    from backends.questions import QuestionEncoder


class Classifier(Protocol):
    """Says what a question needs."""

    async def classify(self, question: str) -> Scores:
        """Return two calibrated probabilities for a standalone question.

        Raises:
            BackendError: What reads the question is too busy.
        """
        ...


class HeadsClassifier:
    """`Classifier` over an encoder and the heads at its exits.

    Args:
        encoder: Reads the questions.
        heads: Fitted weights.

    Raises:
        Misconfigured: The heads belong to another encoder.
    """

    def __init__(self, encoder: QuestionEncoder, heads: Heads) -> None:
        if heads.encoder != encoder.fingerprint:
            raise Misconfigured(
                f"The heads belong to encoder {heads.encoder}, not to {encoder.fingerprint}.",
                backend="classifier",
                hint="Reinstall the package, or fit the classifier again (router.tuning.fit).",
            )
        self._encoder = encoder
        self._heads = heads

    async def classify(self, question: str) -> Scores:
        """Return two calibrated probabilities and what they rest on."""
        reading = await self._encoder.read(question, self._heads.enough)
        return self._heads.score(reading, question)


def shipped_encoder() -> bytes:
    """Read the packed encoder that comes with the package."""
    return (files("router.classify") / "artefact" / "encoder.safetensors").read_bytes()


def shipped_heads() -> Heads:
    """Read the heads that come with the package."""
    return Heads.load((files("router.classify") / "artefact" / "heads.safetensors").read_bytes())


def shipped_policy() -> Policy:
    """Read the policy that comes with the package."""
    text = (files("router.classify") / "artefact" / "policy.json").read_text(encoding="utf-8")
    return Policy.from_json(text)
