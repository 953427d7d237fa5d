"""``router demo``: the sample company, from ingestion to cited answers, on embedded defaults."""

from __future__ import annotations

from contextlib import aclosing
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer

from router.cli.opening import opened_router, run, waiting
from router.cli.options import Json, invocation
from router.cli.screen import put_json
from router.cli.told import Told

if TYPE_CHECKING:
    from backends.ingest import IngestReport
    from router.api import Router
    from router.config import Settings
    from router.demo.company import DemoQuestion


def demo(context: typer.Context, as_json: Json = False) -> None:
    """See it work: a sample company asks its handbook."""
    settings = invocation(context).settings(demo=True)
    run(_demo(settings, as_json=as_json))


async def _demo(settings: Settings, *, as_json: bool) -> None:
    from router.cli import demo_view
    from router.cli.progress import ingestion_bar
    from router.demo.company import HANDBOOK, ingest_handbook, questions

    began = perf_counter()
    if not as_json:
        demo_view.show_opening()
    with waiting("starting the database and the models") as ready:
        async with opened_router(settings) as router:
            ready()
            with ingestion_bar([HANDBOOK]) as after:
                report = await ingest_handbook(router.documents, router.embedder, after)
            if not as_json:
                demo_view.show_ingested(report)
            asked = questions()
            told: list[Told] = []
            for number, question in enumerate(asked, start=1):
                told.append(await _ask(router, question))
                if not as_json:
                    demo_view.show_told(told[-1], number, len(asked))
    seconds = perf_counter() - began
    if as_json:
        put_json(_json(report, told, seconds))
    else:
        demo_view.show_summary(told, seconds)


async def _ask(router: Router, question: DemoQuestion) -> Told:
    from router.answer import Decided, EvidenceFound, Finished
    from router.errors import RouterError

    told = Told(question)
    began = perf_counter()
    events = router.stream(question.question, principal=question.principal)
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case Decided():
                        told.decision = event.decision
                    case EvidenceFound():
                        told.evidence = event.evidence
                    case Finished():
                        told.answer = event.answer
                    case _:
                        pass
    except RouterError as error:
        told.failure = error
    told.milliseconds = (perf_counter() - began) * 1000
    return told


def _json(report: IngestReport, told: list[Told], seconds: float) -> dict[str, Any]:
    from router.cli.demo_view import outcomes
    from router.cli.progress import report_json

    return {
        "documents": report_json(report),
        "questions": [_told_json(each) for each in told],
        "summary": outcomes(told) | {"seconds": round(seconds, 2)},
    }


def _told_json(told: Told) -> dict[str, Any]:
    from router.serialise import answer_json, decision_json, evidence_json

    asked, failure = told.asked, told.failure
    return {
        "principal": asked.principal,
        "question": asked.question,
        "expects": asked.expects,
        "shows": asked.shows,
        "decision": decision_json(told.decision) if told.decision else None,
        "evidence": evidence_json(told.evidence) if told.evidence else None,
        "answer": answer_json(told.answer) if told.answer else None,
        "error": {"code": failure.code, "message": str(failure)} if failure else None,
        "milliseconds": round(told.milliseconds, 2),
    }
