"""One POST of JSON to a server beside the router, with limits and designed errors.

For servers that are asked a short question and answer it whole; streams have a client of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from backends.errors import Backend, BackendError, Garbled, Refused, TimedOut, Unavailable

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

_BUSY: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to ask, and how long to wait.

    Attributes:
        who: In errors: ``"judge"``.
        backend: Which part of ours it serves.
        model: Name that it knows its model by.
        api_key: Sent as a bearer token; never shown.
        timeout_s: Longest wait for one answer.
        connect_timeout_s: Longest wait for a connection.
        max_bytes: Longest answer.
    """

    url: URL
    who: str
    backend: Backend
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 2.0
    connect_timeout_s: float = 1.0
    max_bytes: int = 256 << 10

    def __str__(self) -> str:
        """Where it is, without user, password or query."""
        return f"The {self.who} at {self.url.origin()}"

    async def ask(
        self, session: ClientSession, body: Any, headers: Mapping[str, str] = MappingProxyType({})
    ) -> bytes:
        """Return the body of its answer.

        Raises:
            Unavailable: It cannot be reached or is overloaded; `TimedOut` when it is slow.
            Refused: It will not serve the request.
            Garbled: Its answer breaks off, or is longer than may be.
        """
        import aiohttp

        # Two credentials at once are refused by aiohttp; the key is the one that was meant.
        url = self.url.with_user(None) if self.api_key else self.url
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=self.connect_timeout_s)
        try:
            async with session.post(
                url,
                json=body,
                headers={**headers, **key},
                timeout=timeout,
                allow_redirects=False,  # the key goes to nobody else
            ) as response:
                if response.status != 200:
                    raise self._refusal(response.status)
                return await self._bounded(response)
        except TimeoutError as error:
            raise TimedOut(
                f"{self} gave no answer within {self.timeout_s:g} s.", backend=self.backend
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise Garbled(
                f"{self} stopped in the middle of its answer.", backend=self.backend
            ) from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"{self} cannot be reached ({type(error).__name__}).",
                backend=self.backend,
                hint="Check that it runs and that its URL is right.",
            ) from error
        except ValueError as error:
            # Of aiohttp, before it sends anything: a line break in the key.
            raise Refused(
                f"The {self.who} cannot be asked: a header of the request is not valid.",
                backend=self.backend,
                hint=f"Check the API key of the {self.who}.",
            ) from error

    async def _bounded(self, response: ClientResponse) -> bytes:
        pieces = bytearray()
        while piece := await response.content.readany():
            pieces += piece
            if len(pieces) > self.max_bytes:
                raise Garbled(
                    f"{self} answered more than {self.max_bytes} bytes.", backend=self.backend
                )
        return bytes(pieces)

    def _refusal(self, status: int) -> BackendError:
        # Never its message: it may repeat the question or the passages.
        problem = f"{self} answered with status {status}"
        if status >= 500 or status in _BUSY:
            return Unavailable(f"{problem}.", backend=self.backend, hint="Try again later.")
        hint = ""
        if status in {401, 403}:
            hint = f"Check the API key of the {self.who}."
        elif status == 404:
            hint = f"Check the URL of the {self.who}, and the model name that it knows."
        return Refused(
            f"{problem} for model {self.model!r}.", backend=self.backend, hint=hint, status=status
        )


@asynccontextmanager
async def own_session() -> AsyncIterator[ClientSession]:
    """Open a session that keeps no cookies, for the length of the block."""
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


def sendable(text: str) -> str:
    """Leave out half surrogate pairs, which JSON can write and a tokenizer cannot read."""
    return text.encode("utf-8", "replace").decode("utf-8")
