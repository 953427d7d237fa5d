"""Reading and writing OpenAI's shapes, without a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import (
    ConfigurationFault,
    DeadlineExceeded,
    DecisionUnavailable,
    InvalidRequest,
    ModelUnavailable,
    RetrievalUnavailable,
    RouterError,
    SettingsError,
    Unavailable,
    UnknownModel,
    UpstreamFailed,
)
from router.policy import Route
from router.server.body import path_of
from router.server.decisions import Asked, answer_to, route_probabilities
from router.server.errors import status_of
from router.server.outermost import json_bytes
from tests.support.server import DECISION

probabilities = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidRequest, 400),
        (UnknownModel, 404),
        (Unavailable, 503),
        (ModelUnavailable, 503),
        (RetrievalUnavailable, 503),
        (DecisionUnavailable, 503),
        (DeadlineExceeded, 504),
        (UpstreamFailed, 502),
        (ConfigurationFault, 500),
        (RouterError, 500),
    ],
)
def test_every_error_of_the_router_has_a_status(kind: type[RouterError], status: int) -> None:
    assert status_of(kind("It failed.")) == status


def test_wrong_settings_are_the_servers_fault() -> None:
    assert status_of(SettingsError(["server.port: is taken"])) == 500


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (("model",), "model"),
        (("messages", 0, "content", 1), "messages[0].content[1]"),
        (("response_format", "json_schema", "schema"), "response_format.json_schema.schema"),
        ((), ""),
    ],
)
def test_a_place_in_a_body_is_written_as_a_path(location: tuple[int | str, ...], path: str) -> None:
    assert path_of(location) == path


def test_half_a_surrogate_pair_does_not_break_an_answer() -> None:
    assert json_bytes({"text": "a\ud83db"}) == b'{"text":"a?b"}'


@given(facts=probabilities, manner=probabilities)
def test_route_probabilities_sum_to_one(facts: float, manner: float) -> None:
    decision = replace(DECISION, needs_facts=facts, needs_manner=manner)
    shares = route_probabilities(decision)
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares.values())


@given(facts=probabilities, manner=probabilities, route=st.sampled_from(list(Route)))
def test_the_choice_is_the_route_that_was_decided(
    facts: float, manner: float, route: Route
) -> None:
    decision = replace(DECISION, needs_facts=facts, needs_manner=manner, route=route)
    options = [{"value": each.value} for each in Route]
    asked = Asked.model_validate({"type": "choice", "name": "route", "choices": options})
    assert answer_to(asked, decision)["choice"] == route.value


@given(facts=probabilities, manner=probabilities)
def test_a_choice_between_two_routes_is_possible_whatever_is_probable(
    facts: float, manner: float
) -> None:
    decision = replace(DECISION, needs_facts=facts, needs_manner=manner, route=Route.BEHAVIOURAL)
    options = [{"value": "factual"}, {"value": "hybrid"}]
    asked = Asked.model_validate({"type": "choice", "name": "route", "choices": options})
    assert answer_to(asked, decision)["choice"] in ("factual", "hybrid")
