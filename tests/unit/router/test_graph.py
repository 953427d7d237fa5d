"""The main path: every edge, on twins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from agents.base import Cited, Token
from backends.base import Message, Verdict
from backends.errors import BackendError, Garbled, Refused, Unavailable
from backends.generation import Generation, GenerationRequest
from backends.memory.generator import Script, ScriptedGenerator
from backends.memory.judge import ScriptedJudge
from router.answer import Answer, Decided, Event, EvidenceFound, Finished
from router.errors import (
    ConfigurationFault,
    DeadlineExceeded,
    ModelUnavailable,
    UnknownModel,
    UpstreamFailed,
)
from router.graph import build_graph
from router.policy import Policy, Route
from router.probe import Probe
from router.request import read_request
from router.tracing.setup import Tracing
from tests.support.parts import RETURNS, SALARY, World, untraced

QUESTION = "How long may unworn boots be returned?"
UNPROBED = Policy(probe=Probe(weight=0.0))
DOWN = Unavailable("The model server does not answer.", backend="model server")


async def walk(world: World, question: Any = QUESTION, **asked: Any) -> list[Event]:
    """Go through the graph and return the events in their order."""
    asked.setdefault("principal", "user:ana")
    steps = world.steps()
    run = steps.start(read_request(question, **asked))
    stream = build_graph(steps).astream({"run": run}, stream_mode="custom")
    return [event async for event in cast("AsyncGenerator[Event]", stream)]


class SilentGenerator(ScriptedGenerator):
    """Takes the request and never answers."""

    async def complete(self, request: GenerationRequest) -> Generation:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


def answer_of(events: list[Event]) -> Answer:
    assert isinstance(events[-1], Finished)
    return events[-1].answer


@pytest.fixture
def traced() -> Tracing:
    return untraced()


async def test_a_factual_question_is_answered_from_evidence_with_citations(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    events = await walk(world)

    kinds = [type(event) for event in events]
    assert kinds[:2] == [Decided, EvidenceFound]
    assert kinds.index(Token) < kinds.index(Cited) < kinds.index(Finished)
    answer = answer_of(events)
    assert answer.decision.route is Route.FACTUAL
    assert "45 days" in answer.text
    assert answer.citations[0].quote in RETURNS


async def test_the_tokens_of_a_stream_add_up_to_the_answer(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    events = await walk(world)

    shown = "".join(event.text for event in events if isinstance(event, Token))
    assert shown == answer_of(events).text


async def test_a_behavioural_question_goes_straight_to_the_model(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97, model=ScriptedGenerator("Ahoy!"))

    events = await walk(world, "Say hello like a pirate")

    assert [type(event) for event in events if not isinstance(event, Token)] == [Decided, Finished]
    assert answer_of(events).text == "Ahoy!"


async def test_a_wish_about_an_answer_gives_the_model_the_conversation(traced: Tracing) -> None:
    model = ScriptedGenerator("You have 45 whole days!")
    world = World(traced, facts=0.02, manner=0.97, model=model)
    turns = (
        Message("user", QUESTION),
        Message("assistant", "Within 45 days."),
        Message("user", "Make it friendlier"),
    )

    answer = answer_of(await walk(world, turns))

    assert model.requests[0].messages == turns
    assert "Within 45 days." in answer.standalone_question


async def test_a_hybrid_question_gives_the_model_the_evidence(traced: Tracing) -> None:
    model = ScriptedGenerator("Good news: boots may be returned within 45 days of delivery. [1]")
    world = World(traced, facts=0.97, manner=0.97, model=model)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world, "Write a friendly reply about returning unworn boots"))

    assert RETURNS in model.requests[0].messages[0].content
    assert answer.decision.route is Route.HYBRID
    assert answer.citations[0].quote in RETURNS


async def test_thin_evidence_is_searched_for_once_more_and_then_admitted(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    events = await walk(world, "Could you tell me where visitors park their bicycles?")

    assert sum(isinstance(event, EvidenceFound) for event in events) == 2
    assert answer_of(events).abstained
    assert "visitors park their bicycles" in answer_of(events).text


async def test_a_second_search_in_other_words_may_find_what_the_first_did_not(
    traced: Tracing,
) -> None:
    world = World(traced, min_support=0.7)
    await world.publish("hours", "The shop opens at nine.")

    events = await walk(world, "Hi, could you please kindly tell me when the shop opens?")

    assert sum(isinstance(event, EvidenceFound) for event in events) == 2
    assert "nine" in answer_of(events).text


async def test_a_question_that_has_no_other_words_is_searched_for_once(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    events = await walk(world, "where visitors park their bicycles")

    assert sum(isinstance(event, EvidenceFound) for event in events) == 1
    assert answer_of(events).abstained


async def test_what_the_asker_may_not_see_reads_like_what_does_not_exist(traced: Tracing) -> None:
    hidden, absent = World(traced), World(traced)
    await hidden.publish("salary", SALARY, acl="group:hr")

    question = "What does salary band C pay in Germany?"

    assert (
        answer_of(await walk(hidden, question)).text == answer_of(await walk(absent, question)).text
    )
    allowed = await walk(hidden, question, principal="user:ana,group:hr")
    assert "43,500" in answer_of(allowed).text


async def test_without_a_principal_nothing_is_searched_and_the_answer_says_so(
    traced: Tracing,
) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world, principal=None))

    assert answer.abstained
    assert "without a principal" in answer.text


async def test_an_uncertain_decision_goes_to_the_judge(traced: Tracing) -> None:
    world = World(
        traced,
        facts=0.55,
        manner=0.1,
        model=ScriptedGenerator("Ahoy!"),
        judge=ScriptedGenerator("manner"),
    )

    answer = answer_of(await walk(world))

    assert answer.decision.decided_by == "judge"
    assert answer.decision.route is Route.BEHAVIOURAL


async def test_a_judge_that_takes_too_long_leaves_the_decision_to_the_policy(
    traced: Tracing,
) -> None:
    world = World(
        traced,
        facts=0.55,
        manner=0.1,
        judge=SilentGenerator(),
        judge_timeout_s=0.05,
        policy=UNPROBED,
    )
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert answer.decision.decided_by == "classifier"
    assert answer.citations


async def test_a_judge_that_is_down_leaves_the_decision_to_the_policy(traced: Tracing) -> None:
    judge = ScriptedGenerator()
    judge.unavailable = DOWN
    world = World(traced, facts=0.55, manner=0.1, judge=judge, policy=UNPROBED)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert answer.decision.decided_by == "classifier"
    assert answer.decision.route is Route.FACTUAL


@pytest.mark.parametrize(
    ("hands_on", "for_judge", "decided_by"),
    [(True, False, "judge"), (True, True, "classifier"), (False, True, "judge")],
)
async def test_what_one_router_asks_as_a_judge_is_not_handed_on_to_another(
    traced: Tracing, hands_on: bool, for_judge: bool, decided_by: str
) -> None:
    judge = ScriptedJudge(Verdict(needs_facts=False, needs_manner=True), hands_on=hands_on)
    router = World(traced, facts=0.55, manner=0.1, judge=judge).router()

    decided = await router.decided(QUESTION, principal="user:ana", for_judge=for_judge)

    assert decided.decision.decided_by == decided_by
    assert judge.questions == ([QUESTION] if decided_by == "judge" else [])


async def test_an_uncertain_decision_without_a_judge_takes_the_uncertain_route(
    traced: Tracing,
) -> None:
    policy = Policy(uncertain_route=Route.FACTUAL, probe=Probe(weight=0.0))
    world = World(traced, facts=0.45, manner=0.1, policy=policy)
    await world.publish("returns", RETURNS)

    assert answer_of(await walk(world)).decision.route is Route.FACTUAL


async def test_a_route_that_the_caller_insists_on_is_taken(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world, route="factual"))

    assert answer.decision.decided_by == "caller"
    assert answer.decision.needs_manner == 0.97
    assert answer.citations


async def test_a_hybrid_question_without_a_model_is_answered_with_facts_and_says_so(
    traced: Tracing,
) -> None:
    world = World(traced, facts=0.97, manner=0.97)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert "45 days" in answer.text
    assert answer.degraded is not None
    assert "ROUTER_VLLM_URL" in answer.degraded


async def test_a_behavioural_question_without_a_model_fails_clearly(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97)

    with pytest.raises(ModelUnavailable, match="ROUTER_VLLM_URL"):
        await walk(world, "Say hello like a pirate")


async def test_a_fallback_to_a_route_with_facts_retrieves_first(traced: Tracing) -> None:
    policy = Policy(fallbacks={Route.BEHAVIOURAL: Route.FACTUAL})
    world = World(traced, facts=0.02, manner=0.97, policy=policy)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert answer.citations
    assert answer.degraded is not None


async def test_a_model_that_has_failed_is_not_asked_again_by_the_fallback(traced: Tracing) -> None:
    model = ScriptedGenerator()
    model.unavailable = DOWN
    world = World(traced, facts=0.97, manner=0.97, model=model, wording=True)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert len(model.requests) == 1
    assert answer.citations


async def test_a_fallback_to_hybrid_speaks_from_evidence(traced: Tracing) -> None:
    policy = Policy(fallbacks={Route.FACTUAL: Route.HYBRID})
    model = ScriptedGenerator("Unworn boots may be returned within 45 days of delivery. [1]")
    world = World(traced, policy=policy, model=model, quoting=ScriptedGenerator())
    assert world.quoting is not None
    world.quoting.unavailable = DOWN
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert answer.citations
    assert answer.degraded is not None


async def test_a_json_schema_is_a_format_that_only_a_model_can_keep_to(traced: Tracing) -> None:
    model = ScriptedGenerator('{"days": [45]}')
    world = World(traced, model=model)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world, schema={"type": "object"}))

    assert answer.decision.route is Route.HYBRID
    assert answer.text == '{"days": [45]}'
    assert model.requests[0].schema == {"type": "object"}


async def test_a_json_schema_is_kept_to_after_the_judge(traced: Tracing) -> None:
    model, judge = ScriptedGenerator('{"days": [45]}'), ScriptedGenerator("facts")
    world = World(traced, facts=0.45, manner=0.1, model=model, judge=judge, policy=UNPROBED)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world, schema={"type": "object"}))

    assert (answer.decision.decided_by, answer.decision.route) == ("judge", Route.HYBRID)
    assert answer.text == '{"days": [45]}'


async def test_an_answer_that_is_not_the_json_asked_for_fails(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97, model=ScriptedGenerator("Sure! Here it is"))

    with pytest.raises(UpstreamFailed, match="JSON"):
        await walk(world, "Give me a colour", schema={"type": "object"})


async def test_json_cut_by_its_token_limit_says_so_instead_of_failing(traced: Tracing) -> None:
    cut = ScriptedGenerator(Script(text='{"colour": "be', finish_reason="length"))
    world = World(traced, facts=0.02, manner=0.97, model=cut)

    answer = answer_of(await walk(world, "Give me a colour", schema={"type": "object"}))

    assert answer.finish_reason == "length"


async def test_without_a_model_a_schema_is_not_answered_with_prose(traced: Tracing) -> None:
    world = World(traced)
    await world.publish("returns", RETURNS)

    with pytest.raises(ModelUnavailable):
        await walk(world, schema={"type": "object"})


async def test_a_model_that_finds_no_answer_in_the_passages_abstains(traced: Tracing) -> None:
    world = World(traced, model=ScriptedGenerator("NO ANSWER."), wording=True)
    await world.publish("returns", RETURNS)

    events = await walk(world)

    answer = answer_of(events)
    assert answer.abstained
    assert "could not find" in answer.text
    assert "".join(event.text for event in events if isinstance(event, Token)) == answer.text


async def test_a_worded_answer_without_a_citation_says_so(traced: Tracing) -> None:
    world = World(traced, model=ScriptedGenerator("No idea, perhaps 60 days."), wording=True)
    await world.publish("returns", RETURNS)

    assert "no passage" in str(answer_of(await walk(world)).degraded)


async def test_the_callers_system_message_stands_beside_the_passages(traced: Tracing) -> None:
    model = ScriptedGenerator("Boots may be returned within 45 days of delivery. [1]")
    world = World(traced, facts=0.97, manner=0.97, model=model)
    await world.publish("returns", RETURNS)
    turns = [{"role": "system", "content": "Say ahoy."}, {"role": "user", "content": QUESTION}]

    await walk(world, turns)

    roles = [message.role for message in model.requests[0].messages]
    assert roles == ["system", "user"]
    assert "Say ahoy." in model.requests[0].messages[0].content


async def test_a_long_question_is_decided_by_its_beginning_and_end(traced: Tracing) -> None:
    model = ScriptedGenerator("Ahoy!")
    world = World(traced, facts=0.02, manner=0.97, model=model)
    pasted = "word " * 100_000

    answer = answer_of(await walk(world, f"Shorten this: {pasted}"))

    assert len(answer.standalone_question) < 10_000
    assert model.requests[0].messages[0].content.endswith(pasted)


async def test_a_fallback_that_fails_as_well_does_not_go_round_in_circles(traced: Tracing) -> None:
    policy = Policy(fallbacks={Route.BEHAVIOURAL: Route.HYBRID, Route.HYBRID: Route.BEHAVIOURAL})
    world = World(traced, facts=0.02, manner=0.97, policy=policy)
    await world.publish("returns", RETURNS)

    with pytest.raises(ModelUnavailable):
        await walk(world)


async def test_a_model_that_fails_in_mid_answer_does_not_fall_back(traced: Tracing) -> None:
    script = Script(text="Good news! About boots", fails_with=DOWN, fails_after=3)
    world = World(traced, facts=0.97, manner=0.97, model=ScriptedGenerator(script))
    await world.publish("returns", RETURNS)

    with pytest.raises(ModelUnavailable):
        await walk(world)


async def test_a_model_that_is_down_leaves_factual_answers_to_quotation(traced: Tracing) -> None:
    model = ScriptedGenerator()
    model.unavailable = DOWN
    world = World(traced, model=model, wording=True)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert "45 days" in answer.text
    assert answer.degraded is not None


@pytest.mark.parametrize(
    "failure",
    [
        Refused("The key is wrong.", backend="model server", status=401),
        Refused("No such model.", backend="model server", status=404),
        Garbled("That is no stream.", backend="model server"),
    ],
)
async def test_a_model_server_that_fails_in_any_way_leaves_factual_answers_to_quotation(
    traced: Tracing, failure: BackendError
) -> None:
    model = ScriptedGenerator()
    model.unavailable = failure
    world = World(traced, model=model, wording=True)
    await world.publish("returns", RETURNS)

    answer = answer_of(await walk(world))

    assert "45 days" in answer.text
    assert answer.degraded is not None


async def test_a_model_that_says_nothing_leaves_factual_answers_to_quotation(
    traced: Tracing,
) -> None:
    world = World(traced, model=ScriptedGenerator(""), wording=True)
    await world.publish("returns", RETURNS)

    assert "45 days" in answer_of(await walk(world)).text


async def test_a_behavioural_answer_that_is_empty_is_a_failure(traced: Tracing) -> None:
    world = World(traced, facts=0.02, manner=0.97, model=ScriptedGenerator(""))

    with pytest.raises(UpstreamFailed, match="nothing"):
        await walk(world, "Say hello")


async def test_an_unknown_adapter_that_the_caller_named_is_the_callers_mistake(
    traced: Tracing,
) -> None:
    world = World(traced, facts=0.97, manner=0.97, model=ScriptedGenerator())
    await world.publish("returns", RETURNS)

    with pytest.raises(UnknownModel):
        await walk(world, adapter="nobody")


@pytest.mark.parametrize("manner", [0.03, 0.97])
async def test_a_name_that_a_caller_gives_is_unknown_where_no_model_is_connected(
    traced: Tracing, manner: float
) -> None:
    world = World(traced, facts=0.97, manner=manner)
    await world.publish("returns", RETURNS)

    with pytest.raises(UnknownModel, match="ROUTER_VLLM_URL"):
        await walk(world, adapter="brand-voice")


async def test_an_unknown_default_model_is_the_installations_fault(traced: Tracing) -> None:
    model = ScriptedGenerator()
    model.unavailable = Refused("No such model.", backend="model server", status=404)
    world = World(traced, facts=0.02, manner=0.97, model=model)

    with pytest.raises(ConfigurationFault, match="ROUTER_VLLM_MODEL"):
        await walk(world, "Say hello")


async def test_closing_a_stream_early_cancels_the_model(traced: Tracing) -> None:
    gate = asyncio.Event()
    model = ScriptedGenerator(Script(text="one two three", gate=gate))
    world = World(traced, facts=0.02, manner=0.97, model=model)
    steps = world.steps()
    run = steps.start(read_request("Say hello", principal="user:ana"))
    stream = cast(
        "AsyncGenerator[Event]",
        build_graph(steps).astream({"run": run}, stream_mode="custom"),
    )
    async for event in stream:
        if isinstance(event, Token):
            break

    await stream.aclose()

    async with asyncio.timeout(1):
        await model.abandoned.wait()


async def test_a_question_that_takes_too_long_is_ended_by_its_deadline(traced: Tracing) -> None:
    model = ScriptedGenerator(Script(text="one two", gate=asyncio.Event()))
    world = World(traced, facts=0.02, manner=0.97, model=model, request_timeout_s=0.05)

    with pytest.raises(DeadlineExceeded, match="behavioural"):
        await walk(world, "Say hello")


async def test_the_graph_is_a_node_of_a_chat_graph(traced: Tracing) -> None:
    from langchain_core.messages import AIMessage, HumanMessage
    from langgraph.graph import END, START, MessagesState, StateGraph

    class Chat(MessagesState):
        principal: str

    world = World(traced)
    await world.publish("returns", RETURNS)
    outer = StateGraph(Chat)
    outer.add_node("router", build_graph(world.steps()))
    outer.add_edge(START, "router")
    outer.add_edge("router", END)

    state = await outer.compile().ainvoke(
        {"messages": [HumanMessage(QUESTION)], "principal": "user:ana"}
    )

    assert len(state["messages"]) == 2
    said = state["messages"][-1]
    assert isinstance(said, AIMessage)
    assert "45 days" in said.content
    assert said.response_metadata["decision"]["route"] == "factual"


async def test_a_plain_chat_graph_names_the_principal_in_its_config(traced: Tracing) -> None:
    from langchain_core.messages import HumanMessage
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph import END, START, MessagesState, StateGraph

    world = World(traced)
    await world.publish("returns", RETURNS)
    outer = StateGraph(MessagesState)
    outer.add_node("router", build_graph(world.steps()))
    outer.add_edge(START, "router")
    outer.add_edge("router", END)

    state = await outer.compile().ainvoke(
        {"messages": [HumanMessage(QUESTION)]},
        RunnableConfig(configurable={"principal": "user:ana"}),
    )

    assert "45 days" in state["messages"][-1].content


async def test_a_graph_that_fails_fails_with_the_routers_own_errors(traced: Tracing) -> None:
    graph = build_graph(World(traced, facts=0.02, manner=0.97).steps())

    with pytest.raises(ModelUnavailable):
        await graph.ainvoke({"question": "Say hello", "principal": "user:ana"})
