"""Decisions that must hold: a worse encoder, calibration or policy cannot land.

The floors stand a little under what shipped when they were set. They only ever rise.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from router.config import Settings
from router.evaluation.labelled import read_labelled
from router.evaluation.routing import decide_all
from router.evaluation.routing_report import figures
from router.policy import Route
from router.tuning.rows import own_rows

MACRO_F1 = 0.90
"""Of the golden cases."""

CALIBRATION_ERROR = 0.08
"""On each axis, at most. Golden cases are balanced, unlike the traffic that is calibrated for."""

TRIPLES = {"held_out_triples": 0.91, "held_out_domains": 0.87}
"""Macro-F1 on minimal triples, of topics and of domains that train nothing."""


async def _measured(name: str, home: Path) -> Mapping[str, Any]:
    questions = read_labelled([Path(str(files("router.tuning") / "examples" / f"{name}.jsonl"))])
    return figures(questions, await decide_all(questions, Settings(home=home)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_there_are_more_than_two_hundred_golden_cases_of_every_route() -> None:
    routes = [row.route for row in own_rows("golden")]

    assert len(routes) >= 200
    assert min(routes.count(route) for route in Route) >= 50


async def test_golden_decisions_hold(home: Path) -> None:
    found = await _measured("golden", home)

    assert found["macro_f1"] >= MACRO_F1
    assert found["ece"]["facts"] <= CALIBRATION_ERROR
    assert found["ece"]["manner"] <= CALIBRATION_ERROR


@pytest.mark.parametrize("name", TRIPLES)
async def test_one_topic_with_three_needs_is_told_apart(name: str, home: Path) -> None:
    assert (await _measured(name, home))["macro_f1"] >= TRIPLES[name]
