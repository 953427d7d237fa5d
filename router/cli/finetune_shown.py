"""Fine-tuning as the terminal shows it: problems of the data, a bar, and what the gate said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from router.cli.screen import bar, count, err, one_line, out, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from backends.finetune.data import Findings
    from backends.finetune.process import Event
    from router.finetune.pipeline import Made
    from router.tuning.gate import Check

_SHOWN: Final = 40
_WORDS: Final = {
    "making": "making rows",
    "asking": "asking the teacher",
    "rehearsing": "listening to the base",
    "training": "training",
    "measuring": "measuring",
}
_TENTH: Final = 10
_UNITS: Final = {"task": "", "format": "", "length": "", "general": " nats"}


@contextmanager
def progress() -> Iterator[Callable[[Event], None]]:
    """Show how far it is on standard error: bars on a terminal, else a line at every tenth.

    Yields:
        What to tell events of `backends.finetune.process`.
    """
    console = err()
    if not console.is_terminal:
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(f"  {{task.description:{max(map(len, _WORDS.values()))}}}"),
        BarColumn(40, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[loss]}", style="bright_black"),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        tasks = {}

        def told(event: Event) -> None:
            if event["event"] == "interrupted":
                shown.print(_interrupted(event))
                return
            phase = event["phase"]
            if phase not in tasks:
                tasks[phase] = shown.add_task(_WORDS[phase], loss="")
            shown.update(
                tasks[phase], completed=event["done"], total=event["of"], loss=_loss(event)
            )

        yield told


def show_checked(findings: Findings) -> None:
    """Print what checking found: problems by line, lengths, labels."""
    console = out()
    shape = f"{count(findings.rows, 'row')}, {len(findings.examples)} to learn from"
    test = f", {count(len(findings.test), 'row')} to measure on" if findings.test else ""
    console.print(f"{shape}{test}")
    for part in _shapes(findings):
        console.print(part)
    if not findings.problems:
        console.print("No problems.", style="green")
        return
    console.print(_problems(findings))
    hidden = len(findings.problems) - _SHOWN
    if hidden > 0:
        console.print(f"and {count(hidden, 'problem')} more; --json has all of them")


def show_made(made: Made, *, promoted: bool) -> Iterator[RenderableType]:
    """Yield what came of it, part by part."""
    training, gate = made.report["training"], made.report["gate"]
    yield (
        f"\n{training['epochs']} epochs, {training['steps']} steps on {training['device']} in "
        f"{training['seconds']:.0f} s, last loss {training['loss']:.3f}; {training['rows']} rows, "
        f"{training['rehearsed']} rehearsed"
    )
    yield (
        f"measured by {gate['measure']} on {count(gate['rows'], 'row')} held out, against "
        f"{plain(gate['against'])}; in brackets 95 % intervals\n"
    )
    yield _checks(made)
    adapter = made.adapter
    yield f"\n{adapter.served_as} in {plain(str(adapter.spec.folder))}"
    yield _ending(made, promoted=promoted)


class _Lines:
    """Says each phase's beginning and every tenth of it, a line each."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if event["event"] == "interrupted":
            err().print(_interrupted(event))
            return
        phase, done, of = event["phase"], event["done"], event["of"]
        tenth = _TENTH * done // of if of else 0
        if tenth > self._said.get(phase, -1):
            self._said[phase] = tenth
            err().print(f"{_WORDS[phase]}: {done} of {of}{_loss(event)}", soft_wrap=True)


def _loss(event: Event) -> str:
    loss = event.get("loss")
    return "" if loss is None else f"  loss {loss:.3f}"


def _interrupted(event: Event) -> str:
    return f"Stopped; a checkpoint of step {event['step']} is kept. --resume goes on from it."


def _shapes(findings: Findings) -> Iterator[RenderableType]:
    from rich.table import Table

    from backends.finetune.lengths import histogram

    for title, rows in (
        ("tokens", [(f"{low}-{high}", n) for low, high, n in histogram(findings.lengths)]),
        ("labels", list(findings.labels.items())),
    ):
        if not rows:
            continue
        most = max(number for _, number in rows)
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(min_width=8, style="bright_black")
        table.add_column(max_width=48)
        table.add_column(justify="right")
        table.add_column(min_width=30)
        for place, (name, number) in enumerate(rows[:_SHOWN]):
            label = one_line(str(name), 48)
            table.add_row(
                title if place == 0 else "", label, str(number), bar(number / most, 30, "cyan")
            )
        yield table


def _problems(findings: Findings) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("line", justify="right")
    table.add_column("problem", no_wrap=True)
    table.add_column("detail", overflow="fold")
    ordered = sorted(findings.problems, key=lambda one: one.weight != "fatal")
    for one in ordered[:_SHOWN]:
        style = "red" if one.weight == "fatal" else "yellow"
        line = "" if one.line is None else str(one.line)
        table.add_row(line, f"{one.kind} ({one.weight})", plain(one.detail), style=style)
    return table


def _checks(made: Made) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    other = "base" if made.before is None else made.before.served_as
    for title in ("", "candidate", other, "decides", "must be", ""):
        table.add_column(title)
    for check in made.verdict.checks:
        word, style = ("holds", "green") if check.passed else ("fails", "red")
        table.add_row(
            check.name,
            f"{check.candidate:.3f}",
            f"{check.rival:.3f}",
            _decides(check),
            check.bound,
            word,
            style=style if not check.passed else None,
        )
    return table


def _decides(check: Check) -> str:
    low, high = check.interval
    sign = "" if check.name == "length" else "+"
    return f"{check.value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _ending(made: Made, *, promoted: bool) -> RenderableType:
    from rich.text import Text

    name = made.adapter.served_as
    if not made.verdict.passed:
        failed = ", ".join(check.name for check in made.verdict.checks if not check.passed)
        words = f"The gate does not let it through ({failed}). It is kept as a candidate."
        return Text(words, style="red")
    if promoted:
        return Text(f"{name} is live.", style="green")
    return Text(
        f"The gate lets it through. Put it into service with: router adapters promote {name}"
    )
