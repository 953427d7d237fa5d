"""What every judge promises, held against the twin, a model, and a router by HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from agents.judge import ModelJudge
from backends.base import FOR_JUDGE, Judge, Message, Verdict
from backends.errors import BackendError, Garbled, Refused, TimedOut, Unavailable
from backends.generation import GenerationRequest
from backends.judge import MAX_ANSWER_BYTES, HttpJudge
from backends.memory.generator import Script, ScriptedGenerator
from backends.memory.judge import Rule, ScriptedJudge
from router.answer import Decided
from router.policy import Decision, Policy, Route
from tests.support.parts import World, untraced
from tests.support.server import TRACE_ID, ScriptedRouter, served_router

Opener = Callable[[Rule | BackendError], AbstractAsyncContextManager[Judge]]

FACTS, MANNER = Verdict(True, False), Verdict(False, True)
BOTH, NEITHER = Verdict(True, True), Verdict(False, False)
WORDS = {"facts": FACTS, "manner": MANNER, "both": BOTH, "neither": NEITHER}
QUESTION = "How long may boots be returned?"
DOWN = Unavailable("No answer.", backend="judge")


@asynccontextmanager
async def _memory(rule: Rule | BackendError) -> AsyncIterator[Judge]:
    judge = ScriptedJudge(NEITHER if isinstance(rule, BackendError) else rule)
    judge.unavailable = rule if isinstance(rule, BackendError) else None
    yield judge


@asynccontextmanager
async def _model(rule: Rule | BackendError) -> AsyncIterator[Judge]:
    def answer(request: GenerationRequest) -> Script | str:
        assert not isinstance(rule, BackendError)
        asked = request.messages[-1].content.split("\n", 1)[1].rpartition("\n")[0]
        return next(word for word, verdict in WORDS.items() if verdict == rule(asked))

    generator = ScriptedGenerator(answer)
    generator.unavailable = rule if isinstance(rule, BackendError) else None
    yield ModelJudge(generator)


class RulingRouter(ScriptedRouter):
    """Decides by a rule, with the probabilities of a router that is sure."""

    rule: Rule | BackendError = DOWN

    async def decided(self, question: Sequence[Message], **asked: Any) -> Decided:
        if isinstance(self.rule, BackendError):
            self.failure = ConnectionError("anything")
        await super().decided(question, **asked)
        assert not isinstance(self.rule, BackendError)
        verdict = self.rule(question[-1].content)
        decision = Policy().decide(0.05 + 0.9 * verdict.needs_facts, 0.9 * verdict.needs_manner)
        return Decided(decision, TRACE_ID)


@asynccontextmanager
async def _http(rule: Rule | BackendError) -> AsyncIterator[Judge]:
    router = RulingRouter()
    router.rule = rule
    async with (
        served_router(router) as (port, _, _),
        HttpJudge.open(f"http://127.0.0.1:{port}/v1") as judge,
    ):
        yield judge


@pytest.fixture(params=["memory", "model", "http"])
def opener(request: pytest.FixtureRequest) -> Opener:
    openers: dict[str, Opener] = {"memory": _memory, "model": _model, "http": _http}
    return openers[request.param]


@pytest.mark.parametrize("verdict", WORDS.values(), ids=list(WORDS))
async def test_the_verdict_says_what_the_question_needs(opener: Opener, verdict: Verdict) -> None:
    async with opener(lambda _: verdict) as judge:
        assert await judge.verdict(QUESTION) == verdict


async def test_the_question_arrives_as_it_was_asked(opener: Opener) -> None:
    question = 'First line, "quoted"\n\nand one with = signs and ümlauts\n'
    async with opener(lambda asked: FACTS if asked == question else MANNER) as judge:
        assert await judge.verdict(question) == FACTS


@pytest.mark.parametrize(
    "question", ["?", "\x00", "\ud800", "旅費はいくらですか", "كم يوما؟", "boots " * 1_500]
)
async def test_any_question_can_be_judged(opener: Opener, question: str) -> None:
    async with opener(lambda _: BOTH) as judge:
        assert await judge.verdict(question) == BOTH


async def test_verdicts_may_be_asked_for_at_the_same_time(opener: Opener) -> None:
    async with opener(lambda asked: FACTS if "boots" in asked else MANNER) as judge:
        asked = [QUESTION, "Say hello like a pirate"] * 4
        verdicts = await asyncio.gather(*(judge.verdict(one) for one in asked))

        assert verdicts == [FACTS, MANNER] * 4


async def test_a_judge_that_is_down_says_so(opener: Opener) -> None:
    async with opener(DOWN) as judge:
        with pytest.raises(Unavailable) as raised:
            await judge.verdict(QUESTION)

        assert "boots" not in str(raised.value)


async def test_a_judge_has_a_name(opener: Opener) -> None:
    async with opener(lambda _: FACTS) as judge:
        assert judge.name


# --- a model -------------------------------------------------------------------------------------


async def test_a_model_that_says_another_word_is_said_to_be_garbled() -> None:
    class Chatty(ScriptedGenerator):
        """Ignores the choices, as a server without structured output does."""

        def _begin(self, request: GenerationRequest) -> Script:
            return Script(text="Facts, I would say.")

    with pytest.raises(Garbled, match="four words"):
        await ModelJudge(Chatty()).verdict(QUESTION)


async def test_a_model_hands_on_to_nobody_and_a_server_may() -> None:
    async with HttpJudge.open("http://127.0.0.1:1/v1") as server:
        assert (ModelJudge(ScriptedGenerator()).hands_on, server.hands_on) == (False, True)


# --- a server of /v1/decisions -------------------------------------------------------------------


async def test_a_router_that_is_asked_knows_that_it_judges() -> None:
    router = ScriptedRouter()
    parent = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    async with (
        served_router(router) as (port, _, _),
        HttpJudge.open(f"http://127.0.0.1:{port}/v1") as judge,
    ):
        verdict = await judge.verdict(QUESTION, headers={"traceparent": parent})

    (call,) = router.calls
    assert verdict == FACTS
    assert call.for_judge
    assert call.traceparent == {"traceparent": parent}
    assert call.conversation == (Message("user", QUESTION),)


UNSURE = Policy().decide(0.45, 0.1)


@pytest.mark.parametrize(
    ("decision", "verdict"),
    [
        (Policy().judged(UNSURE, needs_facts=True, needs_manner=True), BOTH),
        (Policy().judged(UNSURE, needs_facts=True, needs_manner=False), FACTS),
        (Policy().judged(Policy().decide(0.55, 0.1), False, True), MANNER),
        (Policy().forced(Route.HYBRID, UNSURE), BOTH),
        (Policy(uncertain_route=Route.HYBRID).decide(0.45, 0.1), BOTH),
        (Policy(uncertain_route=Route.FACTUAL).decide(0.55, 0.1), FACTS),
    ],
)
async def test_the_verdict_of_a_router_is_what_it_decided_in_the_end(
    decision: Decision, verdict: Verdict
) -> None:
    async with (
        served_router(ScriptedRouter(decision=decision)) as (port, _, _),
        HttpJudge.open(f"http://127.0.0.1:{port}/v1") as judge,
    ):
        assert await judge.verdict(QUESTION) == verdict


async def test_a_router_with_a_judge_of_its_own_passes_its_verdict_on() -> None:
    world = World(untraced(), facts=0.45, manner=0.1, judge=ScriptedJudge(BOTH))
    async with (
        served_router(world.router()) as (port, _, _),
        HttpJudge.open(f"http://127.0.0.1:{port}/v1") as judge,
    ):
        assert await judge.verdict(QUESTION) == BOTH


async def test_the_key_of_a_router_is_needed_and_opens_it() -> None:
    async with served_router(ScriptedRouter(), api_keys=("hunter2",)) as (port, _, _):
        url = f"http://127.0.0.1:{port}/v1"
        async with HttpJudge.open(url, api_key="hunter2") as judge:
            assert await judge.verdict(QUESTION) == FACTS
        async with HttpJudge.open(url, api_key="hunter3") as judge:
            with pytest.raises(Refused, match="Check the API key") as raised:
                await judge.verdict(QUESTION)

    assert raised.value.status == 401
    assert "hunter" not in str(raised.value)


Answering = Callable[[Mapping[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class DecisionsServer:
    """Any server of the same shape, with what it was asked."""

    url: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


@asynccontextmanager
async def decisions_server(answer: Answering) -> AsyncIterator[DecisionsServer]:
    server = DecisionsServer()

    async def decide(request: web.Request) -> web.StreamResponse:
        server.asked.append(await request.json())
        server.headers.append(request.headers)
        return await answer(server.asked[-1])

    app = web.Application()
    app.router.add_post("/v1/decisions", decide)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        yield server
    finally:
        await runner.cleanup()


def answering(*answers: object) -> Answering:
    async def answer(_: Mapping[str, Any]) -> web.StreamResponse:
        return web.json_response({"answers": answers})

    return answer


def need(name: str, probability: object) -> dict[str, object]:
    return {"type": "predicate", "name": name, "probability": probability}


def routed(route: object) -> dict[str, object]:
    return {"type": "choice", "name": "route", "choice": route, "confidence": 0.9}


def refused(name: str) -> dict[str, object]:
    return {"type": "refusal", "name": name}


async def judged(answer: Answering, **options: Any) -> Verdict:
    async with decisions_server(answer) as server, HttpJudge.open(server.url, **options) as judge:
        return await judge.verdict(QUESTION)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([need("needs_facts", 0.5), need("needs_manner", 0.49), routed("hybrid")], FACTS),
        ([need("needs_manner", 1), need("needs_facts", 0)], MANNER),
        ([routed("factual")], FACTS),
        ([routed("hybrid")], BOTH),
        ([routed("behavioural")], MANNER),
        ([refused("needs_facts"), need("needs_manner", 0.9), routed("factual")], FACTS),
        ([refused("needs_facts"), refused("needs_manner"), routed("hybrid")], BOTH),
        ([need("needs_facts", 0.9), need("needs_manner", 0.9), refused("route")], BOTH),
    ],
)
async def test_two_needs_are_the_verdict_and_without_them_the_route(
    answers: Sequence[object], verdict: Verdict
) -> None:
    assert await judged(answering(*answers)) == verdict


async def test_probabilities_are_read_by_the_thresholds_of_whoever_asks() -> None:
    answer = answering(need("needs_facts", 0.3), need("needs_manner", 0.6))

    assert await judged(answer) == MANNER
    assert await judged(answer, facts_threshold=0.3, manner_threshold=0.7) == FACTS


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [refused("needs_facts"), refused("needs_manner"), refused("route")],
        [need("needs_facts", 0.9), refused("needs_manner")],
    ],
)
async def test_a_server_that_decides_nothing_of_this_refuses(answers: Sequence[object]) -> None:
    with pytest.raises(Refused, match="neither both needs nor the route"):
        await judged(answering(*answers))


async def test_the_server_is_asked_three_questions_with_its_model_and_key() -> None:
    answer = answering(routed("factual"))
    async with (
        decisions_server(answer) as server,
        HttpJudge.open(server.url, "some-model", api_key="secret") as judge,
    ):
        await judge.verdict(QUESTION)

    (body,), (headers,) = server.asked, server.headers
    assert (body["model"], body["input"]) == ("some-model", QUESTION)
    asked = [(one["type"], one["name"]) for one in body["questions"]]
    assert asked == [
        ("predicate", "needs_facts"),
        ("predicate", "needs_manner"),
        ("choice", "route"),
    ]
    assert all(one["instructions"] for one in body["questions"])
    routes = [choice["value"] for choice in body["questions"][2]["choices"]]
    assert set(routes) == set(Route)
    assert headers["Authorization"] == "Bearer secret"
    assert headers[FOR_JUDGE]


async def test_a_key_goes_before_the_user_and_password_of_an_address() -> None:
    async with decisions_server(answering(routed("factual"))) as server:
        url = server.url.replace("http://", "http://ana:hunter2@")
        async with HttpJudge.open(url, api_key="secret") as judge:
            await judge.verdict(QUESTION)
        async with HttpJudge.open(url) as judge:
            await judge.verdict(QUESTION)

    first, second = (headers["Authorization"] for headers in server.headers)
    assert first == "Bearer secret"
    assert second.startswith("Basic ")
    assert "hunter2" not in judge.name


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Refused),
        (400, Refused),
        (401, Refused),
        (404, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_refusal_is_told_apart_from_a_server_that_is_down(
    status: int, kind: type[BackendError]
) -> None:
    async def refuse(body: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, text=body["input"], headers={"Location": "/x"})

    with pytest.raises(kind) as raised:
        await judged(refuse)

    assert str(status) in str(raised.value)
    assert raised.value.backend == "judge"
    assert QUESTION not in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "not json",
        '{"answers": null}',
        '{"answers": [1]}',
        '{"answers": [{"name": ["needs_facts"], "type": "predicate"}]}',
        '{"answers": [{"name": "needs_facts"}]}',
        json.dumps({"answers": [need("needs_facts", 3.5), routed("factual")]}),
        json.dumps({"answers": [need("needs_facts", -0.1)]}),
        json.dumps({"answers": [need("needs_facts", float("nan"))]}),
        json.dumps({"answers": [need("needs_facts", True)]}),
        json.dumps({"answers": [need("needs_facts", "0.9")]}),
        json.dumps({"answers": [routed("elsewhere")]}),
        json.dumps({"answers": [routed(["factual"])]}),
        "[" * 100_000,
        json.dumps({"answers": [routed("factual")], "more": "x" * MAX_ANSWER_BYTES}),
    ],
)
async def test_an_answer_that_is_no_decision_is_said_to_be_garbled(body: str) -> None:
    async def garble(_: Mapping[str, Any]) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    with pytest.raises(Garbled, match="The judge at"):
        await judged(garble)


async def test_an_answer_that_breaks_off_is_said_to_be_garbled() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"answers"')
        writer.write_eof()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpJudge.open(f"http://127.0.0.1:{port}/v1") as judge:
            with pytest.raises(Garbled, match="middle of its answer"):
                await judge.verdict(QUESTION)


async def test_a_key_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    async with (
        decisions_server(answering(routed("factual"))) as server,
        HttpJudge.open(server.url, api_key="hunter\n2") as judge,
    ):
        with pytest.raises(Refused, match="Check the API key") as raised:
            await judge.verdict(QUESTION)

    assert "hunter" not in f"{raised.value} {raised.value.__cause__}"


async def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    released = asyncio.Event()

    async def wait(_: Mapping[str, Any]) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with (
        decisions_server(wait) as server,
        HttpJudge.open(server.url, timeout_s=0.05) as judge,
    ):
        with pytest.raises(TimedOut, match=r"within 0\.05 s"):
            await judge.verdict(QUESTION)
        released.set()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with decisions_server(answering()) as server:
        gone = server.url.replace("http://", "http://ana:hunter2@")
    async with HttpJudge.open(gone) as judge:
        with pytest.raises(Unavailable, match="cannot be reached") as raised:
            await judge.verdict(QUESTION)

    assert "hunter2" not in str(raised.value)


async def test_a_cancelled_call_ends_at_once() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def wait(_: Mapping[str, Any]) -> web.StreamResponse:
        asked.set()
        await released.wait()
        return web.Response()

    async def ask(judge: Judge) -> Verdict:
        return await judge.verdict(QUESTION)

    async with (
        decisions_server(wait) as server,
        HttpJudge.open(server.url, timeout_s=30) as judge,
    ):
        call = asyncio.create_task(ask(judge))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()
