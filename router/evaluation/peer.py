"""Asks the released semantic-router the same questions, over the vectors of the same encoder.

It needs an older client of OpenAI than this project's tests, so uv runs it in an environment of
its own (`router.evaluation.semantic_router_side`), which is made on first use and then kept by uv.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from router.policy import Route

if TYPE_CHECKING:
    from backends.base import Vectors
    from router.tuning.rows import Row

PACKAGE: Final = "semantic-router==1.1.1"

_LIMIT_S: Final = 1_800.0
"""For installing, and for asking; both together are a minute where nothing is slow."""


class NoPeer(Exception):
    """It cannot be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What it is given.

    Attributes:
        train: Its routes' utterances.
        rows: What it is asked.
        vectors: Of both, in that order: shape (rows, d).
    """

    train: Sequence[Row]
    rows: Sequence[Row]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Answered:
    """Where it sends each row, and the milliseconds of each choice, the embedding left out."""

    routes: Sequence[Route]
    ms: Sequence[float]
    version: str


def check_semantic_router() -> None:
    """Install it unless it was installed before.

    Raises:
        NoPeer: It cannot be installed.
    """
    _run("-c", "import semantic_router", doing="be installed here")


def ask_semantic_router(asked: Asked) -> Answered:
    """Run it as its documentation sets it up, every training row an utterance of its route.

    Raises:
        NoPeer: It cannot be installed, or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        _hand_over(Path(folder), asked)
        side = files("router.evaluation") / "semantic_router_side.py"
        with as_file(side) as script:
            # Without -P the modules beside the script would stand before those of its packages.
            told = _run("-P", str(script), folder, doing="answer")
    return _answered(told, len(asked.rows))


def _answered(told: str, count: int) -> Answered:
    try:
        answers = [json.loads(line) for line in told.splitlines()]
        routes = [Route(one["route"]) for one in answers]
        ms = [float(one["ms"]) for one in answers]
    except (ValueError, TypeError, KeyError) as error:
        raise NoPeer(f"{PACKAGE} answered with what is no route: {error}") from error
    if len(routes) != count:
        raise NoPeer(f"{PACKAGE} answered {len(routes)} questions of {count}.")
    return Answered(routes, ms, PACKAGE)


def _hand_over(folder: Path, asked: Asked) -> None:
    import numpy as np

    known = [{"text": row.text, "route": row.route} for row in asked.train]
    (folder / "utterances.json").write_text(json.dumps(known), encoding="utf-8")
    questions = [row.text for row in asked.rows]
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    np.save(folder / "vectors.npy", asked.vectors)


def _run(*arguments: str, doing: str) -> str:
    """Run a python that has the package; returns what it printed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    alone = ["uv", "run", "--isolated", "--no-project", "--python", version, "--with", PACKAGE]
    # The parent's environment must not leak into theirs.
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own words and a folder that we made
            [*alone, "python", *arguments],
            check=True,
            capture_output=True,
            text=True,
            env=surroundings,
            timeout=_LIMIT_S,
        )
    except OSError as error:
        raise NoPeer(f"{PACKAGE} cannot {doing}: uv is needed, and does not start.") from error
    except subprocess.TimeoutExpired as error:
        raise NoPeer(f"{PACKAGE} could not {doing} within {_LIMIT_S:g} s.") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it did not say why"])[-1].strip()
        raise NoPeer(f"{PACKAGE} cannot {doing}: {last}") from error
    return done.stdout
