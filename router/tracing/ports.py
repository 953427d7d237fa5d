"""Ports with a span around each call; behaviour and errors are those of what they wrap."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backends.base import (
    Embedder,
    Judge,
    Message,
    Reranker,
    Retriever,
    ScoredPassage,
    SearchQuery,
    Verdict,
)
from backends.generation import (
    Generation,
    GenerationChunk,
    GenerationRequest,
    Generator,
    ModelCard,
    Usage,
)
from router.tracing import names
from router.tracing.steps import mark_failed, messages_json

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from backends.base import Vectors
    from backends.filters import Conditions
    from router.tracing.setup import Tracing


class TracedEmbedder:
    """An `Embedder` with an ``embeddings`` span a call."""

    def __init__(
        self, inner: Embedder, tracing: Tracing, *, provider: str, remote: bool = False
    ) -> None:
        self._inner = inner
        self._tracing = tracing
        self._provider = provider
        self._kind = _kind(remote)

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def max_tokens(self) -> int:
        return self._inner.max_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "embeddings",
            names.PROVIDER: self._provider,
            names.REQUEST_MODEL: self.model,
            names.EMBEDDING_DIMENSION: self.dimension,
            names.SPAN_KIND: "EMBEDDING",
        }
        with _span(self._tracing, f"embeddings {self.model}", self._kind, attributes):
            return await self._inner.embed(texts)

    def count_tokens(self, text: str) -> int:
        return self._inner.count_tokens(text)


class TracedRetriever:
    """A `Retriever` with a ``retrieval`` span a search."""

    def __init__(self, inner: Retriever, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def search(self, query: SearchQuery) -> Sequence[ScoredPassage]:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "retrieval",
            names.DATA_SOURCE_ID: "passages",
            names.TOP_K: query.limit,
            names.SPAN_KIND: "RETRIEVER",
        }
        with _span(self._tracing, "retrieval passages", SpanKind.CLIENT, attributes) as span:
            found = await self._inner.search(query)
            span.set_attribute(names.RETRIEVAL_DOCUMENTS, _documents(found, self._tracing.content))
            if query.where:
                # After the search, which knows only fields that documents have.
                fields = sorted({condition.field for condition in query.where})
                span.set_attribute(names.FILTER_FIELDS, fields)
            if self._tracing.content:
                span.set_attribute(names.RETRIEVAL_QUERY, query.text)
                span.set_attribute(names.FILTER_CONDITIONS, _conditions(query.where))
            return found


class TracedReranker:
    """A `Reranker` with a ``rerank`` span a call."""

    def __init__(
        self, inner: Reranker, tracing: Tracing, *, provider: str, remote: bool = False
    ) -> None:
        self._inner = inner
        self._tracing = tracing
        self._provider = provider
        self._kind = _kind(remote)

    @property
    def model(self) -> str:
        return self._inner.model

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "rerank",
            names.PROVIDER: self._provider,
            names.REQUEST_MODEL: self.model,
            names.RERANKED: len(passages),
            names.SPAN_KIND: "RERANKER",
        }
        with _span(self._tracing, f"rerank {self.model}", self._kind, attributes):
            return await self._inner.scores(question, passages)


class TracedJudge:
    """A `Judge` with a ``judge`` span a verdict, whose context travels to a judge that is remote.

    A judge that is a model is traced by its generator already.
    """

    def __init__(
        self, inner: Judge, tracing: Tracing, *, provider: str, remote: bool = False
    ) -> None:
        self._inner = inner
        self._tracing = tracing
        self._provider = provider
        self._kind = _kind(remote)

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def hands_on(self) -> bool:
        return self._inner.hands_on

    async def verdict(
        self, question: str, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Verdict:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "judge",
            names.PROVIDER: self._provider,
            names.SPAN_KIND: "EVALUATOR",
        }
        with _span(self._tracing, f"judge {self.name}", self._kind, attributes) as span:
            return await self._inner.verdict(question, headers=_context(headers, span))


class TracedGenerator:
    """A `Generator` with a ``chat`` span an answer, whose context travels to the model server."""

    def __init__(
        self, inner: Generator, tracing: Tracing, *, provider: str, remote: bool = False
    ) -> None:
        self._inner = inner
        self._tracing = tracing
        self._provider = provider
        self._kind = _kind(remote)

    @property
    def model(self) -> str:
        return self._inner.model

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk]:
        span = self._start(request)
        record = _Record()
        try:
            async with aclosing(
                cast(
                    "AsyncGenerator[GenerationChunk]",
                    self._inner.stream(_with_context(request, span)),
                )
            ) as chunks:
                async for chunk in chunks:
                    record.add(chunk)
                    yield chunk
        except BaseException as error:
            mark_failed(span, error)
            raise
        finally:
            self._end(span, record)

    async def complete(self, request: GenerationRequest) -> Generation:
        span = self._start(request)
        record = _Record()
        try:
            generation = await self._inner.complete(_with_context(request, span))
            record.add(
                GenerationChunk(
                    generation.text,
                    generation.finish_reason,
                    generation.usage,
                    generation.model,
                )
            )
            return generation
        except BaseException as error:
            mark_failed(span, error)
            raise
        finally:
            self._end(span, record)

    async def models(self) -> Sequence[ModelCard]:
        return await self._inner.models()

    def _start(self, request: GenerationRequest) -> Span:
        model = request.adapter or self.model
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "chat",
            names.PROVIDER: self._provider,
            names.REQUEST_MODEL: model,
            names.SPAN_KIND: "LLM",
        }
        if request.sampling.max_tokens is not None:
            attributes[names.REQUEST_MAX_TOKENS] = request.sampling.max_tokens
        if request.sampling.temperature is not None:
            attributes[names.REQUEST_TEMPERATURE] = request.sampling.temperature
        if self._tracing.content:
            attributes[names.INPUT_MESSAGES] = messages_json(request.messages)
        return self._tracing.tracer.start_span(
            f"chat {model}", kind=self._kind, attributes=attributes
        )

    def _end(self, span: Span, record: _Record) -> None:
        if record.first_chunk_s is not None:
            span.set_attribute(names.TIME_TO_FIRST_CHUNK, record.first_chunk_s)
        if record.finish_reason:
            span.set_attribute(names.FINISH_REASONS, [record.finish_reason])
        if record.model:
            # The default model's name is only known once its server has been asked.
            span.update_name(f"chat {record.model}")
            span.set_attributes(
                {names.REQUEST_MODEL: record.model, names.RESPONSE_MODEL: record.model}
            )
        span.set_attributes(
            {
                names.INPUT_TOKENS: record.usage.input_tokens,
                names.OUTPUT_TOKENS: record.usage.output_tokens,
            }
        )
        if self._tracing.content:
            text = "".join(record.texts)
            span.set_attribute(names.OUTPUT_MESSAGES, messages_json([Message("assistant", text)]))
        span.end()


class _Record:
    """What one generation showed of itself."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self.first_chunk_s: float | None = None
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.usage = Usage()
        self.texts: list[str] = []

    def add(self, chunk: GenerationChunk) -> None:
        if chunk.text and self.first_chunk_s is None:
            self.first_chunk_s = perf_counter() - self._started
        self.texts.append(chunk.text)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.model = chunk.model or self.model
        self.usage = chunk.usage or self.usage


def _kind(remote: bool) -> SpanKind:
    return SpanKind.CLIENT if remote else SpanKind.INTERNAL


@contextmanager
def _span(
    tracing: Tracing, name: str, kind: SpanKind, attributes: dict[str, AttributeValue]
) -> Iterator[Span]:
    with tracing.tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            mark_failed(span, error)
            raise


def _with_context(request: GenerationRequest, span: Span) -> GenerationRequest:
    return replace(request, headers=_context(request.headers, span))


def _context(headers: Mapping[str, str], span: Span) -> Mapping[str, str]:
    """Return the headers, and those that say which span they come from."""
    carrier = dict(headers)
    TraceContextTextMapPropagator().inject(carrier, context=trace.set_span_in_context(span))
    return carrier


def _conditions(where: Conditions) -> list[str]:
    return [f"{one.field} {one.operator} {list(one.values)}" for one in where]


def _documents(found: Sequence[ScoredPassage], content: bool) -> str:
    """One JSON attribute; titles and texts are content, ids and scores are not."""
    return json.dumps(
        [
            {"id": hit.passage.id, "score": round(hit.score, 4)}
            | ({"title": hit.passage.title, "content": hit.passage.text} if content else {})
            for hit in found
        ],
        ensure_ascii=False,
    )
