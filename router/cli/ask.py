"""``router ask``: one question, answered as it is written, with citations and the reason why."""

from __future__ import annotations

import sys
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.opening import opened_router, run, waiting
from router.cli.options import Adapter, As, Demo, Json, RouteName, Where, invocation
from router.cli.screen import err, out, put_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from backends.base import Message
    from router.answer import Answer
    from router.api import Router
    from router.config import Settings

_NO_DOCUMENTS = (
    "No documents are ingested yet, so questions of fact cannot be answered. "
    "Ingest some with: router ingest PATH, or try the sample company with --demo."
)


@dataclass(frozen=True, slots=True)
class Asking:
    """How a question is to be asked."""

    principal: str
    route: str | None = None
    adapter: str | None = None
    where: Sequence[str] = ()


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question; - reads it from stdin.")],
    principal: As = "everyone",
    route: RouteName = None,
    adapter: Adapter = None,
    where: Where = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Draw where the time went, step by step.")
    ] = False,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Ask one question."""
    settings = invocation(context).settings(demo=demo)
    asked = _read_question() if question == "-" else question
    asking = Asking(principal, route, adapter, tuple(where or ()))
    run(_ask(settings, readable(asked), asking, trace=trace, demo=demo, as_json=as_json))


async def _ask(
    settings: Settings, question: str, asking: Asking, *, trace: bool, demo: bool, as_json: bool
) -> None:
    spans = _collector() if trace else None
    processors = [_processor(spans)] if spans else []
    with waiting("opening") as ready:
        async with opened_router(settings, processors=processors) as router:
            if demo:
                ready()  # two signs of progress would draw over one another
                await prepare(router)
            answer = await answered(router, question, asking, before=ready, quiet=as_json)
            await tell_if_empty(router, answer)
    if as_json:
        from router.serialise import answer_json

        put_json(answer_json(answer) | ({"trace": _trace_json(spans)} if spans else {}))
        return
    from router.cli.answers import show_answer_footer

    show_answer_footer(out(), answer)
    if spans:
        from router.cli.waterfall import waterfall

        out().print()
        out().print(waterfall(spans.get_finished_spans()))


def readable(text: str) -> str:
    """Return the text without the half characters that Python makes of bytes that are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


async def prepare(router: Router) -> None:
    """Put the sample company's handbook into the store, unless it is there already."""
    from router.cli.progress import ingestion_bar
    from router.demo.company import HANDBOOK, ingest_handbook

    with ingestion_bar([HANDBOOK]) as after:
        await ingest_handbook(router.documents, router.embedder, after)


async def tell_if_empty(router: Router, answer: Answer) -> None:
    """Say on standard error that nothing was found because there is nothing to find."""
    if answer.evidence is None or answer.evidence.passages:
        return
    if not await router.documents.documents():
        err().print(_NO_DOCUMENTS, style="yellow", soft_wrap=True)


async def answered(
    router: Router,
    question: str | Sequence[Message],
    asking: Asking,
    *,
    before: Callable[[], None],
    quiet: bool,
) -> Answer:
    """Ask, and write the tokens on standard output as they come unless ``quiet``.

    Args:
        before: Called once, before the first token is written.

    Raises:
        RouterError: As `Router.ask`.
    """
    from agents.base import Token
    from router.answer import Finished
    from router.cli.screen import plain

    answer: Answer | None = None
    begun = False
    events = router.stream(
        question,
        principal=asking.principal,
        route=asking.route,
        adapter=asking.adapter,
        where=asking.where,
    )
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case Token(text=text) if not quiet:
                        if not begun:
                            before()
                        begun = True
                        typer.echo(plain(text), nl=False)
                    case Finished():
                        answer = event.answer
                    case _:
                        pass
    finally:
        if begun:
            typer.echo()
    before()
    assert answer is not None, "a stream ends with Finished or raises"
    return answer


def _read_question() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _collector() -> InMemorySpanExporter:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


def _processor(spans: InMemorySpanExporter) -> Any:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    return SimpleSpanProcessor(spans)


def _trace_json(spans: InMemorySpanExporter) -> list[dict[str, Any]]:
    from router.cli.waterfall import spans_json

    return spans_json(spans.get_finished_spans())
