"""The main path on twins: every edge of the graph can be walked without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from agents.behavioural import BehaviouralAgent
from agents.evidence import EvidenceFinder
from agents.factual import FactualAgent
from agents.hybrid import HybridAgent
from agents.judge import ModelJudge
from backends.base import Judge, NewDocument, NewPassage
from backends.extractive import ExtractiveGenerator
from backends.generation import Generator
from backends.memory.embedder import HashingEmbedder
from backends.memory.generator import ScriptedGenerator
from backends.memory.store import MemoryStore
from backends.principals import parse_principals
from router.api import Router
from router.app import App
from router.classify import Scores
from router.config import Settings
from router.policy import Policy, Route
from router.request import MAX_RESULTS
from router.search import Search
from router.state import Parts
from router.steps import Steps
from router.tracing.ports import TracedEmbedder, TracedGenerator, TracedRetriever
from router.tracing.setup import Tracing

if TYPE_CHECKING:
    from agents.base import Agent
    from agents.choosing import AdapterChooser

RETURNS = "Unworn boots may be returned within 45 days of delivery for a full refund."
SALARY = "Salary band C pays between 36,000 and 43,500 euros a year in Germany."


def untraced() -> Tracing:
    """Spans with ids that nobody receives."""
    return Tracing(TracerProvider(shutdown_on_exit=False).get_tracer("tests"))


class FixedClassifier:
    """Says what the test wants it to say."""

    def __init__(self, needs_facts: float, needs_manner: float) -> None:
        self._scores = (needs_facts, needs_manner)
        self.questions: list[str] = []

    async def classify(self, question: str) -> Scores:
        self.questions.append(question)
        return Scores(*self._scores, features={})


@dataclass
class World:
    """Twins of everything that the steps work with, and the steps on top of them."""

    tracing: Tracing
    facts: float = 0.95
    manner: float = 0.05
    model: ScriptedGenerator | None = None
    judge: ScriptedGenerator | Judge | None = None
    wording: bool = False
    voiced: bool = False
    quoting: ScriptedGenerator | None = None
    min_support: float = 0.3
    policy: Policy = field(default_factory=Policy)
    request_timeout_s: float = 30.0
    judge_timeout_s: float = 5.0
    probe_timeout_s: float = 5.0
    chooser: AdapterChooser | None = None
    embedder: HashingEmbedder = field(default_factory=HashingEmbedder)
    store: MemoryStore = field(default_factory=MemoryStore)

    def parts(self) -> Parts:
        quoting = self.quoting or ExtractiveGenerator(self.embedder)
        speaking = self._traced(self.model)
        hybrid = HybridAgent(speaking)
        agents: Mapping[Route, Agent] = {
            Route.FACTUAL: FactualAgent(
                quoting,
                speaking if self.wording else None,
                voiced=hybrid if self.voiced else None,
            ),
            Route.BEHAVIOURAL: BehaviouralAgent(speaking),
            Route.HYBRID: hybrid,
        }
        judge = self.judge
        if isinstance(judge, ScriptedGenerator):
            judge = ModelJudge(TracedGenerator(judge, self.tracing, provider="scripted"))
        return Parts(
            classifier=FixedClassifier(self.facts, self.manner),
            policy=self.policy,
            evidence=self._finder(limit=4),
            agents=agents,
            judge=judge,
            tracing=self.tracing,
            request_timeout_s=self.request_timeout_s,
            judge_timeout_s=self.judge_timeout_s,
            probe_timeout_s=self.probe_timeout_s,
            chooser=self.chooser,
        )

    def _finder(self, *, limit: int) -> EvidenceFinder:
        embedder = TracedEmbedder(self.embedder, self.tracing, provider="hashing")
        return EvidenceFinder(
            TracedRetriever(self.store, self.tracing),
            embedder,
            embedder,
            min_support=self.min_support,
            limit=limit,
        )

    def _traced(self, generator: ScriptedGenerator | None) -> Generator | None:
        if generator is None:
            return None
        return TracedGenerator(generator, self.tracing, provider="scripted")

    def steps(self) -> Steps:
        return Steps(self.parts())

    def router(self) -> Router:
        """The library's front door on these twins; call inside the event loop."""
        from router.graph import build_graph

        steps = self.steps()
        app = App(
            settings=Settings(),
            steps=steps,
            search=Search(
                self._finder(limit=MAX_RESULTS),
                self.store,
                self.tracing,
                timeout_s=self.request_timeout_s,
            ),
            graph=build_graph(steps),
            documents=self.store,
            embedder=self.embedder,
            generator=self.model,
            chooser=self.chooser,
        )
        return Router(app, loop=asyncio.get_running_loop())

    async def publish(
        self,
        source: str,
        body: str,
        acl: str | Sequence[str] = "everyone",
        **metadata: str,
    ) -> None:
        """Store a document of one passage."""
        document = NewDocument(
            source=source,
            title=source,
            body=body,
            media_type="text/plain",
            fingerprint=repr((body, acl, metadata)),
            acl=parse_principals(acl),
            metadata=metadata,
        )
        passages = [NewPassage(0, len(body), body)]
        await self.store.publish(document, passages, await self.embedder.embed([body]))
