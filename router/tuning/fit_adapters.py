"""Fit what says whether a question is of the kind that an adapter's examples are.

    python -m router.tuning.fit_adapters [--write]

The questions are written ones of ``examples/adapters.jsonl``: each adapter has examples and other
questions of the same kind, and some questions are of no adapter's kind. They are asked of pools of
one to five adapters, with their own adapter among them and without it. Every figure comes from
adapters and outside questions that were not fitted on. ``--write`` replaces the weights that ship.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.choosing import LIKELY, SURE
from agents.likeness import WEIGHTS, Likeness, nearest, parts
from router.tuning.rows import example_lines
from router.tuning.training import default_models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Vectors
    from backends.minilm.encoder import Encoder

FOLDS: Final = 4
POOLS: Final = 4
"""Pools of each kind that every question is asked of."""
LARGEST: Final = 5
C: Final = 1.0
SEED: Final = 20_261
HALF: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """An adapter's examples and questions of its kind, as vectors; ``name`` is empty for none."""

    name: str
    examples: Vectors | None
    asked: Sequence[Vectors]


@dataclass(frozen=True, slots=True)
class Row:
    """A question asked of a pool: what was measured of the nearest, and whether that is right."""

    features: Mapping[str, float]
    right: bool
    kind: str
    weight: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="router.tuning.fit_adapters", description=__doc__)
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--write", action="store_true", help="replace the weights that ship")
    options = parser.parse_args(arguments)
    from backends.minilm.encoder import bundled

    kinds = read(bundled(options.models, threads=1))
    sys.stdout.write(report(cross_validated(kinds)))
    if options.write:
        fitted = fit(training_rows(kinds))
        with as_file(files("agents") / WEIGHTS) as path:
            path.write_text(as_json(fitted), encoding="utf-8")
    return 0


def read(encoder: Encoder) -> list[Kind]:
    """Read the written questions and embed them as the chooser does."""
    written = [json.loads(line) for line in example_lines("adapters")]
    kinds = []
    for name in dict.fromkeys(row["adapter"] for row in written):
        ours = [row for row in written if row["adapter"] == name]
        examples = [row["text"] for row in ours if row["example"]]
        asked = [row["text"] for row in ours if not row["example"]]
        kinds.append(
            Kind(
                name or "",
                encoder.encode(examples) if examples else None,
                [encoder.encode(list(parts(question))) for question in asked],
            )
        )
    return kinds


def training_rows(kinds: Sequence[Kind]) -> list[Row]:
    """Return the rows that what ships is fitted on."""
    return list(rows(kinds, random.Random(SEED)))  # noqa: S311 - which pools, no secret


def rows(kinds: Sequence[Kind], draw: random.Random) -> Iterator[Row]:
    """Ask every question of pools with its own adapter and without; outside ones of any."""
    adapters = [kind for kind in kinds if kind.examples is not None]
    for kind in kinds:
        others = [each for each in adapters if each is not kind]
        own = [kind] if kind.examples is not None else []
        for asked in kind.asked:
            for _ in range(POOLS):
                if own:
                    pool = own + draw.sample(others, draw.randint(0, min(LARGEST - 1, len(others))))
                    yield _row(asked, pool, own, "own adapter there", draw)
                pool = draw.sample(others, draw.randint(1, min(LARGEST, len(others))))
                yield _row(asked, pool, own, "own adapter not there" if own else "of no kind", draw)


def fit(found: Sequence[Row]) -> Likeness:
    """Fit the logistic model on rows, each with its weight."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    names = list(found[0].features)
    values = np.array([[row.features[name] for name in names] for row in found])
    right = np.array([row.right for row in found])
    weights = np.array([row.weight for row in found])
    middle, spread = values.mean(axis=0), values.std(axis=0)
    model = LogisticRegression(C=C, max_iter=3000).fit(
        (values - middle) / spread, right, sample_weight=weights
    )
    coefficients = model.coef_[0] / spread
    bias = float(model.intercept_[0] - np.dot(coefficients, middle))
    return Likeness(bias, dict(zip(names, coefficients.tolist(), strict=True)))


def cross_validated(kinds: Sequence[Kind]) -> list[tuple[Row, float]]:
    """Return each row with its probability by a model that saw none of its adapters."""
    draw = random.Random(SEED)  # noqa: S311 - which fold, no secret
    order = [kind for kind in kinds if kind.examples is not None]
    draw.shuffle(order)
    outside = [kind for kind in kinds if kind.examples is None]
    judged = []
    for fold in range(FOLDS):
        tested = [*order[fold::FOLDS], *_part(outside, fold, tested=True)]
        seen = [each for each in order if each not in tested]
        model = fit(list(rows([*seen, *_part(outside, fold, tested=False)], draw)))
        for row in rows(tested, draw):
            judged.append((row, model.probability(row.features)))  # noqa: PERF401 - reads better
    return judged


def report(judged: Sequence[tuple[Row, float]]) -> str:
    """Say how often the nearest adapter is taken, and how often that is right."""
    import numpy as np

    given = np.array([probability for _, probability in judged])
    right = np.array([row.right for row, _ in judged])
    kinds = np.array([row.kind for row, _ in judged])
    weights = np.array([row.weight for row, _ in judged])
    lines = [
        f"{len(judged)} questions of pools; held out by adapter, {FOLDS} folds\n",
        f"right decisions {np.average((given >= LIKELY) == right, weights=weights):.3f}"
        f"  (always the nearest {np.average(right, weights=weights):.3f}, "
        f"never {np.average(~right, weights=weights):.3f})"
        f"  Brier {np.average((given - right) ** 2, weights=weights):.3f}"
        f"  calibration error {_calibration(given, right, weights):.3f}\n",
    ]
    for threshold in (LIKELY, SURE):
        for kind in dict.fromkeys(kinds.tolist()):
            of_kind = kinds == kind
            taken = given[of_kind] >= threshold
            lines.append(
                f"from {threshold:.1f}  {kind:22} n={of_kind.sum():4}"
                f"  right adapter {np.mean(taken & right[of_kind]):.3f}"
                f"  wrong adapter {np.mean(taken & ~right[of_kind]):.3f}"
                f"  default {np.mean(~taken):.3f}\n"
            )
    return "".join(lines)


def as_json(model: Likeness) -> str:
    """Write a model as `agents.likeness.shipped` reads it."""
    weights = {name: round(weight, 4) for name, weight in model.weights.items()}
    return json.dumps({"bias": round(model.bias, 4), "weights": weights}, indent=2) + "\n"


def _row(
    asked: Vectors, pool: Sequence[Kind], own: Sequence[Kind], kind: str, draw: random.Random
) -> Row:
    examples = [each.examples for each in pool if each.examples is not None]
    # Some teams write many examples, some one.
    some = [all_[draw.sample(range(len(all_)), draw.randint(1, len(all_)))] for all_ in examples]
    found = nearest(asked, some)
    assert found is not None, "no pool is empty"
    right = pool[found.index] in own
    return Row(found.features, right, kind, 1.0 if kind == "own adapter there" else HALF)


def _part(outside: Sequence[Kind], fold: int, *, tested: bool) -> list[Kind]:
    """The outside questions of a fold, or those of the others."""
    return [
        Kind("", None, [q for at, q in enumerate(kind.asked) if (at % FOLDS == fold) is tested])
        for kind in outside
    ]


def _calibration(
    given: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float:
    """Expected calibration error over ten equal bins."""
    import numpy as np

    bins = np.minimum((given * 10).astype(int), 9)
    error = 0.0
    for one in range(10):
        inside = bins == one
        if inside.any():
            gap = np.average(given[inside], weights=weights[inside]) - np.average(
                right[inside], weights=weights[inside]
            )
            error += abs(float(gap)) * float(weights[inside].sum() / weights.sum())
    return error


if __name__ == "__main__":
    sys.exit(main())
