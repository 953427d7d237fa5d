"""What ``router demo`` shows."""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from router.cli.answers import adapter_line, citation_texts, decision_line, show_rows
from router.cli.progress import report_line, show_problems
from router.cli.screen import STEP_COLOURS, WIDTH, count, duration, one_line, out, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from agents.base import Evidence
    from backends.ingest import IngestReport
    from router.answer import Answer
    from router.cli.told import Told

_PASSAGES: Final = 3
_BAR: Final = 20
_STROKES: Final = "━┅─┄"
"""Neighbouring pieces of a bar differ without colours too."""
_WORTH_A_MENTION_MS: Final = 0.5
_NOT_STEPS: Final = frozenset({"total", "first_token"})

_NEXT: Final = (
    ('router ask --demo --trace "How many characters must a password have?"', "see the time go by"),
    ("router chat --demo --as user:ana,group:hr", "talk to the handbook as somebody from HR"),
    ("router serve --demo", "the same over HTTP, for any OpenAI client"),
)


def show_opening() -> None:
    """Say what is going to happen."""
    console = out()
    console.print("A sample company asks its handbook", style="bold")
    console.print(
        "Each question goes where it is answered best: documents (factual), a fine-tuned model\n"
        "(behavioural), or both (hybrid). Everything runs on this machine.\n",
        style="bright_black",
    )


def show_ingested(report: IngestReport) -> None:
    """Say what came of the handbook."""
    out().print(f"handbook  {report_line(report)}")
    show_problems(report)


def show_told(told: Told, number: int, of: int) -> None:
    """Show one question and everything that came of it."""
    from rich.text import Text

    console = out()
    console.print()
    head = f"{number:>2}/{of}  {told.asked.principal} "
    console.print(Text.assemble((head, "bold"), ("─" * (WIDTH - len(head)), "bright_black")))
    console.print(Text(told.asked.question, style="bold"))
    console.print(Text(told.asked.shows, style="bright_black italic"))
    show_rows(console, _rows(told))


def show_summary(told: Sequence[Told], seconds: float) -> None:
    """Say in one line what happened, and what to try next."""
    from rich.text import Text

    console = out()
    found = outcomes(told)
    routes = ", ".join(f"{number} {route}" for route, number in found["routes"].items())
    parts = [
        f"{count(len(told), 'question')}: {routes}",
        f"{found['cited']} cited, {found['abstained']} refused, "
        f"{found['without_model']} short of a model",
        f"{seconds:.1f} s",
    ]
    console.print("─" * WIDTH, style="bright_black")
    console.print(" · ".join(parts), style="bold")
    console.print(
        f"{found['routes_as_expected']} of {len(told)} took the route that a person would choose, "
        f"{found['outcomes_as_expected']} came out as they should.",
        style="bright_black",
    )
    if found["without_model"]:
        console.print(
            "For the rest, let the starter model speak (ROUTER_STARTER), or name a model server in "
            "ROUTER_VLLM_URL.",
            style="bright_black",
        )
    console.print("\nNext:")
    for command, meaning in _NEXT:
        console.print(Text.assemble((f"  {command}", "cyan"), (f"  {meaning}", "bright_black")))


def outcomes(told: Sequence[Told]) -> dict[str, Any]:
    """Count what happened."""
    answers = [each.answer for each in told if each.answer]
    return {
        "questions": len(told),
        "routes": dict(Counter(each.route for each in told if each.route)),
        "routes_as_expected": sum(each.route == each.asked.expects for each in told),
        "outcomes_as_expected": sum(_came_out(each) for each in told),
        "cited": sum(bool(answer.citations) for answer in answers),
        "abstained": sum(answer.abstained for answer in answers),
        "degraded": sum(answer.degraded is not None for answer in answers),
        "without_model": sum(_lacks_model(each) for each in told),
    }


def _came_out(told: Told) -> bool:
    """Whether it was answered, refused or spoken, as the sample says that it should be."""
    answer = told.answer
    if answer is None:
        return False
    match told.asked.outcome:
        case "answered":
            return bool(answer.citations) and answer.degraded is None
        case "abstained":
            return answer.abstained
        case "spoken":
            return not answer.abstained and answer.degraded is None


def _lacks_model(told: Told) -> bool:
    failed = told.failure is not None and told.failure.code == "model_unavailable"
    return failed or (told.answer is not None and told.answer.degraded is not None)


def _rows(told: Told) -> list[tuple[str, RenderableType]]:
    rows: list[tuple[str, RenderableType]] = []
    if told.decision:
        rows.append(("route", decision_line(told.decision)))
        if told.decision.adapter:
            rows.append(("adapter", adapter_line(told.decision.adapter)))
        rows.append(("why", plain(told.decision.explained)))
    if told.evidence:
        rows.append(("found", _found(told.evidence)))
    if told.answer:
        rows += _answer_rows(told.answer)
    if told.failure:
        rows.append(("missing", _styled(plain(str(told.failure)), "yellow")))
    rows.append(("time", _times(told)))
    return rows


def _found(evidence: Evidence) -> RenderableType:
    from rich.text import Text

    if not evidence.passages:
        return Text("no passage that this person may see", style="bright_black")
    lines = []
    for hit in evidence.passages[:_PASSAGES]:
        passage = hit.passage
        place = passage.title + (f" › {passage.heading}" if passage.heading else "")
        lines.append(f"{hit.score:.2f}  {one_line(place, 70)}")
    if more := len(evidence.passages) - _PASSAGES:
        lines[-1] += f"  (+{more})" if more > 0 else ""
    return Text("\n".join(lines))


def _answer_rows(answer: Answer) -> list[tuple[str, RenderableType]]:
    rows: list[tuple[str, RenderableType]] = []
    if answer.abstained:
        rows.append(("refusal", _styled(plain(answer.text), "yellow")))
    else:
        rows.append(("answer", _styled(plain(answer.text), "bold")))
    rows += [("", text) for text in citation_texts(answer.citations)]
    if answer.degraded:
        rows.append(("missing", _styled(plain(answer.degraded), "yellow")))
    return rows


def _times(told: Told) -> Text:
    """A bar with a piece for each step, and the steps by name."""
    from rich.text import Text

    taken = duration(told.milliseconds)
    steps = _steps(told.answer.timings_ms) if told.answer else {}
    if not steps:
        return Text(taken, style="bright_black")
    whole = sum(steps.values())
    line, rest = Text(), _BAR
    for stroke, (step, milliseconds) in zip(cycle(_STROKES), steps.items(), strict=False):
        piece = min(max(round(milliseconds / whole * _BAR), 1), rest)
        line.append(stroke * piece, STEP_COLOURS.get(step, "white"))
        rest -= piece
    named = " · ".join(f"{step} {duration(ms)}" for step, ms in steps.items())
    return line.append(f"  {taken}: {named}", "bright_black")


def _steps(timings: Mapping[str, float]) -> dict[str, float]:
    """The steps that took any time worth a mention, in order."""
    return {
        step: milliseconds
        for step, milliseconds in timings.items()
        if step not in _NOT_STEPS and milliseconds >= _WORTH_A_MENTION_MS
    }


def _styled(text: str, style: str) -> Text:
    from rich.text import Text

    return Text(text, style=style)
