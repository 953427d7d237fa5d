"""A way to a database that can fall silent, as networks do: open, but nothing gets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class SilentProxy:
    """Passes bytes between clients and a server while it is told to.

    Attributes:
        url: Connection string of the database by way of this proxy.
    """

    def __init__(self, url: str) -> None:
        given = conninfo_to_dict(url)
        self._host = str(given.get("host") or given.get("hostaddr") or "127.0.0.1")
        self._port = int(str(given.get("port") or 5432))
        self._direct = url
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def fall_silent(self) -> None:
        """Keep every connection, also new ones, but pass nothing on."""
        self._passing.clear()

    def speak_again(self) -> None:
        """Pass on what has waited, and what comes."""
        self._passing.set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SilentProxy]:
        """Listen on a free loopback port while the block runs."""
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = make_conninfo(self._direct, host="127.0.0.1", hostaddr=None, port=port)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a callback of a server runs in a task"
        self._tasks.add(task)
        # Shutting a test down cuts connections, and may cancel us.
        with suppress(ConnectionError, asyncio.CancelledError):
            await self._passing.wait()
            there, back = await self._connect()
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, back))
                    both.create_task(self._pass(there, writer))
            except* ConnectionError:
                pass
            finally:
                back.close()
        writer.close()
        self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            path = f"{self._host}/.s.PGSQL.{self._port}"
            return await asyncio.open_unix_connection(path)
        return await asyncio.open_connection(self._host, self._port)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        writer.close()
