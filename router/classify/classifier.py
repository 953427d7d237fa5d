"""The classifier that ships: an encoder, its heads and a policy from the package."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from backends.errors import Misconfigured
from router.classify.heads import Heads, InvalidHeads, Scores
from router.policy import InvalidPolicy, Policy

if TYPE_CHECKING:
    from backends.questions import QuestionEncoder, Reading


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
        thresholds: Of facts and of manner in the policy that will decide: near them, no early
            exit is enough.

    Raises:
        Misconfigured: The heads belong to another encoder.
    """

    def __init__(
        self,
        encoder: QuestionEncoder,
        heads: Heads,
        thresholds: tuple[float, float] = (0.5, 0.5),
    ) -> None:
        if heads.encoder != encoder.fingerprint:
            raise Misconfigured(
                f"The heads belong to encoder {heads.encoder}, not to {encoder.fingerprint}.",
                backend="classifier",
                hint="Reinstall the package, or fit the classifier again (router.tuning.fit).",
            )
        self._encoder = encoder
        self._heads = heads
        self._thresholds = thresholds

    async def classify(self, question: str) -> Scores:
        """Return two calibrated probabilities and what they rest on."""
        reading = await self._encoder.read(question, self._enough)
        return self._heads.score(reading, question)

    def _enough(self, reading: Reading) -> bool:
        return self._heads.enough(reading, self._thresholds)


def shipped_encoder() -> bytes:
    """Read the packed encoder that comes with the package; raises as `shipped_heads`."""
    packed = _shipped("encoder.safetensors")
    # Before anything is built of it.
    if hashlib.sha256(packed).hexdigest()[:16] != shipped_heads().encoder:
        raise _damaged("its encoder is not the one that its heads were fitted with")
    return packed


def shipped_heads() -> Heads:
    """Read the heads that come with the package.

    Raises:
        Misconfigured: The package is damaged.
    """
    try:
        return Heads.load(_shipped("heads.safetensors"))
    except InvalidHeads as error:
        raise _damaged(str(error)) from error


def shipped_policy() -> Policy:
    """Read the policy that comes with the package; raises as `shipped_heads`."""
    try:
        return Policy.from_json(_shipped("policy.json").decode())
    except (InvalidPolicy, UnicodeError) as error:
        raise _damaged(str(error)) from error


def _shipped(name: str) -> bytes:
    try:
        return (files("router.classify") / "artefact" / name).read_bytes()
    except OSError as error:
        raise _damaged(f"{name} cannot be read: {error.strerror}") from error


def _damaged(problem: str) -> Misconfigured:
    return Misconfigured(
        f"The classifier that ships is damaged: {problem}.",
        backend="classifier",
        hint="Reinstall the package.",
    )
