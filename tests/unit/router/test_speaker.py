"""The chosen adapter on the main path: in the decision, in the trace, and in who answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backends.errors import Unavailable
from backends.generation import GenerationRequest
from backends.memory.generator import ScriptedGenerator
from router.answer import Answer, Decided
from router.errors import ModelUnavailable, UnknownModel
from router.policy import Route
from router.serialise import decision_json
from router.tracing import names
from router.tracing.setup import Tracing
from tests.support.adapters import adapter_spec
from tests.support.parts import RETURNS, World, untraced
from tests.support.registries import REGISTRY_DOWN, FailingRegistry, chooser_on, put_live

VOICE = adapter_spec("brand-voice", examples=("rewrite this reply in our brand voice",))
ASKED = "please rewrite this reply in our brand voice"
OTHER = "recite the alphabet backwards"
SAID = "Boots may be returned within 45 days of delivery. [1]"


async def world(
    served: Sequence[str] = ("brand-voice@1",),
    *,
    registry: FailingRegistry | None = None,
    default: str | None = None,
    says: str = SAID,
    **fields: Any,
) -> World:
    """A router whose model serves these, and whose registry has one live adapter."""
    if registry is None:
        registry = FailingRegistry()
        await put_live(registry, VOICE)
    tracing: Tracing = fields.pop("tracing", None) or untraced()
    needs = {"facts": 0.03, "manner": 0.97} | fields
    model = ScriptedGenerator(says, model="tiny", adapters=served)
    chooser = await chooser_on(registry, default=default, generator=model)
    return World(tracing, model=model, chooser=chooser, **needs)


async def ask(world: World, question: str = ASKED, **asked: Any) -> Answer:
    return await world.router().ask(question, principal="user:ana", **asked)


def heard(world: World) -> GenerationRequest:
    assert world.model is not None
    return world.model.requests[-1]


async def test_the_adapter_of_the_nearest_examples_answers_and_stands_in_the_decision() -> None:
    router = await world()
    answer = await ask(router)
    assert heard(router).adapter == "brand-voice@1"
    assert answer.model == "brand-voice@1"
    chosen = decision_json(answer.decision)["adapter"]
    assert chosen["name"] == "brand-voice"
    assert (chosen["version"], chosen["chosen_by"]) == (1, "examples")
    assert 0.9 < chosen["similarity"] <= 1
    assert 0.3 < chosen["margin"] <= 0.4
    assert "brand-voice@1 answers, whose examples are of this kind" in answer.decision.reason


async def test_a_stream_tells_the_adapter_before_the_first_token() -> None:
    router = (await world()).router()
    events = [event async for event in router.stream(ASKED, principal="user:ana")]
    assert isinstance(events[0], Decided)
    assert events[0].decision.adapter is not None
    assert events[0].decision.adapter.name == "brand-voice"


async def test_a_decision_without_an_answer_names_the_adapter_too() -> None:
    decision = await (await world()).router().decide(ASKED, principal="user:ana")
    assert decision.adapter is not None
    assert (decision.adapter.name, decision.adapter.version) == ("brand-voice", 1)


async def test_a_hybrid_answer_is_spoken_by_the_adapter() -> None:
    router = await world(facts=0.97)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "rewrite in our brand voice how unworn boots are returned")
    assert answer.decision.route is Route.HYBRID
    assert heard(router).adapter == "brand-voice@1"
    assert answer.decision.adapter is not None


async def test_a_hybrid_answer_that_lost_its_facts_becomes_a_factual_one() -> None:
    registry = FailingRegistry()
    await put_live(registry, replace(VOICE, prompting="bare"))
    router = await world(registry=registry, facts=0.97, says="We are glad to help.")
    await router.publish("returns", RETURNS)
    answer = await ask(router, "rewrite in our brand voice how unworn boots are returned")
    assert "45 days" in answer.text
    assert answer.degraded is not None
    assert answer.degraded.startswith("A hybrid answer was not possible, so this is a factual one.")


async def test_a_factual_answer_has_no_adapter() -> None:
    router = await world(facts=0.97, manner=0.03)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "How long may unworn boots be returned?")
    assert answer.decision.route is Route.FACTUAL
    assert decision_json(answer.decision)["adapter"] is None


async def test_a_named_adapter_says_what_the_documents_say_where_no_model_words_facts() -> None:
    router = await world(facts=0.97, manner=0.03, voiced=True)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "How long may unworn boots be returned?", adapter="brand-voice")
    assert answer.decision.route is Route.FACTUAL
    assert (answer.model, heard(router).adapter) == ("brand-voice@1", "brand-voice@1")
    assert answer.decision.adapter is not None
    assert (answer.decision.adapter.name, answer.decision.adapter.version) == ("brand-voice", 1)
    assert [one.title for one in answer.citations] == ["returns"]


async def test_a_named_adapter_that_fails_leaves_the_documents_to_be_quoted() -> None:
    router = await world(facts=0.97, manner=0.03, voiced=True)
    await router.publish("returns", RETURNS)
    assert router.model is not None
    router.model.unavailable = Unavailable(
        "The model has gone.", backend="starter model", hint="Wait."
    )
    answer = await ask(router, "How long may unworn boots be returned?", adapter="brand-voice")
    assert "45 days" in answer.text
    assert answer.degraded == "The model gave no answer; quoted from the documents instead."


async def test_an_adapter_that_nobody_named_words_no_facts() -> None:
    router = await world(facts=0.97, manner=0.03, voiced=True)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "How long may unworn boots be returned?")
    assert "45 days" in answer.text
    assert router.model is not None
    assert router.model.requests == []


async def test_where_nothing_is_near_the_base_model_answers_and_is_named() -> None:
    router = await world()
    answer = await ask(router, OTHER)
    assert heard(router).adapter is None
    assert answer.decision.adapter is not None
    assert (answer.decision.adapter.name, answer.decision.adapter.version) == ("tiny", None)
    assert answer.decision.adapter.chosen_by == "default"


async def test_where_nothing_is_near_the_default_adapter_answers() -> None:
    router = await world(default="brand-voice")
    await ask(router, OTHER)
    assert heard(router).adapter == "brand-voice@1"


async def test_who_is_named_answers_whatever_is_near() -> None:
    registry = FailingRegistry()
    await put_live(registry, VOICE)
    await put_live(registry, adapter_spec("tone", seed=1))
    router = await world(("brand-voice@1", "tone@1"), registry=registry)
    answer = await ask(router, adapter="tone")
    assert heard(router).adapter == "tone@1"
    assert answer.decision.adapter is not None
    assert answer.decision.adapter.chosen_by == "caller"


@pytest.mark.parametrize("named", ["nobody", "nobody@3", "brand-voice@7"])
async def test_a_name_that_nobody_knows_is_the_callers_mistake(named: str) -> None:
    with pytest.raises(UnknownModel):
        await ask(await world(), adapter=named)


@pytest.mark.parametrize("question", ["How long may boots be returned?", "Who is the mayor?"])
@pytest.mark.parametrize("voiced", [True, False])
async def test_a_name_that_nobody_knows_is_told_where_documents_would_answer(
    question: str, voiced: bool
) -> None:
    router = await world(facts=0.97, manner=0.03, voiced=voiced)
    await router.publish("returns", RETURNS)
    with pytest.raises(UnknownModel, match=r"no model or adapter 'nobody'.*brand-voice, tiny"):
        await ask(router, question, adapter="nobody")


@pytest.mark.parametrize("named", ["tiny", "by-hand"])
async def test_a_name_that_only_the_model_server_knows_may_be_given_where_documents_answer(
    named: str,
) -> None:
    router = await world(("by-hand",), facts=0.97, manner=0.03, voiced=True)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "How long may unworn boots be returned?", adapter=named)
    assert "45 days" in answer.text


async def test_a_name_that_nobody_can_look_up_now_leaves_the_documents_to_answer() -> None:
    router = await world(facts=0.97, manner=0.03, voiced=True)
    await router.publish("returns", RETURNS)
    assert router.model is not None
    router.model.unavailable = Unavailable("It is down.", backend="model server", hint="Wait.")
    answer = await ask(router, "How long may unworn boots be returned?", adapter="by-hand")
    assert "45 days" in answer.text


async def a_classifier_of_tickets(**fields: Any) -> World:
    registry = FailingRegistry()
    schema = {"type": "object", "properties": {"queue": {"type": "string"}}}
    await put_live(registry, adapter_spec("tickets", schema=schema))
    said = '{"queue": "billing"}'
    router = await world(("tickets@1",), registry=registry, says=said, manner=0.03, **fields)
    await router.publish("returns", RETURNS)
    return router


async def test_an_adapter_with_a_form_that_is_named_reads_the_question_and_no_documents() -> None:
    router = await a_classifier_of_tickets(facts=0.97)
    answer = await ask(router, "Who is the mayor?", adapter="tickets")
    assert answer.text == '{"queue": "billing"}'
    assert (answer.decision.route, answer.decision.diverted) == (Route.BEHAVIOURAL, True)
    assert "the adapter that was named answers in a form of its own" in answer.decision.reason


async def test_whoever_names_an_adapter_with_a_form_may_insist_on_the_documents() -> None:
    router = await a_classifier_of_tickets(facts=0.97)
    asked = "How long may unworn boots be returned?"
    answer = await ask(router, asked, adapter="tickets", route=Route.HYBRID)
    assert (answer.decision.route, answer.text) == (Route.HYBRID, '{"queue": "billing"}')
    assert answer.evidence is not None


async def test_a_version_that_was_replaced_meanwhile_gives_way_to_its_successor() -> None:
    registry = FailingRegistry()
    await put_live(registry, VOICE)
    router = await world(("brand-voice@2",), registry=registry)
    await put_live(registry, adapter_spec("brand-voice", seed=2, examples=VOICE.examples))
    answer = await ask(router)
    assert answer.text == SAID
    assert heard(router).adapter == "brand-voice@2"
    assert answer.decision.adapter is not None
    assert answer.decision.adapter.version == 2


async def test_a_live_version_that_is_not_served_is_not_the_callers_mistake() -> None:
    with pytest.raises(ModelUnavailable, match="router adapters promote brand-voice@1"):
        await ask(await world(()))


async def test_a_hybrid_answer_without_its_adapter_falls_back_to_a_factual_one() -> None:
    router = await world((), facts=0.97)
    await router.publish("returns", RETURNS)
    answer = await ask(router, "rewrite in our brand voice how unworn boots are returned")
    assert answer.degraded is not None
    assert "45 days" in answer.text


async def test_the_trace_names_the_adapter_and_what_could_not_be_asked() -> None:
    spans, registry = InMemorySpanExporter(), FailingRegistry()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    await put_live(registry, VOICE)
    router = await world(registry=registry, tracing=Tracing(provider.get_tracer("tests")))
    registry.failure = REGISTRY_DOWN
    assert router.chooser is not None
    await router.chooser.live.refresh()
    assert (await ask(router)).text == SAID

    finished = {span.name: dict(span.attributes or {}) for span in spans.get_finished_spans()}
    for name in ("plan classify", "invoke_workflow query_router"):
        assert finished[name][names.ADAPTER_NAME] == "brand-voice"
        assert finished[name][names.ADAPTER_VERSION] == 1
        assert finished[name][names.ADAPTER_CHOSEN_BY] == "examples"
        assert finished[name][names.ADAPTER_SIMILARITY] == pytest.approx(1, abs=0.1)
    assert "The database is down." in str(finished["plan classify"][names.ADAPTERS_STALE])


async def test_live_adapters_are_listed_by_name_beside_what_is_served() -> None:
    cards = {card.name: card.base for card in await (await world()).router().models()}
    assert cards == {"tiny": None, "brand-voice@1": "tiny", "brand-voice": "tiny"}


async def test_a_name_that_is_only_a_candidate_is_told_as_that() -> None:
    registry = FailingRegistry()
    await registry.add(VOICE)
    asked = await world((), registry=registry)
    with pytest.raises(UnknownModel, match=r"brand-voice is live: brand-voice@1 is a candidate"):
        await ask(asked, adapter="brand-voice")


async def test_adapters_that_cannot_be_asked_about_are_told_by_the_ping() -> None:
    registry = FailingRegistry()
    await put_live(registry, VOICE)
    asked = await world(registry=registry)
    assert (await asked.router().ping())["adapters"] == "ok"
    registry.failure = REGISTRY_DOWN
    assert asked.chooser is not None
    await asked.chooser.live.refresh()
    assert "The database is down." in (await asked.router().ping())["adapters"]
