"""The released semantic-router, asked as ``--peers`` asks it: by uv, in an environment apart."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from router.cli.boundary import run
from router.evaluation.peer import (
    PACKAGE,
    Asked,
    NoPeer,
    ask_semantic_router,
    check_semantic_router,
)
from router.policy import Route
from router.tuning.rows import Row

if TYPE_CHECKING:
    from backends.base import Vectors

NEEDS = {Route.FACTUAL: (True, False), Route.BEHAVIOURAL: (False, True), Route.HYBRID: (True, True)}


@pytest.fixture(scope="module", autouse=True)
def _peer() -> None:
    try:
        check_semantic_router()
    except NoPeer as error:
        pytest.skip(f"the peer cannot be had on this machine: {error}")


def rows_of(count: int, name: str) -> list[Row]:
    return [
        Row(f"{name} {number} of {route}", *needs, route)
        for route, needs in NEEDS.items()
        for number in range(count)
    ]


def near_their_route(rows: list[Row]) -> Vectors:
    """Unit vectors that lie close together where the route is the same, else far apart."""
    noise = np.random.default_rng(7).normal(scale=0.05, size=(len(rows), 8))
    axes = np.eye(8)[[list(NEEDS).index(row.route) for row in rows]]
    vectors = (axes + noise).astype(np.float32)
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths)


def test_each_question_goes_to_the_route_of_the_utterances_beside_it() -> None:
    train, rows = rows_of(4, "utterance"), rows_of(3, "question")[::-1]

    answered = ask_semantic_router(Asked(train, rows, near_their_route([*train, *rows])))

    assert list(answered.routes) == [row.route for row in rows]
    assert len(answered.ms) == len(rows)
    assert min(answered.ms) > 0
    assert answered.version == PACKAGE


def test_a_failure_of_the_package_says_what_it_was() -> None:
    train, rows = rows_of(2, "utterance"), rows_of(1, "question")

    with pytest.raises(NoPeer, match=rf"{PACKAGE} cannot answer: ValueError"):
        ask_semantic_router(Asked(train, rows, near_their_route(train)))


def test_the_command_sets_the_peer_beside_the_others_on_the_same_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_HOME", str(tmp_path / "home"))
    held_out = files("router.tuning") / "examples" / "held_out_triples.jsonl"
    file = tmp_path / "rows.jsonl"
    file.write_text(held_out.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no public training rows beside it

    assert run(["eval", "routing", "rows.jsonl", "--peers", "--limit", "60", "--json"]) == 0

    baselines = json.loads(capsys.readouterr().out)["baselines"]
    peer = baselines["semantic_router"]
    assert (peer["n"], peer["version"]) == (60, PACKAGE)
    assert peer["fitted_on"] == baselines["tfidf"]["fitted_on"]
    assert peer["encoder"].startswith("all-MiniLM-L6-v2")
    assert peer["macro_f1"] > baselines["best_constant"]["macro_f1"]
    assert peer["per_class"].keys() == set(Route)
    assert 0 < peer["choice_ms"]["p50"] <= peer["choice_ms"]["p99"]
