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
from router.policy import Policy, Route
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


JUDGED = Policy().judged(Policy().decide(0.45, 0.1), needs_facts=True, needs_manner=True)


@pytest.mark.parametrize("name", ["needs_facts", "needs_manner"])
def test_a_need_that_did_not_make_the_route_is_not_told(name: str) -> None:
    asked = Asked.model_validate({"type": "predicate", "name": name})

    assert answer_to(asked, JUDGED) == {"type": "refusal", "name": name}


def test_what_a_judge_decided_has_nothing_of_the_classifiers_confidence() -> None:
    options = [{"value": each.value} for each in Route]
    asked = Asked.model_validate({"type": "choice", "name": "route", "choices": options})
    answer = answer_to(asked, JUDGED)

    assert (answer["choice"], answer["confidence"]) == ("hybrid", JUDGED.propensity)
    found = {each["value"]: each["probability"] for each in answer["probabilities"]}
    assert found == {"factual": 0.0, "behavioural": 0.0, "hybrid": 1.0}


def test_a_judge_has_no_opinion_on_the_routes_that_it_did_not_choose() -> None:
    options = [{"value": "factual"}, {"value": "behavioural"}]
    asked = Asked.model_validate({"type": "choice", "name": "route", "choices": options})

    assert answer_to(asked, JUDGED)["type"] == "refusal"
