"""``router documents``: what is in the store. Needs the database and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.opening import opened_documents, run
from router.cli.options import Demo, Json, SeenBy, invocation
from router.cli.screen import count, err, one_line, out, plain, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from backends.base import DocumentInfo
    from router.config import Settings


def build() -> typer.Typer:
    """Return the group with its commands."""
    app = typer.Typer(
        help="List, show, delete and re-embed what is ingested.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.command("list")(list_documents)
    app.command("show")(show_document)
    app.command("delete")(delete_documents)
    app.command("reindex")(reindex_documents)
    return app


def list_documents(
    context: typer.Context, seen_by: SeenBy = None, demo: Demo = False, as_json: Json = False
) -> None:
    """List the documents."""
    found = run(_listed(invocation(context).settings(demo=demo), seen_by))
    if as_json:
        from router.serialise import document_json

        put_json({"documents": [document_json(document) for document in found]})
    elif found:
        out().print(_table(found))
        err().print(count(len(found), "document"), style="bright_black")
    else:
        err().print("There are no documents. Ingest some with: router ingest PATH")


def show_document(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The document's source, as the list shows it.")],
    seen_by: SeenBy = None,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Show one document with its text."""
    document, text = run(_shown(invocation(context).settings(demo=demo), source, seen_by))
    if as_json:
        from router.serialise import document_json

        put_json(document_json(document) | {"text": text})
        return
    seen = ", ".join(sorted(document.acl)) or "nobody"
    passages = count(document.passages, "passage")
    # The text alone is the result, so that it can go into a file.
    err().print(document.title, style="bold")
    err().print(
        f"{document.source}, version {document.version}, {passages}, seen by {seen}",
        style="bright_black",
    )
    typer.echo(plain(text))


def delete_documents(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(help="Sources, as the list shows them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Delete documents with all their versions."""
    settings = invocation(context).settings(demo=demo)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {count(len(sources), 'document')}?", abort=True, err=True)
    deleted = run(_deleted(settings, sources))
    unknown = [source for source in sources if source not in deleted]
    message = f"There is no document {', '.join(map(repr, unknown))}."
    if as_json:
        error = {"error": {"code": "invalid_request", "message": message}} if unknown else {}
        put_json({"deleted": deleted, "unknown": unknown} | error)
    else:
        for source in deleted:
            out().print(f"deleted {plain(source)}", soft_wrap=True)
    if unknown:
        err().print(f"Error: {message}", style="red", soft_wrap=True)
        raise typer.Exit(1)


def reindex_documents(
    context: typer.Context,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Instead, remove the vectors of models no longer in use."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Embed all passages with the model that is set, while questions are answered."""
    settings = invocation(context).settings()
    if purge:
        gone = run(_purged(settings))
        if as_json:
            put_json({"purged": gone})
        else:
            out().print(f"removed the vectors of {', '.join(gone) or 'no model'}", soft_wrap=True)
        return
    model, embedded = run(_reindexed(settings))
    if as_json:
        put_json({"model": model, "embedded": embedded or 0, "changed": embedded is not None})
    elif embedded is None:
        out().print(f"The documents are embedded with {model} already.", soft_wrap=True)
    else:
        out().print(
            f"{count(embedded, 'passage')} embedded with {model}, which is searched from now on.",
            soft_wrap=True,
        )
        err().print(
            "Processes that still run with the old model find what they knew until you remove its "
            "vectors: router documents reindex --purge",
            style="bright_black",
        )


async def _reindexed(settings: Settings) -> tuple[str, int | None]:
    from backends.ingest import reindex
    from router.adapters import open_embedder, open_store
    from router.cli.progress import counting

    async with open_embedder(settings) as embedder, open_store(settings, embedder) as store:
        with counting("passages embedded") as after:
            return embedder.model, await reindex(store.reindexing(), embedder, on_progress=after)


async def _purged(settings: Settings) -> list[str]:
    from router.adapters import open_store

    async with open_store(settings) as store:
        return list(await store.purge_embeddings())


async def _listed(settings: Settings, seen_by: str | None) -> Sequence[DocumentInfo]:
    from backends.principals import asker

    async with opened_documents(settings) as store:
        return await store.documents(visible_to=None if seen_by is None else asker(seen_by))


async def _shown(settings: Settings, source: str, seen_by: str | None) -> tuple[DocumentInfo, str]:
    from backends.principals import asker
    from router.errors import InvalidRequest

    async with opened_documents(settings) as store:
        viewer = None if seen_by is None else asker(seen_by)
        found = await store.document(source, visible_to=viewer)
    if found is None:
        raise InvalidRequest(
            f"There is no document {source!r} to be seen. List them with: router documents list",
            field="source",
        )
    return found


async def _deleted(settings: Settings, sources: Sequence[str]) -> list[str]:
    async with opened_documents(settings) as store:
        return [source for source in dict.fromkeys(sources) if await store.delete(source)]


def _table(documents: Sequence[DocumentInfo]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max(len(document.source) for document in documents)
    table.add_column("source", overflow="fold", min_width=min(longest, 40))
    table.add_column("title", overflow="ellipsis", no_wrap=True, max_width=26)
    table.add_column("version", justify="right", no_wrap=True)
    table.add_column("passages", justify="right", no_wrap=True)
    table.add_column("seen by", overflow="fold", min_width=13, max_width=20)
    for document in documents:
        table.add_row(
            Text(plain(document.source)),
            Text(one_line(document.title, 60)),
            str(document.version),
            str(document.passages),
            ", ".join(sorted(document.acl)) or Text("nobody", style="yellow"),
        )
    return table
