"""What says whether a question is of an adapter's kind: as good as it was when it was fitted."""

from __future__ import annotations

import pytest

from agents.choosing import LIKELY, SURE
from agents.likeness import shipped
from backends.minilm.encoder import bundled
from router.tuning.fit_adapters import Kind, Row, cross_validated, fit, read, training_rows

RIGHT = 0.88
"""Decisions on adapters that were not fitted on, at least."""

WRONG_WHERE_SURE = 0.05
"""Questions of no kind that are answered in a form nevertheless, at most."""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    """The written questions, embedded."""
    return read(bundled(tmp_path_factory.mktemp("models"), threads=1))


@pytest.fixture(scope="module")
def judged(kinds: list[Kind]) -> list[tuple[Row, float]]:
    """Every row with its probability by a model that saw none of its adapters."""
    return cross_validated(kinds)


def test_the_right_adapter_answers_or_none(judged: list[tuple[Row, float]]) -> None:
    weight = sum(row.weight for row, _ in judged)
    right = sum(row.weight for row, likely in judged if (likely >= LIKELY) == row.right)
    assert right / weight >= RIGHT


def test_a_form_is_hardly_ever_taken_for_prose(judged: list[tuple[Row, float]]) -> None:
    outside = [likely for row, likely in judged if row.kind == "of no kind"]
    assert sum(likely >= SURE for likely in outside) / len(outside) <= WRONG_WHERE_SURE


def test_what_ships_is_what_the_command_fits(kinds: list[Kind]) -> None:
    rows = training_rows(kinds)
    fitted, ours = fit(rows), shipped()
    apart = [abs(fitted.probability(row.features) - ours.probability(row.features)) for row in rows]
    # Processors differ in how they round what is quantised.
    assert max(apart) < 0.05
