"""The command line's parts that need no process: its boundary, its words, its drawings."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from agents.base import Citation
from backends.base import DocumentId, PassageId
from backends.errors import Unavailable
from router.cli.answers import citation_texts
from router.cli.boundary import run
from router.cli.checks import masked
from router.cli.findings import Finding, guarded
from router.cli.screen import bar, duration, one_line, plain
from router.cli.waterfall import spans_json
from router.config import Settings
from router.demo.company import HANDBOOK, demo_settings, questions


class InterruptedInput:
    """Standard input on which somebody presses Ctrl-C."""

    @property
    def buffer(self) -> Any:
        return self

    def read(self) -> bytes:
        raise KeyboardInterrupt


def cited(number: int, quote: str) -> Citation:
    return Citation(
        number=number,
        text_start=0,
        text_end=3,
        passage_id=PassageId("p"),
        document_id=DocumentId("d"),
        title="Returns",
        source="returns.md",
        version=1,
        start=0,
        end=len(quote),
        quote=quote,
        passage=quote,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["ask"],
        ["ask", "Hello", "--route", "sideways"],
        ["ask", "Hello", "--as", "ana"],
        ["ingest", "x", "--acl", "all"],
        ["ingest", ""],
        ["ingest", "x", " "],
        ["ingest", "x", "--name", "/"],
        ["ingest", "x", "y", "--name", "docs"],
        ["ingest"],
        ["ingest", "x", "--sitemap", "https://example.org/sitemap.xml"],
        ["ingest", "--sitemap", "example.org"],
        ["ingest", "--sitemap", "https://example.org/sitemap.xml", "--name", "site"],
        ["ingest", "--sql", "/nowhere.sql", "--name", "orders"],
        ["ingest", "--sql", __file__, "--sql-url", "postgresql:///x"],
        ["ingest", "--sql", __file__, "--name", "orders"],
        ["ingest", "--sql", __file__, "--sql-url", "x", "--name", "orders", "--acl", "everyone"],
        ["ingest", "x", "--allow-empty"],
        ["ingest", "/nowhere", "--watch"],
        ["ingest", ".", "--watch", "--every", "60"],
        ["serve", "--port", "70000"],
        ["documents", "show"],
    ],
)
def test_a_call_that_cannot_be_understood_exits_with_2(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_a_misunderstood_call_in_json_is_one_error_object(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["ask", "Hello", "--as", "ana", "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_an_interrupted_command_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", InterruptedInput())
    assert run(["ask", "-"]) == 130


def test_an_interruption_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", InterruptedInput())
    run(["ask", "-"])
    assert "Traceback" not in capsys.readouterr().err


def test_an_unforeseen_error_points_to_the_debug_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())  # has no buffer of bytes
    assert run(["ask", "-"]) == 1
    told = capsys.readouterr().err
    assert "ROUTER_DEBUG=1" in told
    assert "Traceback" not in told


def test_the_debug_variable_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setenv("ROUTER_DEBUG", "1")
    run(["ask", "-"])
    assert "Traceback" in capsys.readouterr().err


def test_the_graph_is_drawn_without_any_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)["mermaid"]
    assert "condense --> classify" in drawn
    assert "classify -.-> probe" in drawn


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("router ")


def test_documents_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[2J\rb\x9b\n\tc\x07") == "a[2Jb\n\tc"


def test_long_texts_end_in_an_ellipsis() -> None:
    assert one_line("one\n two   three", 8) == "one two…"


@pytest.mark.parametrize(("share", "drawn"), [(-1, "╌╌╌╌"), (0.5, "━━╌╌"), (2, "━━━━")])
def test_a_bar_never_leaves_its_width(share: float, drawn: str) -> None:
    assert bar(share, 4, "cyan").plain == drawn


@pytest.mark.parametrize(
    ("milliseconds", "said"), [(0.42, "0.4 ms"), (12.3, "12 ms"), (3100, "3.1 s")]
)
def test_durations_are_as_exact_as_they_are_short(milliseconds: float, said: str) -> None:
    assert duration(milliseconds) == said


def test_the_quotes_of_one_passage_stand_under_one_heading() -> None:
    texts = citation_texts([cited(1, "Forty days."), cited(1, "No more."), cited(1, "No more.")])
    assert [text.plain for text in texts] == ["[1] Returns\n“Forty days.”\n“No more.”"]


def test_spans_are_shown_below_their_parents_in_order_of_time() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root"):
        with tracer.start_as_current_span("first"), tracer.start_as_current_span("inner"):
            pass
        with tracer.start_as_current_span("second"):
            pass
    drawn = [(span["name"], span["depth"]) for span in spans_json(spans.get_finished_spans())]
    assert drawn == [("root", 0), ("first", 1), ("inner", 2), ("second", 1)]


async def test_a_check_that_fails_says_what_to_do() -> None:
    async def down() -> Finding:
        raise Unavailable("Nobody answers.", backend="database", hint="Start it.")

    check = await guarded("database", down(), 1)
    assert check.finding == Finding("fail", "Nobody answers.", "Start it.")


async def test_a_check_that_hangs_fails_in_time() -> None:
    async def silent() -> Finding:
        await asyncio.Event().wait()
        return Finding("ok", "answered after all")

    check = await guarded("database", silent(), 0.01)
    assert check.finding.detail == "no answer within 0.01 s"


async def test_a_check_with_a_mistake_in_it_fails_alone() -> None:
    async def broken() -> Finding:
        raise ZeroDivisionError("oh")

    assert (await guarded("home", broken(), 1)).finding.status == "fail"


def test_addresses_are_shown_without_their_secrets() -> None:
    assert masked("http://ana:secret@host:80/v1?key=x") == "http://host:80/v1"


def test_the_sample_company_never_touches_the_configured_database() -> None:
    settings = demo_settings(Settings(database_url=SecretStr("postgresql://elsewhere/db")))
    assert (settings.database_url, settings.database_schema) == (None, "router_demo")


def test_the_sample_company_comes_with_handbook_and_questions_for_every_route() -> None:
    assert len(list(HANDBOOK.glob("*.md"))) == 36
    assert {question.expects for question in questions()} == {"factual", "hybrid", "behavioural"}
