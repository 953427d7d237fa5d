"""Fit what says whether evidence is enough, and measure the order it is put in.

    python -m router.tuning.fit_evidence --data ../shared/data [--write]

Every figure about sufficiency comes from questions whose article was not fitted on. ``--write``
replaces the weights that ship; the same data on the same machine give the same ones. Run it in the
repository: some of the questions are the project's tests' own.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from agents.ranking import (
    LEXICAL_WEIGHT,
    PAIRS_WEIGHT,
    TOGETHER_WEIGHT,
    Weights,
    rank,
)
from agents.reading import Candidate
from agents.sufficiency import WEIGHTS, Sufficiency, features
from router.tuning.evidence_rows import Block, blocks, corpora, embedded
from router.tuning.training import default_models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_DATA = Path("../shared/data")
FOLDS = 8
C = 0.05
"""Inverse strength of the L2 penalty on standardised features; the figures hardly depend on it."""
NOWHERE = 1_000_000
"""Place of a document that was not found."""
COVERAGE = 0.91
"""Share of answerable SQuAD questions that shall be answered; the rest follows from it."""

_STEPS = (
    ("as the store orders them", None),
    ("closest sentence", Weights(0.0, 0.0, 0.0)),
    ("+ BM25", Weights(LEXICAL_WEIGHT, 0.0, 0.0)),
    ("+ words in one sentence", Weights(LEXICAL_WEIGHT, TOGETHER_WEIGHT, 0.0)),
    ("+ pairs of words", Weights(LEXICAL_WEIGHT, TOGETHER_WEIGHT, PAIRS_WEIGHT)),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A block with what was found for each of its questions."""

    block: Block
    found: Sequence[Sequence[Candidate]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="router.tuning.fit_evidence", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--models", type=Path, default=default_models())
    parser.add_argument("--write", action="store_true", help="replace the weights that ship")
    options = parser.parse_args(arguments)
    try:
        asked = ask(options.data, options.models)
    except OSError as error:
        sys.stderr.write(f"The data cannot be read: {error}.\n")
        return 1
    for one in asked:
        if all(one.block.answerable) or one.block.name == "company":
            sys.stdout.write(ranking_report(one))
    table = Table.of(asked)
    sys.stdout.write(sufficiency_report(table, table.cross_validated()))
    if options.write:
        with as_file(files("agents") / WEIGHTS) as path:
            path.write_text(as_json(table.fitted()), encoding="utf-8")
    return 0


def ask(data: Path, models: Path) -> list[Asked]:
    """Search for every question of every block."""
    from backends.minilm.encoder import bundled

    encoder = bundled(models, threads=1)
    built = corpora(encoder, data)
    return [
        Asked(
            block,
            list(built[block.corpus].search(block.texts, embedded(encoder, block), block.visible)),
        )
        for block in blocks(built, data)
    ]


def ranking_report(asked: Asked) -> str:
    """Say how each step of the ranking does on the answerable questions of a block."""
    lines = []
    for name, weights in _STEPS:
        places = [
            _place(_ordered(text, found, weights), relevant)
            for text, found, relevant in zip(
                asked.block.texts, asked.found, asked.block.relevant, strict=True
            )
            if relevant
        ]
        gains = [1 / math.log2(place + 2) if place < 10 else 0.0 for place in places]
        shares = "  ".join(
            f"hit@{k} {sum(place < k for place in places) / len(places):.4f}" for k in (1, 5, 30)
        )
        lines.append(
            f"{asked.block.name:10} {name:26} n={len(places)}"
            f"  nDCG@10 {sum(gains) / len(gains):.4f}  {shares}\n"
        )
    return "".join(lines)


def _ordered(text: str, found: Sequence[Candidate], weights: Weights | None) -> Sequence[Candidate]:
    return found if weights is None else rank(text, found, weights).candidates


def _place(ordered: Sequence[Candidate], relevant: str) -> int:
    """How many other documents come before the relevant one."""
    sources = list(dict.fromkeys(one.hit.passage.source for one in ordered))
    return sources.index(relevant) if relevant in sources else NOWHERE


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Features of all questions, one a row.

    Attributes:
        names: Of the features.
        values: Shape (questions, features).
        enough: Whether the evidence is enough, for each question.
        weights: Of each question in the fit.
        groups: What is never both fitted and tested on.
        kinds: Name of each question's block.
    """

    names: Sequence[str]
    values: NDArray[np.float64]
    enough: NDArray[np.bool_]
    weights: NDArray[np.float64]
    groups: NDArray[np.str_]
    kinds: NDArray[np.str_]

    @classmethod
    def of(cls, asked: Sequence[Asked]) -> Table:
        """Compute the features of what was found."""
        import numpy as np

        rows = [
            features(text, rank(text, found))
            for one in asked
            for text, found in zip(one.block.texts, one.found, strict=True)
        ]

        def each(of: Callable[[Block], Sequence[object]]) -> list[object]:
            return [value for one in asked for value in of(one.block)]

        return cls(
            names=list(rows[0]),
            values=np.array([list(row.values()) for row in rows]),
            enough=np.array(each(lambda block: block.answerable)),
            weights=np.array(each(lambda block: [block.weight] * len(block.texts))),
            groups=np.array(each(lambda block: block.groups)),
            kinds=np.array(each(lambda block: [block.name] * len(block.texts))),
        )

    def fitted(self, chosen: NDArray[np.bool_] | None = None) -> Sufficiency:
        """Fit a model on the chosen rows, all by default; rows of weight 0 never count."""
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        rows = self.weights > 0 if chosen is None else chosen & (self.weights > 0)
        values = self.values[rows]
        middle, spread = values.mean(axis=0), values.std(axis=0)
        model = LogisticRegression(C=C, max_iter=3000).fit(
            (values - middle) / spread, self.enough[rows], sample_weight=self.weights[rows]
        )
        weights = model.coef_[0] / spread
        bias = float(model.intercept_[0] - np.dot(weights, middle))
        return Sufficiency(bias, dict(zip(self.names, weights.tolist(), strict=True)))

    def cross_validated(self) -> NDArray[np.float64]:
        """Return the probability of each row by a model that saw nothing of its group."""
        import numpy as np
        from sklearn.model_selection import GroupKFold

        given = np.zeros(len(self.enough))
        for _, tested in GroupKFold(FOLDS).split(self.values, self.enough, self.groups):
            seen = ~np.isin(np.arange(len(given)), tested)
            model = self.fitted(seen)
            given[tested] = [
                model.probability(dict(zip(self.names, row, strict=True)))
                for row in self.values[tested]
            ]
        return given


def sufficiency_report(table: Table, given: NDArray[np.float64]) -> str:
    """Say what is answered at the threshold that answers ``COVERAGE`` of SQuAD."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    answerable = given[table.kinds == "squad"]
    threshold = float(np.quantile(answerable, 1 - COVERAGE))
    lines = [f"threshold {threshold:.3f}\n"]
    for kind in dict.fromkeys(table.kinds.tolist()):
        for enough in (True, False):
            of_kind = given[(table.kinds == kind) & (table.enough == enough)]
            if not of_kind.size:
                continue
            name = f"{kind}, {'answerable' if enough else 'unanswerable'}"
            line = f"{name:32} n={of_kind.size:4}  answered {np.mean(of_kind >= threshold):.3f}"
            if not enough:
                sure = (
                    answerable if kind != "company" else given[(table.kinds == kind) & table.enough]
                )
                truth = np.r_[np.ones(sure.size), np.zeros(of_kind.size)]
                line += f"  AUROC {roc_auc_score(truth, np.r_[sure, of_kind]):.3f}"
            lines.append(line + "\n")
    return "".join(lines)


def as_json(model: Sufficiency) -> str:
    """Write a model as `agents.sufficiency.shipped` reads it."""
    weights: Mapping[str, float] = {name: round(w, 4) for name, w in model.weights.items()}
    return json.dumps({"bias": round(model.bias, 4), "weights": weights}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
