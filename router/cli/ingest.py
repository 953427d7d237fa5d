"""``router ingest``: files and folders into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.opening import opened_ingestion, run
from router.cli.options import Acl, Json, invocation
from router.cli.screen import out, put_json

if TYPE_CHECKING:
    from backends.ingest import IngestReport
    from backends.principals import Principals
    from router.config import Settings


def ingest(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Markdown, HTML, PDF and text files, or folders of them.")
    ],
    acl: Acl = "everyone",
    as_json: Json = False,
) -> None:
    """Take documents in; unchanged ones are skipped."""
    from backends.principals import parse_principals
    from router.cli.progress import report_json, report_line, show_problems

    settings = invocation(context).settings()
    readers = parse_principals(acl)
    report = run(_ingest(settings, paths, readers))
    if as_json:
        put_json(report_json(report) | {"acl": sorted(readers)})
    else:
        out().print(report_line(report))
        out().print(_seen_by(readers), style="bright_black")
    show_problems(report)
    if report.problems:
        raise typer.Exit(1)


async def _ingest(settings: Settings, paths: list[Path], acl: Principals) -> IngestReport:
    from backends.ingest import ingest as take_in
    from router.cli.progress import ingestion_bar

    async with opened_ingestion(settings) as (store, embedder):
        with ingestion_bar(paths) as after:
            return await take_in(paths, store=store, embedder=embedder, acl=acl, on_progress=after)


def _seen_by(readers: Principals) -> str:
    if not readers:
        return "Nobody may see documents that do not say otherwise themselves (empty --acl)."
    return f"Seen by {', '.join(sorted(readers))}, unless a document says otherwise itself (--acl)."
