"""``router ingest``: files, websites and rows of a database into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.opening import opened_ingestion, run
from router.cli.options import Acl, Json, invocation
from router.cli.orders import Order, as_path, order_of
from router.cli.screen import out, put_json

if TYPE_CHECKING:
    from backends.ingest import IngestReport
    from router.config import Settings


def ingest(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATHS",
            help="Markdown, HTML, PDF and text files, or folders of them.",
            parser=as_path,
            show_default=False,
        ),
    ] = None,
    sitemap: Annotated[
        str | None,
        typer.Option("--sitemap", metavar="URL", help="The pages that a sitemap lists instead."),
    ] = None,
    sql: Annotated[
        Path | None,
        typer.Option(
            "--sql",
            metavar="FILE",
            help="The rows of a query instead: columns id and acl or owner, and what they hold.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    sql_url: Annotated[
        str | None,
        typer.Option(
            "--sql-url",
            metavar="URL",
            envvar="ROUTER_INGEST_SQL_URL",
            show_envvar=False,
            help="PostgreSQL to ask. Better in $ROUTER_INGEST_SQL_URL, where nobody sees it.",
        ),
    ] = None,
    acl: Acl = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Call the folder so instead of by its own name; replaces what has that name. "
            "What the rows of a query are called, such as orders.",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete documents that their source no longer has.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="With --prune, also when nothing is left there.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and follow the changes in a folder.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="SECONDS", min=1, help="Stay, and take it in again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take documents in; unchanged ones are skipped."""
    order = order_of(paths or [], sitemap, sql, sql_url, acl=acl, name=name)
    order = order.pruning(prune, allow_empty=allow_empty).staying(watch=watch, every=every)
    settings = invocation(context).settings()
    if watch or every:
        from router.cli.following import follow

        run(follow(settings, order, as_json=as_json))
        return
    report = run(_ingest(settings, order))
    _show(report, order, as_json=as_json)
    if report.problems:
        raise typer.Exit(1)


async def _ingest(settings: Settings, order: Order) -> IngestReport:
    from backends.ingest import ingest_source
    from router.cli.progress import ingestion_bar

    async with opened_ingestion(settings) as (store, embedder):
        with ingestion_bar(order.paths) as after:
            return await ingest_source(
                order.source(), store=store, embedder=embedder, wishes=order.wishes(after)
            )


def _show(report: IngestReport, order: Order, *, as_json: bool) -> None:
    from router.cli.progress import report_json, report_line, show_problems

    if as_json:
        put_json(report_json(report) | {"acl": order.acl_json()})
    else:
        out().print(report_line(report))
        out().print(order.seen_by(), style="bright_black")
    show_problems(report)
