"""Wiring: opens every part, puts them together, pings them, and closes them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from agents.behavioural import BehaviouralAgent
from agents.choosing import AdapterChooser
from agents.condense_model import ModelCondenser
from agents.evidence import EvidenceFinder
from agents.factual import FactualAgent
from agents.hybrid import HybridAgent
from agents.judge import ModelJudge
from agents.live_adapters import LiveAdapters
from backends import terms
from backends.base import DocumentStore, Embedder, Judge, Reranker
from backends.errors import BackendError
from backends.generation import Generator, ModelCard
from backends.trimming import give_back
from router.adapters import (
    host_of,
    kept_in_order,
    make_ready,
    open_embedder,
    open_generator,
    open_judge,
    open_question_encoder,
    open_reader,
    open_registry,
    open_reranker,
    open_store,
)
from router.classify import (
    Classifier,
    Heads,
    HeadsClassifier,
    shipped_encoder,
    shipped_heads,
)
from router.policies import load_policy
from router.policy import Policy, Route
from router.request import MAX_RESULTS
from router.search import Search
from router.state import Parts
from router.steps import Steps
from router.tracing.ports import (
    TracedEmbedder,
    TracedGenerator,
    TracedJudge,
    TracedReranker,
    TracedRetriever,
)
from router.tracing.setup import Tracing, tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from agents.base import Agent
    from backends.pgvector import PgvectorStore
    from router.config import Settings
    from router.graph import Graph

PING_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class App:
    """Everything that is open while a router is."""

    settings: Settings
    steps: Steps
    search: Search
    graph: Graph
    documents: DocumentStore
    embedder: Embedder
    generator: Generator | None
    chooser: AdapterChooser | None = None

    async def models(self) -> list[ModelCard]:
        """Return what the model server serves, and live adapters by name; nothing without one.

        Raises:
            BackendError: There is one and it does not answer.
        """
        cards = list(await self.generator.models()) if self.generator else []
        served = {card.name for card in cards}
        live = self.chooser.live.snapshot.adapters if self.chooser else {}
        named = (ModelCard(name, each.adapter.spec.base) for name, each in live.items())
        return cards + [card for card in named if card.name not in served]

    async def ping(self) -> dict[str, str]:
        """Ask each part whether it works; ``ok``, or what is wrong with it."""
        asked: dict[str, Awaitable[object]] = {
            "database": self.documents.ping(),
            "embedder": self.embedder.embed(["ping"]),
        }
        if self.generator is not None:
            name = "model server" if self.settings.vllm_url else "starter model"
            asked[name] = self.generator.models()
        answers = await asyncio.gather(*(_pinged(part) for part in asked.values()))
        said = dict(zip(asked, answers, strict=True))
        live = {"adapters": self.chooser.live.snapshot.stale or "ok"} if self.chooser else {}
        return said | live


@asynccontextmanager
async def open_app(
    settings: Settings, *, processors: Sequence[SpanProcessor] = ()
) -> AsyncIterator[App]:
    """Open every part that the settings name, for the length of the block.

    Args:
        settings: Already checked.
        processors: More receivers of spans.

    Raises:
        SettingsError: The policy cannot be read; nothing was opened.
        BackendError: A part cannot be opened; the ones already open are closed again.
    """
    heads = shipped_heads()
    policy = load_policy(settings.policy, heads)
    async with AsyncExitStack() as stack:
        # LangGraph takes two seconds to import; the database starts meanwhile.
        importing = asyncio.create_task(asyncio.to_thread(_import_what_is_slow))
        stack.callback(importing.cancel)
        spans = await stack.enter_async_context(
            tracing(
                settings.traces, capture_content=settings.capture_content, processors=processors
            )
        )
        generator = await stack.enter_async_context(open_generator(settings))
        reading = asyncio.create_task(make_ready(generator))
        stack.push_async_callback(_ended, reading)
        embedder = await stack.enter_async_context(open_embedder(settings))
        reader = await _open_remembering_reader(settings, embedder, stack)
        classifier = await _open_classifier(settings, heads, policy, stack)
        store = await stack.enter_async_context(open_store(settings, embedder))
        reranker = await stack.enter_async_context(open_reranker(settings))
        judge = await stack.enter_async_context(open_judge(settings, policy))
        opened = _Opened(settings, spans, embedder, reader, store, generator, reranker, judge)
        chooser = await _open_chooser(opened, stack)
        steps = Steps(replace(_parts(opened, policy, classifier), chooser=chooser))
        search = Search(
            _evidence(opened, policy, limit=MAX_RESULTS),
            store,
            spans,
            timeout_s=settings.timeouts.request,
        )
        await reading
        await importing
        await asyncio.to_thread(give_back)
        from router.graph import build_graph

        yield App(
            settings=settings,
            steps=steps,
            search=search,
            graph=build_graph(steps),
            documents=store,
            embedder=embedder,
            generator=generator,
            chooser=chooser,
        )


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What finds evidence, put together as for a router, and nobody who answers."""

    policy: Policy
    store: PgvectorStore
    embedder: Embedder
    """Makes the vectors of documents, and of their sentences where it can."""
    asking: Embedder
    """Makes those of questions; it remembers texts, where a router's does."""
    finder: Callable[[int], EvidenceFinder]
    """Returns what finds evidence of at most so many passages."""


@asynccontextmanager
async def open_retrieval(settings: Settings) -> AsyncIterator[Retrieval]:
    """Open what finds evidence as `open_app` does, without models that answer and without spans.

    Raises:
        SettingsError: The policy cannot be read; nothing was opened.
        BackendError: A part cannot be opened; the ones already open are closed again.
    """
    heads = shipped_heads()
    policy = load_policy(settings.policy, heads)
    async with AsyncExitStack() as stack:
        embedder = await stack.enter_async_context(open_embedder(settings))
        reader = await _open_remembering_reader(settings, embedder, stack)
        store = await stack.enter_async_context(open_store(settings, embedder))
        await asyncio.to_thread(terms.load)
        spans = await stack.enter_async_context(tracing("none", capture_content=False))
        reranker = await stack.enter_async_context(open_reranker(settings))
        opened = _Opened(settings, spans, embedder, reader, store, None, reranker)
        asking, _ = _embedders(opened)
        yield Retrieval(policy, store, embedder, asking, partial(_evidence, opened, policy))


@asynccontextmanager
async def open_decisions(settings: Settings) -> AsyncIterator[Steps]:
    """Open what decides as `open_app` does: no documents, nobody who answers or judges, no spans.

    Conversations are condensed by the rules.

    Raises:
        SettingsError: The policy cannot be read; nothing was opened.
        BackendError: What reads questions cannot be opened.
    """
    heads = shipped_heads()
    policy = load_policy(settings.policy, heads)
    async with AsyncExitStack() as stack:
        spans = await stack.enter_async_context(tracing("none", capture_content=False))
        parts = Parts(
            classifier=await _open_classifier(settings, heads, policy, stack),
            policy=policy,
            evidence=None,
            agents={},
            judge=None,
            tracing=spans,
            request_timeout_s=settings.timeouts.request,
            judge_timeout_s=settings.timeouts.judge,
        )
        yield Steps(parts)


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, whatever became of it."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, also where something else failed first


def _import_what_is_slow() -> None:
    import_module("router.graph")
    terms.load()


async def _open_classifier(
    settings: Settings, heads: Heads, policy: Policy, stack: AsyncExitStack
) -> Classifier:
    packed = shipped_encoder()
    encoder = await stack.enter_async_context(open_question_encoder(settings, packed))
    return HeadsClassifier(encoder, heads, (policy.facts_threshold, policy.manner_threshold))


async def _open_remembering_reader(
    settings: Settings, embedder: Embedder, stack: AsyncExitStack
) -> Embedder:
    from backends.embedding_cache import CachingEmbedder

    # Sentences of the same passages are compared with one question after the other.
    return CachingEmbedder(await stack.enter_async_context(open_reader(settings, embedder)))


async def _open_chooser(opened: _Opened, stack: AsyncExitStack) -> AdapterChooser | None:
    generator, settings = opened.generator, opened.settings
    if generator is None:
        return None
    host = host_of(generator)

    async def bases() -> Sequence[str]:
        if host is not None:
            return await host.bases()
        return [card.name for card in await generator.models() if card.base is None]

    registry = await stack.enter_async_context(open_registry(settings))
    await stack.enter_async_context(kept_in_order(generator, registry))
    # In this process nobody else sees to it that adapters are loaded.
    loading = None if settings.vllm_url else host
    # Without spans: nobody has asked for what is embedded here.
    keeping = LiveAdapters(registry, opened.reader, bases, host=loading)
    live = await stack.enter_async_context(keeping.opened())
    _, reader = _embedders(opened)
    return AdapterChooser(
        live,
        reader,
        model=lambda: generator.model,
        served=generator.models,
        default=settings.default_adapter,
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is open, before it is put together."""

    settings: Settings
    spans: Tracing
    embedder: Embedder
    reader: Embedder
    store: PgvectorStore
    generator: Generator | None
    reranker: Reranker | None
    judge: Judge | None = None


def _parts(opened: _Opened, policy: Policy, classifier: Classifier) -> Parts:
    from backends.extractive import ExtractiveGenerator

    settings, spans = opened.settings, opened.spans
    _, reader = _embedders(opened)
    quoting = TracedGenerator(ExtractiveGenerator(reader), spans, provider="extractive")
    speaking = _speaking(opened)
    # The model that ships speaks as it has learnt to; it does not state facts, condense or judge.
    thinking = speaking if settings.vllm_url else None
    evidence = _evidence(opened, policy, settings.passages)
    hybrid = HybridAgent(
        speaking,
        reader,
        characters=settings.evidence_characters,
        # The model that ships is too small to word facts that no adapter has taught it.
        plain=bool(settings.vllm_url),
    )
    worded = (None, None) if settings.facts == "extractive" else (thinking, hybrid)
    agents: Mapping[Route, Agent] = {
        Route.FACTUAL: FactualAgent(quoting, *worded),
        Route.BEHAVIOURAL: BehaviouralAgent(speaking),
        Route.HYBRID: hybrid,
    }
    # Beside a judge_url, judge_model is the name of a model over there.
    model = None if settings.judge_url else settings.judge_model
    condenser = None
    if thinking and settings.condense != "rules":
        condenser = ModelCondenser(thinking, model=model)
    return Parts(
        classifier=classifier,
        policy=policy,
        evidence=evidence,
        agents=agents,
        judge=_judge(opened, thinking),
        tracing=spans,
        request_timeout_s=settings.timeouts.request,
        judge_timeout_s=settings.timeouts.judge,
        condenser=condenser,
        condense_timeout_s=settings.timeouts.condense,
        probe_timeout_s=settings.timeouts.probe,
    )


def _speaking(opened: _Opened) -> Generator | None:
    if opened.generator is None:
        return None
    if opened.settings.vllm_url:
        return TracedGenerator(opened.generator, opened.spans, provider="vllm", remote=True)
    return TracedGenerator(opened.generator, opened.spans, provider="onnxruntime-genai")


def _judge(opened: _Opened, thinking: Generator | None) -> Judge | None:
    if opened.judge is not None:
        return TracedJudge(opened.judge, opened.spans, provider="decisions", remote=True)
    if opened.settings.judge and thinking is not None:
        return ModelJudge(thinking, model=opened.settings.judge_model)
    return None


def _embedders(opened: _Opened) -> tuple[Embedder, Embedder]:
    """The documents' embedder and the reader; one and the same where they can be."""
    reader = TracedEmbedder(opened.reader, opened.spans, provider="onnxruntime")
    if opened.reader.model == opened.embedder.model:
        return reader, reader
    embedder = TracedEmbedder(opened.embedder, opened.spans, provider="openai", remote=True)
    return embedder, reader


def _evidence(opened: _Opened, policy: Policy, limit: int) -> EvidenceFinder:
    embedder, reader = _embedders(opened)
    reranker = opened.reranker
    if reranker is not None:
        reranker = TracedReranker(reranker, opened.spans, provider="rerank", remote=True)
    return EvidenceFinder(
        TracedRetriever(opened.store, opened.spans),
        embedder,
        reader,
        min_support=policy.evidence_min_support,
        limit=limit,
        reranker=reranker,
    )


async def _pinged(answer: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await answer
    except BackendError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PING_TIMEOUT_S:g} s"
    return "ok"
