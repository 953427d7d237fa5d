"""Decisions, as OpenAI's own client asks for them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types import Decision

from backends.base import Message
from router.policy import Route
from tests.support.server import TRACE_ID, Door, ScriptedRouter, served

FACTS = {"type": "predicate", "name": "needs_facts", "instructions": "Would a document hold it?"}
ROUTES = [{"value": "factual"}, {"value": "behavioural"}, {"value": "hybrid"}]
ROUTE = {"type": "choice", "name": "route", "instructions": "Where to?", "choices": ROUTES}


async def decide(router: ScriptedRouter, *questions: Any, **more: Any) -> Decision:
    request = {"model": "auto", "input": "How long may I return boots?", **more}
    async with (
        served(router) as door,
        AsyncOpenAI(base_url=f"{door.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        return await client.decisions.create(**request, questions=questions)


async def post(door: Door, body: object) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.post(f"{door.url}/v1/decisions", json=body)


async def test_a_predicate_is_answered_with_its_probability() -> None:
    (answer,) = (await decide(ScriptedRouter(), FACTS)).answers
    assert answer.type == "predicate"
    assert (answer.name, answer.probability) == ("needs_facts", 0.9)


async def test_the_route_is_answered_with_every_probability() -> None:
    (answer,) = (await decide(ScriptedRouter(), ROUTE)).answers
    assert answer.type == "choice"
    assert (answer.choice, answer.confidence) == ("factual", 0.72)
    found = {each.value: each.probability for each in answer.probabilities}
    assert found == {"factual": 0.72, "behavioural": 0.1, "hybrid": 0.18}


async def test_the_route_may_be_chosen_among_two() -> None:
    two = {**ROUTE, "choices": ROUTES[:2]}
    (answer,) = (await decide(ScriptedRouter(), two)).answers
    assert answer.type == "choice"
    assert sum(each.probability for each in answer.probabilities) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "question",
    [
        {**FACTS, "name": "is_rude"},
        {"type": "predicate", "instructions": "Is it rude?"},
        {**ROUTE, "name": "team"},
        {**ROUTE, "choices": [{"value": "factual"}, {"value": "elsewhere"}]},
        {**ROUTE, "choices": [{"value": "factual"}, {"value": "factual"}]},
        {**ROUTE, "choices": [{"value": True}, {"value": False}]},
        {"type": "score", "name": "route", "instructions": "?", "levels": [{"label": "a"}]},
    ],
)
async def test_a_question_that_the_router_does_not_answer_is_refused(
    question: dict[str, Any],
) -> None:
    (answer,) = (await decide(ScriptedRouter(), question)).answers
    assert (answer.type, answer.name) == ("refusal", question.get("name"))


async def test_answers_come_in_the_order_of_the_questions() -> None:
    decision = await decide(ScriptedRouter(), ROUTE, {**FACTS, "name": "other"}, FACTS)
    assert [answer.name for answer in decision.answers] == ["route", "other", "needs_facts"]


async def test_without_questions_all_three_are_answered() -> None:
    async with served() as door:
        body = (await post(door, {"input": "Hello"})).json()
    assert [each["name"] for each in body["answers"]] == ["needs_facts", "needs_manner", "route"]


async def test_a_decision_comes_with_its_reason() -> None:
    decision = await decide(ScriptedRouter(), FACTS)
    why = (decision.model_extra or {})["router"]["decision"]
    assert (why["route"], why["policy"]) == ("factual", "policy-1")


async def test_a_decision_costs_no_tokens() -> None:
    assert (await decide(ScriptedRouter(), FACTS)).usage.total_tokens == 0


async def test_a_conversation_can_be_decided_about() -> None:
    router = ScriptedRouter()
    turns = [
        {"role": "user", "type": "message", "content": "Hello"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi!"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Boots?"}]},
    ]
    await decide(router, FACTS, input=turns)
    assert router.calls[0].conversation == (
        Message("user", "Hello"),
        Message("assistant", "Hi!"),
        Message("user", "Boots?"),
    )


async def test_a_route_can_be_insisted_on() -> None:
    router = ScriptedRouter()
    await decide(router, FACTS, model="hybrid")
    assert router.calls[0].route is Route.HYBRID


async def test_the_principal_of_a_decision_comes_from_the_header() -> None:
    router = ScriptedRouter()
    await decide(router, FACTS, extra_headers={"X-Router-Principal": "user:ana"})
    assert router.calls[0].principal == "user:ana"


async def test_a_decision_has_its_trace_and_route_in_the_headers() -> None:
    async with served() as door:
        response = await post(door, {"input": "Hello"})
    assert response.headers["x-router-trace-id"] == TRACE_ID
    assert response.headers["x-router-route"] == "factual"


async def test_a_decision_says_which_trace_it_belongs_to() -> None:
    decision = await decide(ScriptedRouter(), FACTS)
    assert (decision.model_extra or {})["router"]["trace_id"] == TRACE_ID


async def test_a_decision_leaves_its_trace_in_the_log() -> None:
    async with served() as door:
        await post(door, {"input": "Hello"})
    (line,) = [json.loads(line) for line in door.log.getvalue().splitlines() if '"request"' in line]
    assert (line["path"], line["trace_id"]) == ("/v1/decisions", TRACE_ID)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 7}, "input"),
        ({"input": ""}, "input[0].content"),
        ({"input": []}, "input"),
        ({"input": [{"role": "assistant", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": "Hello", "questions": []}, "questions"),
        ({"input": "Hello", "questions": [{"type": "essay"}]}, "questions[0].type"),
        ({"input": "Hello", "questions": [{**ROUTE, "choices": []}]}, "questions[0].choices"),
        ({"input": "Hello", "questions": [FACTS] * 401}, "questions"),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_by_field(body: object, param: str) -> None:
    async with served() as door:
        response = await post(door, body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_only_the_router_decides() -> None:
    async with served() as door:
        response = await post(door, {"model": "gpt-9", "input": "Hello"})
    assert (response.status_code, response.json()["error"]["param"]) == (404, "model")
