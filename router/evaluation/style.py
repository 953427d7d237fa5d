"""Tells how a text sounds: as the sources or as the targets of pairs that people have written.

Logistic regression on character n-grams within words, whose strengths are what style is made of:
function words, endings, punctuation, capitals (Koppel, Schler and Argamon 2009, "Computational
methods in authorship attribution"). The pairs measure only, and nothing is trained on them but
this.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

from router.errors import ConfigurationFault
from router.evaluation.held_out import StylePair, written_pairs

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS: Final = 10
_SEED: Final = 7


class Judging(Protocol):
    """What judges a style, see `StyleJudge`."""

    pairs: int
    accuracy: float

    def in_style(self, text: str, *, source: str = "") -> bool:
        """Whether a text sounds as the targets do."""
        ...


class StyleJudge:
    """Says whether a text is in a style.

    Each pair is also judged by a model that has not seen it: what comes out of a pair's source is
    judged by that one, so that no text is known by heart.

    Args:
        style: One of `router.evaluation.held_out.STYLES`.

    Attributes:
        accuracy: Share, 0..1, of the pairs' texts that a model calls what they are which has seen
            neither text of the pair (cross-validation over `FOLDS` parts of the pairs).
        pairs: How many pairs there are.

    Raises:
        ConfigurationFault: scikit-learn is not installed.
    """

    def __init__(self, style: str) -> None:
        check_learner()
        pairs = [pair for pair in written_pairs() if pair.style == style]
        folds = _folds(len(pairs))
        self._model = _fitted(pairs)
        apart = [
            _fitted([pair for pair, own in zip(pairs, folds, strict=True) if own != fold])
            for fold in range(FOLDS)
        ]
        self._apart = {pair.source: apart[own] for pair, own in zip(pairs, folds, strict=True)}
        self.pairs = len(pairs)
        right = [
            self.in_style(text, source=pair.source) is (text is pair.target)
            for pair in pairs
            for text in (pair.source, pair.target)
        ]
        self.accuracy = sum(right) / len(right)

    def in_style(self, text: str, *, source: str = "") -> bool:
        """Whether a text sounds as the targets do; ``source`` is what it was made from."""
        model = self._apart.get(source, self._model)
        return bool(model.predict([text])[0])


def check_learner() -> None:
    """Find out before anything is measured whether styles can be judged.

    Raises:
        ConfigurationFault: scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        raise ConfigurationFault(
            "Styles are judged by scikit-learn, which is not installed; it comes with the extra "
            "agentic-query-router[tune]."
        )


def _folds(size: int) -> list[int]:
    """In which part each pair is; sources and targets of a pair are never apart."""
    import numpy as np

    order = np.random.default_rng(_SEED).permutation(size)
    return [int(place) % FOLDS for place in order]


def _fitted(pairs: Sequence[StylePair]) -> Pipeline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    grams = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, lowercase=False
    )
    # Liblinear takes no threads, which cost more than they bring on so few texts.
    model = make_pipeline(grams, LogisticRegression(C=10, solver="liblinear", random_state=_SEED))
    texts = [pair.source for pair in pairs] + [pair.target for pair in pairs]
    return model.fit(texts, [False] * len(pairs) + [True] * len(pairs))
