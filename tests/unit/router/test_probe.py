"""A decision in doubt about facts looks into the documents, once, and nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backends.base import ScoredPassage, SearchQuery
from backends.errors import Unavailable
from backends.memory.embedder import HashingEmbedder
from backends.memory.generator import ScriptedGenerator
from backends.memory.store import MemoryStore
from router.answer import Answer
from router.policy import Decision, Policy, Route
from router.probe import SUPPORT, Probe
from router.request import read_request
from router.steps import Steps
from router.tracing import names
from router.tracing.setup import Tracing
from tests.support.parts import RETURNS, World, untraced

QUESTION = "How long may unworn boots be returned?"
DOUBTS = Policy(probe=Probe(weight=1.0, centre=-1.0))


class WatchedStore(MemoryStore):
    """Counts what is searched for; may be down, or never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.searched: list[str] = []
        self.down: Unavailable | None = None
        self.silent = False
        self.waiting = asyncio.Event()
        self.left = asyncio.Event()

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        self.searched.append(query.text)
        if self.down:
            raise self.down
        if self.silent:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        return await super().search(query)


@dataclass
class Watched:
    """A world whose searches and spans are watched."""

    world: World
    store: WatchedStore
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    async def ask(self, question: str = QUESTION, **asked: Any) -> Answer:
        return await self.world.router().ask(question, **{"principal": "user:ana", **asked})

    async def decide(self, question: str = QUESTION, **asked: Any) -> Decision:
        return await self.world.router().decide(question, **{"principal": "user:ana", **asked})

    def attributes(self, step: str) -> dict[str, Any]:
        """Of the span of a step; empty where there is none."""
        for span in self.spans.get_finished_spans():
            attributes = dict(span.attributes or {})
            if attributes.get(names.GRAPH_NODE) == step:
                return attributes
        return {}


async def watched(facts: float, manner: float = 0.1, **parts: Any) -> Watched:
    """A world with one document."""
    store, spans = WatchedStore(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(provider.get_tracer("tests"))
    parts = {"policy": DOUBTS, "store": store, **parts}
    world = World(tracing, facts=facts, manner=manner, **parts)
    await world.publish("returns", RETURNS)
    return Watched(world, store, spans)


async def test_a_doubtful_question_that_the_documents_answer_needs_facts() -> None:
    seen = await watched(facts=0.45)

    answer = await seen.ask()

    assert answer.decision.route is Route.FACTUAL
    assert answer.decision.needs_facts > 0.6
    assert "45 days" in answer.text


async def test_what_the_probe_found_is_not_searched_for_again() -> None:
    seen = await watched(facts=0.55)

    answer = await seen.ask()

    assert seen.store.searched == [QUESTION]
    assert answer.citations
    assert "probe" in answer.timings_ms
    assert seen.attributes("retrieve")[names.EVIDENCE_PROBED] is True


async def test_a_hybrid_question_is_probed_for_what_is_to_be_found() -> None:
    model = ScriptedGenerator("Boots may be returned within 45 days of delivery. [1]")
    seen = await watched(facts=0.55, manner=0.9, model=model)

    answer = await seen.ask(f"{QUESTION} Answer like a pirate.")

    assert answer.decision.route is Route.HYBRID
    assert len(seen.store.searched) == 1
    assert "pirate" not in seen.store.searched[0]


async def test_a_reformulation_is_still_searched_for_after_a_probe() -> None:
    seen = await watched(facts=0.55, policy=Policy(probe=Probe(weight=0.1, centre=-5.0)))

    answer = await seen.ask("Could you tell me where visitors park their bicycles?")

    assert answer.abstained
    assert len(seen.store.searched) == 2


async def test_a_question_that_is_surely_none_for_documents_pays_for_no_search() -> None:
    class Unused(HashingEmbedder):
        async def embed(self, texts: Sequence[str]) -> Any:
            raise AssertionError("nobody needs a vector")

    seen = await watched(facts=0.02, manner=0.97, model=ScriptedGenerator("Ahoy!"))
    seen.world.embedder = Unused()

    answer = await seen.ask("Say hello like a pirate")

    assert answer.text == "Ahoy!"
    assert seen.store.searched == []


async def test_a_question_that_is_surely_one_for_documents_is_not_probed() -> None:
    seen = await watched(facts=0.97)

    answer = await seen.ask()

    assert "probe" not in answer.timings_ms
    assert seen.store.searched == [QUESTION]
    assert seen.attributes("retrieve")[names.EVIDENCE_PROBED] is False


@pytest.mark.parametrize(
    ("facts", "manner", "asked", "policy"),
    [
        (0.97, 0.5, {}, DOUBTS),
        (0.45, 0.1, {"principal": None}, DOUBTS),
        (0.45, 0.1, {"route": "behavioural"}, DOUBTS),
        (0.45, 0.1, {}, Policy(probe=Probe(weight=0.0))),
    ],
    ids=["doubt about manner", "nobody asks", "the caller decides", "no weight"],
)
async def test_nothing_is_looked_up_where_it_could_change_nothing(
    facts: float, manner: float, asked: dict[str, Any], policy: Policy
) -> None:
    seen = await watched(facts, manner, policy=policy)

    decision = await seen.decide(**asked)

    assert decision.needs_facts == facts
    assert seen.store.searched == []


async def test_a_router_without_documents_decides_without_a_probe() -> None:
    parts = replace(World(untraced(), facts=0.45, policy=DOUBTS).parts(), evidence=None)
    steps = Steps(parts)
    run = steps.start(read_request(QUESTION, principal="user:ana"))

    decision = await steps.decide(run)

    run.trace.end()
    assert decision.needs_facts == 0.45


async def test_documents_that_the_asker_may_not_see_say_nothing() -> None:
    seen = await watched(facts=0.45)
    await seen.world.publish("returns", RETURNS, acl="group:hr")

    decision = await seen.decide()

    assert decision.needs_facts == 0.45
    assert SUPPORT not in decision.features


async def test_the_probe_is_a_step_with_a_span_of_its_own() -> None:
    seen = await watched(facts=0.45)

    decision = await seen.decide()

    told = seen.attributes("probe")
    assert told[names.EVIDENCE_SUPPORT] == decision.features[SUPPORT]
    assert told[names.NEEDS_FACTS] == decision.needs_facts
    assert seen.attributes("classify")[names.NEEDS_FACTS] == 0.45


async def test_a_decision_that_was_probed_can_be_replayed_without_documents() -> None:
    seen = await watched(facts=0.45)

    decision = await seen.decide()

    assert DOUBTS.decide(0.45, 0.1, features=decision.features) == decision


async def test_a_probe_that_fails_leaves_the_decision_as_it_was() -> None:
    seen = await watched(facts=0.45, model=ScriptedGenerator("Ahoy!"))
    seen.store.down = Unavailable("The database does not answer.", backend="database")

    answer = await seen.ask()

    assert (answer.text, answer.decision.needs_facts) == ("Ahoy!", 0.45)
    assert seen.attributes("probe")[names.ERROR_TYPE] == "Unavailable"


async def test_a_probe_that_takes_too_long_leaves_the_decision_as_it_was() -> None:
    seen = await watched(facts=0.45, probe_timeout_s=0.05)
    seen.store.silent = True

    decision = await seen.decide()

    assert decision.needs_facts == 0.45
    assert seen.store.left.is_set()
    assert seen.attributes("probe")[names.ERROR_TYPE] == "TimeoutError"


async def test_whoever_stops_waiting_stops_the_probe() -> None:
    seen = await watched(facts=0.45)
    seen.store.silent = True

    deciding = asyncio.create_task(seen.decide())
    async with asyncio.timeout(5):
        await seen.store.waiting.wait()
        deciding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deciding

    assert seen.store.left.is_set()


async def test_the_judge_hears_only_what_is_still_uncertain_after_the_probe() -> None:
    settled, open_still = ScriptedGenerator("facts"), ScriptedGenerator("facts")
    sure = await watched(facts=0.45, judge=settled)
    unsure = await watched(facts=0.45, judge=open_still, policy=Policy(probe=Probe(0.01, 0.0)))

    first, second = await sure.decide(), await unsure.decide()

    assert (first.decided_by, len(settled.requests)) == ("classifier", 0)
    assert (second.decided_by, len(open_still.requests)) == ("judge", 1)
    assert SUPPORT in second.features


async def test_a_json_schema_is_kept_to_after_a_probe() -> None:
    model = ScriptedGenerator('{"days": 45}')
    seen = await watched(facts=0.45, model=model)

    answer = await seen.ask(schema={"type": "object"})

    assert answer.decision.route is Route.HYBRID
    assert answer.text == '{"days": 45}'
