"""The span of a request, and the span of each step beneath it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backends.base import Message
from router.tracing import names

if TYPE_CHECKING:
    from agents.base import Evidence
    from backends.adapters import AdapterChoice
    from router.answer import Answer
    from router.policy import Decision
    from router.tracing.setup import Tracing

_OPERATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "classify": ("plan", "CHAIN"),
    "escalate": ("invoke_agent", "AGENT"),
    "factual": ("invoke_agent", "AGENT"),
    "behavioural": ("invoke_agent", "AGENT"),
    "hybrid": ("invoke_agent", "AGENT"),
}
"""Steps that are operations of the GenAI conventions; the others are steps of the workflow."""

_STEP: Final = ("execute_step", "CHAIN")


class Trace:
    """One request from its arrival to its end: a root span, a clock, a trace id.

    The span is never made current: a request is answered by an async generator, and a context held
    across a ``yield`` leaks into whoever consumes it. Steps get their parent from `context`.
    """

    def __init__(
        self,
        tracing: Tracing,
        workflow: str = names.WORKFLOW,
        *,
        traceparent: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
            tracing: Where spans go.
            workflow: What is done for the caller, one of `names`.
            traceparent: ``traceparent`` and ``tracestate`` of the caller (W3C Trace Context); None
                continues the span that is current, if there is one.
        """
        parent = TraceContextTextMapPropagator().extract(traceparent) if traceparent else None
        self._content = tracing.content
        self._started = perf_counter()
        self.span = tracing.tracer.start_span(
            f"invoke_workflow {workflow}",
            context=parent,
            kind=SpanKind.SERVER if traceparent else SpanKind.INTERNAL,
            attributes={
                names.OPERATION: "invoke_workflow",
                names.WORKFLOW_NAME: workflow,
                names.SPAN_KIND: "CHAIN",
            },
        )
        self.context: Context = trace.set_span_in_context(self.span)

    @property
    def id(self) -> str:
        """32 lower-case hex digits."""
        return trace.format_trace_id(self.span.get_span_context().trace_id)

    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (perf_counter() - self._started) * 1000

    def asked(self, conversation: Sequence[Message]) -> None:
        """Put the question on the span, where content is wanted."""
        if self._content:
            self.span.set_attribute(names.INPUT_MESSAGES, messages_json(conversation))

    def decided(self, decision: Decision) -> None:
        """Put the decision on the span."""
        self.span.set_attributes(decision_attributes(decision))

    def answered(self, answer: Answer) -> None:
        """Put the outcome on the span."""
        self.span.set_attributes(
            {
                names.OUTCOME: "abstained" if answer.abstained else "answered",
                names.ABSTAINED: answer.abstained,
                names.CITATIONS: len(answer.citations),
                names.RESPONSE_MODEL: answer.model,
                names.INPUT_TOKENS: answer.usage.input_tokens,
                names.OUTPUT_TOKENS: answer.usage.output_tokens,
            }
        )
        if answer.degraded:
            self.span.set_attribute(names.DEGRADED, answer.degraded)
        if self._content:
            said = [Message("assistant", answer.text)]
            self.span.set_attribute(names.OUTPUT_MESSAGES, messages_json(said))

    def failed(self, error: BaseException) -> None:
        """Mark the span as failed, or as cancelled by the caller, and end it."""
        if self.span.is_recording():
            mark_failed(self.span, error)
        self.end()

    def end(self) -> None:
        """End the span; calling it again does nothing."""
        if self.span.is_recording():
            self.span.end()

    def __del__(self) -> None:
        # Whoever leaves a stream of the graph between two steps leaves nobody to end the trace.
        if self.span.is_recording():
            self.span.set_attribute(names.OUTCOME, "abandoned")
            self.span.end()


@contextmanager
def step_span(tracing: Tracing, step: str, parent: Context | None) -> Iterator[Span]:
    """Make the span of one step current while the step runs (steps are coroutines)."""
    operation, kind = _OPERATIONS.get(step, _STEP)
    with tracing.tracer.start_as_current_span(
        f"{operation} {step}",
        context=parent,
        record_exception=False,
        set_status_on_exception=False,
        attributes={
            names.OPERATION: operation,
            names.AGENT_NAME: step,
            names.GRAPH_NODE: step,
            names.SPAN_KIND: kind,
        },
    ) as span:
        try:
            yield span
        except BaseException as error:
            mark_failed(span, error)
            raise


def decision_attributes(decision: Decision) -> dict[str, str | float | bool]:
    """Flat scalars, so that every trace viewer can filter on them."""
    attributes: dict[str, str | float | bool] = {
        names.ROUTE: decision.route.value,
        names.NEEDS_FACTS: decision.needs_facts,
        names.NEEDS_MANNER: decision.needs_manner,
        names.MARGIN: decision.margin,
        names.POLICY: decision.policy,
        names.PROPENSITY: decision.propensity,
        names.UNCERTAIN: decision.uncertain,
        names.DECIDED_BY: decision.decided_by,
        names.REASON: decision.reason,
    }
    return attributes | (adapter_attributes(decision.adapter) if decision.adapter else {})


def adapter_attributes(choice: AdapterChoice) -> dict[str, str | float | bool]:
    """Which adapter answers; what is not known of it is left out."""
    attributes: dict[str, str | float | bool | None] = {
        names.ADAPTER_NAME: choice.name,
        names.ADAPTER_VERSION: choice.version,
        names.ADAPTER_CHOSEN_BY: choice.chosen_by,
        names.ADAPTER_SIMILARITY: choice.similarity,
        names.ADAPTER_MARGIN: choice.margin,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def evidence_attributes(evidence: Evidence) -> dict[str, str | float | bool]:
    """What a search came to, without what it searched for."""
    attributes: dict[str, str | float | bool] = {
        names.EVIDENCE_SUFFICIENT: evidence.sufficient,
        names.EVIDENCE_SUPPORT: evidence.support,
        names.EVIDENCE_PASSAGES: len(evidence.passages),
    }
    if evidence.reranked_by:
        attributes[names.RERANKED_BY] = evidence.reranked_by
    if evidence.not_reranked:
        attributes[names.RERANK_FAILURE] = evidence.not_reranked
    return attributes


def mark_failed(span: Span, error: BaseException) -> None:
    """Record that the span failed by the error's type; its text may hold what people wrote."""
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        span.set_attribute(names.OUTCOME, "cancelled")
        return
    span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def messages_json(messages: Sequence[Message]) -> str:
    """Messages in the form of the GenAI conventions, as the JSON text that spans can carry."""
    parts = [
        {"role": message.role, "parts": [{"type": "text", "content": message.content}]}
        for message in messages
    ]
    return json.dumps(parts, ensure_ascii=False)
