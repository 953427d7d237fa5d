"""Narrowing by metadata, searching without an answer, and passages by their id, on twins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from langchain_core.runnables import RunnableConfig

from backends.base import Passage, PassageId
from backends.filters import Condition
from backends.memory.store import MemoryStore
from backends.principals import Principals
from router.api import Router
from router.errors import DeadlineExceeded, InvalidRequest, UnknownPassage
from router.request import MAX_QUERY, MAX_RESULTS, read_where
from router.serialise import evidence_json, found_json
from router.tracing.setup import Tracing
from tests.support.parts import World, untraced

QUESTION = "How many days of leave do I get?"
ANA = "user:ana"


@pytest.fixture
def traced() -> Tracing:
    return untraced()


async def ready(traced: Tracing) -> Router:
    world = World(traced)
    for country, days in (("DE", 30), ("FR", 25)):
        text = f"You get {days} days of leave each year."
        await world.publish(f"leave-{country}", text, country=country, price=str(days))
    await world.publish("pay", "Leave days are paid twice in secret.", acl="group:hr", band="C")
    return world.router()


@pytest.mark.parametrize(
    "where", [{"country": "FR"}, ["country=FR"], "country=FR", {"price": {"<": 30}}]
)
async def test_an_answer_rests_on_what_the_conditions_leave(
    traced: Tracing, where: Mapping[str, object]
) -> None:
    answer = await (await ready(traced)).ask(QUESTION, principal=ANA, where=where)

    assert "25 days" in answer.text
    assert {one.source for one in answer.citations} == {"leave-FR"}


async def test_conditions_never_add_what_may_not_be_seen(traced: Tracing) -> None:
    router = await ready(traced)
    everything = {
        hit.passage.source for hit in (await router.search(QUESTION, principal=ANA)).passages
    }

    for where in ({"country": ["DE", "FR"]}, "country!=DE", "price>=0"):
        found = await router.search(QUESTION, principal=ANA, where=where)
        assert {hit.passage.source for hit in found.passages} <= everything


async def test_conditions_that_nothing_satisfies_lead_to_an_abstention(traced: Tracing) -> None:
    answer = await (await ready(traced)).ask(QUESTION, principal=ANA, where={"country": "ES"})

    assert answer.abstained


@pytest.mark.parametrize("field", ["band", "nowhere"])
async def test_an_unknown_field_names_those_that_the_asker_may_see(
    traced: Tracing, field: str
) -> None:
    with pytest.raises(InvalidRequest, match=r"there are country, price\.") as raised:
        await (await ready(traced)).ask(QUESTION, principal=ANA, where={field: "C"})

    assert raised.value.field == "where"
    assert raised.value.public == str(raised.value)


@pytest.mark.parametrize(
    "where", [5, True, object(), {"country": None}, ["country"], [5], {"price": {"like": 1}}]
)
def test_what_is_no_condition_is_the_callers_mistake(where: object) -> None:
    with pytest.raises(InvalidRequest, match="where: ") as raised:
        read_where(where)

    assert raised.value.field == "where"


def test_no_condition_is_no_condition() -> None:
    assert read_where(None) == read_where({}) == read_where([]) == ()
    assert read_where("price<20") == (Condition("price", "<", (20,)),)


async def test_a_malformed_condition_is_said_before_the_first_event(traced: Tracing) -> None:
    router = await ready(traced)
    with pytest.raises(InvalidRequest, match="where: "):
        router.stream(QUESTION, principal=ANA, where="country")


async def test_a_runnable_takes_conditions_from_input_binding_and_config(traced: Tracing) -> None:
    runnable = (await ready(traced)).as_runnable()
    config = RunnableConfig(configurable={"principal": ANA, "where": {"country": "FR"}})

    said = [
        await runnable.ainvoke(QUESTION, config),
        await runnable.bind(principal=ANA, where=["country=FR"]).ainvoke(QUESTION),
        await runnable.ainvoke({"question": QUESTION, "principal": ANA, "where": "country=FR"}),
    ]

    assert all("25 days" in str(message.content) for message in said)


async def test_the_graph_takes_conditions_from_its_config(traced: Tracing) -> None:
    router = await ready(traced)
    config = RunnableConfig(configurable={"principal": ANA, "where": {"country": "FR"}})
    out = await router.graph.ainvoke({"question": QUESTION}, config)

    assert "25 days" in out["answer"].text


async def test_a_search_finds_what_the_asker_may_see_and_no_more(traced: Tracing) -> None:
    router = await ready(traced)
    found = await router.search(QUESTION, principal=ANA)
    hr = await router.search(QUESTION, principal="group:hr")

    assert {hit.passage.source for hit in found.passages} == {"leave-DE", "leave-FR"}
    assert {hit.passage.source for hit in hr.passages} == {"leave-DE", "leave-FR", "pay"}
    assert (found.query, len(found.trace_id)) == (QUESTION, 32)


async def test_nobody_finds_nothing(traced: Tracing) -> None:
    assert (await (await ready(traced)).search(QUESTION)).passages == ()


async def test_a_search_returns_no_more_than_is_asked_for(traced: Tracing) -> None:
    assert len((await (await ready(traced)).search(QUESTION, principal=ANA, limit=1)).passages) == 1


@pytest.mark.parametrize(
    ("query", "limit", "field"),
    [
        ("", 1, "query"),
        (" \n", 1, "query"),
        ("x" * (MAX_QUERY + 1), 1, "query"),
        (QUESTION, 0, "limit"),
        (QUESTION, MAX_RESULTS + 1, "limit"),
    ],
)
async def test_a_search_that_cannot_be_made_says_why(
    traced: Tracing, query: str, limit: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await (await ready(traced)).search(query, principal=ANA, limit=limit)

    assert raised.value.field == field


class SilentStore(MemoryStore):
    """Never answers a look-up."""

    async def passage(self, passage_id: PassageId, *, visible_to: Principals) -> Passage | None:
        await asyncio.Event().wait()
        return None


async def test_a_look_up_ends_with_its_time(traced: Tracing) -> None:
    router = World(traced, store=SilentStore(), request_timeout_s=0.01).router()
    with pytest.raises(DeadlineExceeded, match=r"longer than 0\.01 s"):
        await router.passage("1", principal=ANA)


async def test_half_a_surrogate_pair_is_read_as_a_question_mark(traced: Tracing) -> None:
    router = await ready(traced)
    found = await router.search("leave \ud83d days", principal=ANA)
    answer = await router.ask("How many days of leave \udfff do I get?", principal=ANA)

    assert found.query == "leave ? days"
    assert "days of leave" in answer.text


async def test_a_cited_passage_can_be_looked_up_by_those_who_may_see_it(traced: Tracing) -> None:
    router = await ready(traced)
    answer = await router.ask(QUESTION, principal=ANA)
    cited = answer.citations[0]

    passage = await router.passage(cited.passage_id, principal="everyone")

    assert passage.text == cited.passage
    for nobody in (None, ""):
        with pytest.raises(UnknownPassage):
            await router.passage(cited.passage_id, principal=nobody)


async def test_no_scores_that_count_hidden_passages_are_told(traced: Tracing) -> None:
    router = await ready(traced)
    found = await router.search(QUESTION, principal=ANA)
    answer = await router.ask(QUESTION, principal=ANA)
    assert answer.evidence is not None

    for passage in (
        found_json(found)["passages"][0],
        evidence_json(answer.evidence)["passages"][0],
    ):
        assert {"score", "similarity"} <= passage.keys()
        assert "lexical" not in passage
