"""``router serve``: the HTTP door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.opening import opened_ingestion, run
from router.cli.options import Demo, invocation
from router.cli.screen import err

if TYPE_CHECKING:
    from router.config import Settings


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port to listen on.  [default: 8080]"),
    ] = None,
    demo: Demo = False,
) -> None:
    """Serve questions over HTTP until stopped."""
    settings = invocation(context).settings(demo=demo)
    given = {"host": host, "port": port}
    update = {name: value for name, value in given.items() if value is not None}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=update)})
    run(_serve(settings, demo=demo))


async def _serve(settings: Settings, *, demo: bool) -> None:
    from router.server import serve as serve_until_stopped

    if demo:
        await _prepare(settings)
    await serve_until_stopped(settings, _tell)


async def _prepare(settings: Settings) -> None:
    from router.cli.progress import ingestion_bar
    from router.demo.company import HANDBOOK, ingest_handbook

    async with opened_ingestion(settings) as (store, embedder):
        with ingestion_bar([HANDBOOK]) as after:
            await ingest_handbook(store, embedder, after)


def _tell(host: str, port: int) -> None:
    console = err()
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    console.print(f"OpenAI-compatible API  {base}/v1", soft_wrap=True)
    console.print(f"Readiness              {base}/readyz", soft_wrap=True)
    console.print("Ctrl-C stops it and lets answers in flight finish.", style="bright_black")
