"""Opens what commands work with, says what is happening meanwhile, and reads whole files in."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from backends.base import DocumentStore, Embedder
    from router.api import Router
    from router.config import Settings

_Result = TypeVar("_Result")


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's coroutine to its end; Ctrl-C cancels it first, then interrupts.

    Raises:
        SystemExit: The process was asked to end, and everything that was open is closed.
    """
    import asyncio

    from router.cli.signals import TERMINATED, ended_by_sigterm

    async def cancellable() -> _Result:
        with ended_by_sigterm() as asked:
            try:
                return await work
            except asyncio.CancelledError:
                if asked.is_set():
                    sys.exit(TERMINATED)
                raise

    with asyncio.Runner() as runner:
        return runner.run(cancellable())


@asynccontextmanager
async def opened_router(
    settings: Settings, *, processors: Sequence[SpanProcessor] = ()
) -> AsyncIterator[Router]:
    """Open a router whose spans also go to ``processors``.

    Raises:
        RouterError: A part cannot be opened.
    """
    import asyncio

    from router.api import Router
    from router.app import open_app
    from router.errors import translated

    async with AsyncExitStack() as stack:
        with translated():
            app = await stack.enter_async_context(open_app(settings, processors=processors))
        yield Router(app, loop=asyncio.get_running_loop())


@asynccontextmanager
async def opened_documents(settings: Settings) -> AsyncIterator[DocumentStore]:
    """Open the documents alone; neither models nor LangGraph are loaded."""
    from router.adapters import open_store

    async with open_store(settings) as store:
        yield store


@asynccontextmanager
async def opened_ingestion(settings: Settings) -> AsyncIterator[tuple[DocumentStore, Embedder]]:
    """Open the documents and the embedder, which is what ingestion needs.

    Raises:
        Misconfigured: The documents that are there were embedded with another model.
    """
    from router.adapters import open_embedder, open_store

    async with open_embedder(settings) as embedder, open_store(settings, embedder) as store:
        await store.check_live()
        yield store, embedder


@contextmanager
def waiting(text: str) -> Iterator[Callable[[], None]]:
    """Show that something is going on, on a terminal only.

    Yields:
        Call it to take the sign away before the block ends.
    """
    from router.cli.screen import err

    console = err()
    if not console.is_terminal:
        yield lambda: None
        return
    status = console.status(text, spinner="dots")
    status.start()
    try:
        yield status.stop
    finally:
        status.stop()
