"""The one place that touches the OpenTelemetry SDK."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from opentelemetry import trace

from router.tracing import names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Exporter: TypeAlias = Literal["none", "console", "otlp"]

EXPORT_TIMEOUT_S = 5.0
"""A collector that takes longer for one batch is as good as down."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """A tracer, and whether what people wrote may stand on its spans."""

    tracer: trace.Tracer
    content: bool = False


@asynccontextmanager
async def tracing(
    exporter: Exporter = "none",
    *,
    capture_content: bool = False,
    processors: Sequence[SpanProcessor] = (),
) -> AsyncIterator[Tracing]:
    """Open tracing for one router; leaving sends what still waits, without holding up the loop.

    Nothing global is touched. With ``none`` and no processors the provider of the host application
    is used when it has set one, so that an embedded router writes into its host's traces.

    Args:
        exporter: ``console`` writes JSON to standard error; ``otlp`` sends over HTTP as the
            standard ``OTEL_EXPORTER_OTLP_…`` variables say.
        capture_content: Put questions, passages and answers on spans. The standard variable
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` switches it on as well.
        processors: More receivers of spans, such as the one that draws a trace in the terminal.
    """
    content = capture_content or _content_wanted()
    host = _host_provider() if exporter == "none" and not processors else None
    if host is not None:
        yield Tracing(host.get_tracer("agentic-query-router"), content)
        return
    provider = _provider(exporter, processors)
    try:
        yield Tracing(provider.get_tracer("agentic-query-router"), content)
    finally:
        # Flushes as well. A collector that is down makes it wait for its own timeouts.
        await asyncio.to_thread(provider.shutdown)


def _host_provider() -> trace.TracerProvider | None:
    from opentelemetry.sdk.trace import TracerProvider

    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def _provider(exporter: Exporter, processors: Sequence[SpanProcessor]) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    receivers = [*_exporting(exporter), *processors]
    service = os.environ.get("OTEL_SERVICE_NAME", "agentic-query-router")
    # `shutdown_on_exit` would keep every closed router alive until the process ends.
    provider = TracerProvider(
        # Spans that nobody receives have their ids and record nothing.
        sampler=None if receivers else ALWAYS_OFF,
        resource=Resource.create({"service.name": service}),
        shutdown_on_exit=False,
    )
    for processor in receivers:
        provider.add_span_processor(processor)
    return provider


def _exporting(exporter: Exporter) -> list[SpanProcessor]:
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    match exporter:
        case "none":
            return []
        case "console":
            # Standard output belongs to the command's result.
            return [SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr))]
        case "otlp":
            return [BatchSpanProcessor(_otlp())]


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)


def _content_wanted() -> bool:
    """Read the standard variable; spans are the only place where we put content."""
    value = os.environ.get(names.CONTENT_VARIABLE, "").strip().lower()
    return value in {"true", "1", "span_only", "span_and_event"}
