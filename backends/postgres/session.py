"""A connection that does not wait for ever for a server that has fallen silent.

libpq waits as long as the network lets it, and psycopg, when cancelled, asks the server politely to
stop and gives it 10 s. Both are too long when the server, or the way to it, is dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from psycopg import AsyncConnection, errors, waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

POLITE_S: Final = 0.5
"""So long may a server take to end what was cancelled; it does so at its own limit anyway."""

_Result = TypeVar("_Result")


class Silent(psycopg.OperationalError):
    """The server did not answer in time, and the connection was closed."""


class Session(AsyncConnection[TupleRow]):
    """A connection whose every wait for the server is bounded here, not only by the server.

    Attributes:
        patience_s: Most seconds for one answer; None for no bound.
    """

    patience_s: float | None = None

    @contextmanager
    def in_use(self, patience_s: float) -> Iterator[None]:
        """Wait so long for each answer within the block, and less to undo what failed in it."""
        self.patience_s = patience_s
        try:
            yield
        except BaseException:
            self.patience_s = POLITE_S
            raise

    async def wait(
        self,
        gen: PQGen[_Result],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own signature
    ) -> _Result:
        """Wait for an answer; as in psycopg, except for what becomes of a silent server.

        Raises:
            Silent: No answer in time; the connection is closed.
        """
        limit = self.patience_s if timeout is None else timeout
        try:
            return await waiting.wait_async(
                gen, self.pgconn.socket, interval=interval, timeout=limit
            )
        except asyncio.CancelledError:
            if self._busy():
                await self._cancel(gen)
            raise
        except psycopg.OperationalError as error:
            # What the server reports has a code; an error without, while it is at work, is ours.
            if error.sqlstate is not None or not self._busy():
                raise
            self.pgconn.finish()
            raise Silent(f"no answer within {limit:g} s") from error

    def _busy(self) -> bool:
        return self.pgconn.transaction_status == TransactionStatus.ACTIVE

    async def _cancel(self, gen: PQGen[_Result]) -> None:
        """Ask the server to stop, and hang up when it does not soon, or when we are interrupted."""
        ended = False
        try:
            async with asyncio.timeout(POLITE_S):
                await self.cancel_safe(timeout=POLITE_S)
                await waiting.wait_async(gen, self.pgconn.socket, interval=0.1, timeout=POLITE_S)
            ended = True
        except errors.QueryCanceled:
            ended = True
        except (psycopg.Error, TimeoutError):
            pass  # Silent or gone: closed below, and the cancellation goes on.
        finally:
            if not ended:
                self.pgconn.finish()
