"""One trace a request, collected over real OTLP."""

from __future__ import annotations

import json

import pytest

from backends.judge import HttpJudge
from backends.memory.generator import ScriptedGenerator
from backends.memory.reranker import OverlapReranker
from router.errors import ModelUnavailable
from router.tracing import names
from router.tracing.ports import TracedJudge, TracedReranker
from router.tracing.setup import tracing
from tests.support.collector import collector
from tests.support.parts import RETURNS, World
from tests.support.server import served_router

QUESTION = "Write a friendly reply about returning unworn boots"
SAID = "Good news: boots may be returned within 45 days of delivery. [1]"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_one_hybrid_question_is_one_trace_with_a_span_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            world = World(traced, facts=0.97, manner=0.97, model=ScriptedGenerator(SAID))
            await world.publish("returns", RETURNS)
            answer = await world.router().ask(QUESTION, principal="user:ana")

    assert collected.names() == [
        "chat scripted",
        "embeddings hashing",
        "embeddings hashing",
        "execute_step condense",
        "execute_step done",
        "execute_step retrieve",
        "invoke_agent hybrid",
        "invoke_workflow query_router",
        "plan classify",
        "retrieval passages",
    ]
    assert {span.trace_id for span in collected.spans} == {answer.trace_id}
    root = collected.named("invoke_workflow query_router")
    assert root.parent_id == ""
    assert collected.named("plan classify").parent_id == root.span_id
    assert (
        collected.named("chat scripted").parent_id == collected.named("invoke_agent hybrid").span_id
    )
    assert (
        collected.named("retrieval passages").parent_id
        == collected.named("execute_step retrieve").span_id
    )
    assert root.attributes[names.ROUTE] == "hybrid"
    assert root.attributes[names.CITATIONS] == 1


async def test_the_model_server_is_told_which_span_it_works_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = ScriptedGenerator(SAID)
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            world = World(traced, facts=0.97, manner=0.97, model=model)
            await world.publish("returns", RETURNS)
            await world.router().ask(QUESTION, principal="user:ana")

    chat = collected.named("chat scripted")
    told = model.requests[0].headers["traceparent"]
    assert told.startswith(f"00-{chat.trace_id}-{chat.span_id}-")


async def test_nothing_that_people_wrote_is_on_a_span_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = await collected_attributes(monkeypatch, content=False)

    assert "boots" not in everything
    assert "45 days" not in everything


async def test_content_is_on_spans_once_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = await collected_attributes(monkeypatch, content=True)

    assert QUESTION in everything
    assert "45 days" in everything


async def collected_attributes(monkeypatch: pytest.MonkeyPatch, *, content: bool) -> str:
    """All attributes of all spans of one question, as one text."""
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp", capture_content=content) as traced:
            world = World(traced, facts=0.97, manner=0.97, model=ScriptedGenerator(SAID))
            await world.publish("returns", RETURNS)
            await world.router().ask(QUESTION, principal="user:ana")
    return json.dumps([span.attributes for span in collected.spans], ensure_ascii=False)


async def test_the_standard_variable_switches_content_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(names.CONTENT_VARIABLE, "SPAN_ONLY")

    async with tracing() as traced:
        assert traced.content


async def test_the_callers_trace_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            world = World(traced)
            await world.router().decide(
                QUESTION, principal="user:ana", traceparent={"traceparent": CALLER}
            )

    assert {span.trace_id for span in collected.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    root = collected.named("invoke_workflow query_router")
    assert root.parent_id == "b7ad6b7169203331"


async def test_a_failed_question_is_a_failed_span_without_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            world = World(traced, facts=0.02, manner=0.97)
            with pytest.raises(ModelUnavailable):
                await world.router().ask(QUESTION, principal="user:ana")

    root = collected.named("invoke_workflow query_router")
    assert root.failed
    assert root.attributes[names.ERROR_TYPE] == "ModelUnavailable"


async def test_a_search_is_a_trace_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            world = World(traced)
            await world.publish("returns", RETURNS)
            found = await world.router().search(QUESTION, principal="user:ana")

    root = collected.named("invoke_workflow passage_search")
    step = collected.named("execute_step retrieve")
    assert (root.parent_id, root.trace_id) == ("", found.trace_id)
    assert step.parent_id == root.span_id
    assert collected.named("retrieval passages").parent_id == step.span_id


@pytest.mark.parametrize("content", [False, True])
async def test_a_filter_is_on_the_span_by_its_fields_and_with_content_by_its_values(
    monkeypatch: pytest.MonkeyPatch, content: bool
) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp", capture_content=content) as traced:
            world = World(traced)
            await world.publish("returns", RETURNS, country="Utopia")
            await world.router().search(QUESTION, principal="user:ana", where={"country": "Utopia"})

    span = collected.named("retrieval passages")
    assert span.attributes[names.FILTER_FIELDS] == ["country"]
    assert ("Utopia" in repr(collected.spans)) is content


async def test_a_reranking_is_a_span_without_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp", capture_content=True) as traced:
            reranker = TracedReranker(OverlapReranker(), traced, provider="overlap")
            await reranker.scores(QUESTION, [RETURNS])

    span = collected.named("rerank overlap")
    assert span.attributes[names.RERANKED] == 1
    assert RETURNS not in repr(collected.spans)


async def test_the_judge_of_an_uncertain_decision_joins_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced:
            sure = World(traced, facts=0.02, manner=0.97)
            async with (
                served_router(sure.router()) as (port, _, _),
                HttpJudge.open(f"http://127.0.0.1:{port}/v1") as remote,
            ):
                judge = TracedJudge(remote, traced, provider="decisions", remote=True)
                world = World(traced, facts=0.55, manner=0.1, judge=judge)
                decided = await world.router().decided(QUESTION, principal="user:ana")

    span = collected.named(f"judge {judge.name}")
    theirs = [one for one in collected.spans if one.parent_id == span.span_id]
    assert decided.decision.decided_by == "judge"
    assert decided.decision.route == "behavioural"
    assert [one.name for one in theirs] == ["invoke_workflow query_router"]
    assert {one.trace_id for one in collected.spans} == {decided.trace_id}


async def test_the_failure_of_a_judge_is_said_in_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collected.url)
        async with tracing("otlp") as traced, HttpJudge.open("http://127.0.0.1:1/v1") as remote:
            judge = TracedJudge(remote, traced, provider="decisions", remote=True)
            world = World(traced, facts=0.55, manner=0.1, judge=judge)
            decision = await world.router().decide(QUESTION, principal="user:ana")

    assert decision.decided_by == "classifier"
    step = next(one for one in collected.spans if one.name.endswith(" escalate"))
    assert step.attributes[names.ERROR_TYPE] == "Unavailable"
    assert collected.named("judge 127.0.0.1:1").failed
