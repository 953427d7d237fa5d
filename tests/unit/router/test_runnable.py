"""The router as a LangChain Runnable."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda

from router.errors import InvalidRequest, ModelUnavailable, RouterError
from router.runnable import RouterRunnable
from router.tracing.setup import Tracing
from tests.support.parts import RETURNS, World, untraced

QUESTION = "How long may unworn boots be returned?"
ANA = RunnableConfig(configurable={"principal": "user:ana"})


@pytest.fixture
def traced() -> Tracing:
    return untraced()


async def ready(traced: Tracing) -> RouterRunnable:
    world = World(traced)
    await world.publish("returns", RETURNS)
    return world.router().as_runnable()


async def test_an_invocation_gives_a_message_with_the_decision(traced: Tracing) -> None:
    runnable = await ready(traced)

    said = await runnable.ainvoke({"question": QUESTION, "principal": "user:ana"})

    assert isinstance(said, AIMessage)
    assert said.response_metadata["decision"]["route"] == "factual"
    assert said.response_metadata["citations"][0]["quote"] in RETURNS


async def test_the_principal_may_come_from_the_config(traced: Tracing) -> None:
    runnable = await ready(traced)

    assert "45 days" in (await runnable.ainvoke(QUESTION, ANA)).content


async def test_the_principal_may_be_bound(traced: Tracing) -> None:
    bound = (await ready(traced)).bind(principal="user:ana")

    assert "45 days" in (await bound.ainvoke(QUESTION)).content


async def test_an_unknown_argument_is_refused_by_name(traced: Tracing) -> None:
    with pytest.raises(InvalidRequest, match="'user'"):
        await (await ready(traced)).ainvoke(QUESTION, user="ana")


async def test_it_composes_with_prompts_and_parsers(traced: Tracing) -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "How long may {thing} be returned?")])
    chain = prompt | await ready(traced) | StrOutputParser()

    assert "45 days" in await chain.ainvoke({"thing": "unworn boots"}, ANA)


async def test_it_composes_with_plain_functions(traced: Tracing) -> None:
    chain = await ready(traced) | RunnableLambda(lambda said: said.content.upper())

    assert "45 DAYS" in await chain.ainvoke(QUESTION, ANA)


async def test_streamed_chunks_add_up_to_the_message(traced: Tracing) -> None:
    runnable = await ready(traced)

    chunks = [chunk async for chunk in runnable.astream([HumanMessage(QUESTION)], ANA)]

    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert whole.content == (await runnable.ainvoke(QUESTION, ANA)).content
    assert whole.response_metadata["decision"]["route"] == "factual"


async def test_a_thread_outside_the_loop_can_invoke_batch_and_stream(traced: Tracing) -> None:
    runnable = await ready(traced)

    def synchronous() -> tuple[str, list[str], str]:
        invoked = str(runnable.invoke(QUESTION, ANA).content)
        batched = [str(said.content) for said in runnable.batch([QUESTION, QUESTION], ANA)]
        streamed = "".join(str(chunk.content) for chunk in runnable.stream(QUESTION, ANA))
        return invoked, batched, streamed

    invoked, batched, streamed = await asyncio.to_thread(synchronous)

    assert batched == [invoked, invoked]
    assert streamed == invoked


async def test_waiting_inside_the_loop_is_refused_instead_of_hanging(traced: Tracing) -> None:
    runnable = await ready(traced)

    with pytest.raises(RouterError, match="ainvoke"):
        runnable.invoke(QUESTION, ANA)


async def test_an_unknown_input_key_is_refused_by_name(traced: Tracing) -> None:
    runnable = await ready(traced)

    with pytest.raises(InvalidRequest, match="'user'"):
        await runnable.ainvoke({"question": QUESTION, "user": "ana"})


async def test_a_failure_reaches_a_synchronous_reader_of_the_stream(traced: Tracing) -> None:
    runnable = World(traced, facts=0.02, manner=0.97).router().as_runnable()

    with pytest.raises(ModelUnavailable):
        await asyncio.to_thread(lambda: list(runnable.stream("Say hello", ANA)))


async def test_callbacks_hear_of_a_stream(traced: Tracing) -> None:
    runnable = await ready(traced)

    heard = [event["event"] async for event in runnable.astream_events(QUESTION, ANA, version="v2")]

    assert heard[0] == "on_chain_start"
    assert "on_chain_stream" in heard
    assert heard[-1] == "on_chain_end"
