"""Chooses routes by semantic-router; run by `router.evaluation.peer` in an environment of its own.

It imports nothing of ours. Reads a folder (utterances.json, questions.json, and vectors.npy, which
has the vectors of the ones and then of the others) and prints one JSON object a question on
standard output: the route chosen, and the milliseconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

WARM_UPS = 10


def answers(folder: Path) -> Iterator[dict[str, Any]]:
    """Choose a route for every question, one after the other."""
    import numpy as np
    from semantic_router import IndexedRouter, Route  # type: ignore[import-not-found]
    from semantic_router.encoders import DenseEncoder  # type: ignore[import-not-found]

    utterances = json.loads((folder / "utterances.json").read_text(encoding="utf-8"))
    questions = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    texts = [*(one["text"] for one in utterances), *questions]
    known = dict(zip(texts, np.load(folder / "vectors.npy").tolist(), strict=True))

    class Given(DenseEncoder):  # type: ignore[misc]
        """Every vector comes with its text, so that both sides decide from the same ones."""

        def __call__(self, docs: list[str]) -> list[list[float]]:
            return [known[text] for text in docs]

    by_route: dict[str, list[str]] = {}
    for one in utterances:
        by_route.setdefault(one["route"], []).append(one["text"])
    routes = [Route(name=name, utterances=texts) for name, texts in by_route.items()]
    router = IndexedRouter(encoder=Given(name="given"), routes=routes)
    for text in questions[:WARM_UPS]:
        router(text)
    for text in questions:
        began = perf_counter()
        chosen = router(text)
        # Uncalibrated and without a threshold it always chooses; fitting never reorders routes.
        yield {"route": chosen.name, "ms": (perf_counter() - began) * 1000}


if __name__ == "__main__":
    for answer in answers(Path(sys.argv[1])):
        sys.stdout.write(json.dumps(answer) + "\n")
