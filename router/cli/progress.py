"""Ingestion as the terminal shows it: a bar on standard error, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.cli.screen import count, err, one_line, plain

if TYPE_CHECKING:
    from backends.ingest import IngestReport, Progress


@contextmanager
def ingestion_bar(paths: Sequence[Path]) -> Iterator[Callable[[Progress], None]]:
    """Draw a bar while files go in, on a terminal only.

    Args:
        paths: Files and folders, whose number is found out first; none for other sources.

    Yields:
        What to call after each document.
    """
    console = err()
    if not console.is_terminal:
        yield lambda progress: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("  reading"),
        BarColumn(40, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[source]}", style="bright_black", markup=False),
    )
    with Bar(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=_files(paths) if paths else None, source="")

        def after(progress: Progress) -> None:
            shown.update(task, advance=1, source=one_line(progress.source, 36))

        yield after


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Show a number that grows, on a terminal only.

    Yields:
        What to call with the number.
    """
    console = err()
    if not console.is_terminal:
        yield lambda number: None
        return
    with console.status(what, spinner="dots") as status:
        yield lambda number: status.update(f"{number} {what}")


def report_json(report: IngestReport) -> dict[str, Any]:
    """Return what an ingestion did."""
    return {
        "published": report.published,
        "unchanged": report.unchanged,
        "pruned": report.pruned,
        "passages": report.passages,
        "seconds": round(report.seconds, 2),
        "problems": [
            {"source": problem.source, "reason": problem.reason, "hint": problem.hint}
            for problem in report.problems
        ],
    }


def report_line(report: IngestReport) -> str:
    """Return what an ingestion did, as one line."""
    pruned = f"{report.pruned} pruned, " if report.pruned else ""
    return (
        f"{count(report.published, 'document')} published, {report.unchanged} unchanged, {pruned}"
        f"{count(report.passages, 'passage')} stored in {report.seconds:.1f} s"
    )


def show_problems(report: IngestReport) -> None:
    """Name each problem with its reason, on standard error."""
    console = err()
    for problem in report.problems:
        told = plain(f"{problem.source}: {problem.reason}. {problem.hint}").rstrip()
        console.print(told, style="red", soft_wrap=True)


def _files(paths: Sequence[Path]) -> int:
    from backends.ingest.files import find_files

    return sum(1 for _ in find_files(paths))
