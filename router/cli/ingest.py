"""``router ingest``: files and folders into the store."""

from __future__ import annotations

from dataclasses import dataclass
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


def _path(value: str) -> Path:
    # What an unset variable leaves would otherwise mean the current folder.
    if not value.strip():
        raise typer.BadParameter("a path is empty; write . for the current folder")
    return Path(value)


def _folder_name(value: str | None) -> str | None:
    from backends.ingest.files import unfit_name

    if value is None:
        return None
    if reason := unfit_name(value.strip("/")):
        raise typer.BadParameter(reason)
    return value


def ingest(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATHS",
            help="Markdown, HTML, PDF and text files, or folders of them.",
            parser=_path,
        ),
    ],
    acl: Acl = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Call the folder so instead of by its own name; replaces what has that name.",
            callback=_folder_name,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take documents in; unchanged ones are skipped."""
    from backends.principals import EVERYONE, parse_principals
    from router.cli.progress import report_json, report_line, show_problems

    if name is not None and len(paths) > 1:
        raise typer.BadParameter("is for a single path", param_hint="--name")
    settings = invocation(context).settings()
    readers = frozenset({EVERYONE}) if acl is None else parse_principals(acl)
    report = run(_ingest(settings, _Order(paths, readers, keeping=acl is None, name=name)))
    if as_json:
        put_json(report_json(report) | {"acl": sorted(readers)})
    else:
        out().print(report_line(report))
        out().print(_seen_by(None if acl is None else readers), style="bright_black")
    show_problems(report)
    if report.problems:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Order:
    """What to take in; ``keeping``: known documents keep the readers that they have."""

    paths: list[Path]
    acl: Principals
    keeping: bool
    name: str | None


async def _ingest(settings: Settings, order: _Order) -> IngestReport:
    from backends.ingest import ingest as take_in
    from router.cli.progress import ingestion_bar

    async with opened_ingestion(settings) as (store, embedder):
        with ingestion_bar(order.paths) as after:
            return await take_in(
                order.paths,
                store=store,
                embedder=embedder,
                acl=order.acl,
                keeping=order.keeping,
                name=order.name,
                on_progress=after,
            )


def _seen_by(readers: Principals | None) -> str:
    if readers is None:
        return (
            "New documents are seen by everyone and known ones keep their readers (--acl), "
            "unless a document says otherwise itself."
        )
    if not readers:
        return "Nobody may see documents that do not say otherwise themselves (empty --acl)."
    return f"Seen by {', '.join(sorted(readers))}, unless a document says otherwise itself (--acl)."
