"""A client that goes away takes its work with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from router.server.errors import ClientLeft

if TYPE_CHECKING:
    from starlette.types import Receive


async def unless_client_leaves(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Do the work, but cancel it when the client closes the connection.

    Args:
        receive: Of a request whose body has been read: what comes next is the disconnect.
        work: Ends by itself, has the last word on errors, and is awaited to its end in any case.

    Raises:
        ClientLeft: The client did not wait.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait((working, watching))
    if working.cancelled():
        raise ClientLeft
    working.result()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
