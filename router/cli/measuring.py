"""How far a measurement has come, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router.cli.screen import err

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def bars(phases: Mapping[str, str]) -> Iterator[Callable[[str, int, int], None]]:
    """Draw a bar for each phase once it has begun, on a terminal only.

    Args:
        phases: Their names, and what is shown for them.

    Yields:
        What to call with a phase, how much of it is done, and how much there is.
    """
    console = err()
    if not console.is_terminal:
        yield lambda phase, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(f"  {{task.description:{max(map(len, phases.values()))}}}"),
        BarColumn(40, complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def after(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = shown.add_task(phases[phase])
            shown.update(tasks[phase], completed=done, total=total)

        yield after
