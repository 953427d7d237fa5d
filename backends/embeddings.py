"""Embeddings over HTTP, from any server with OpenAI's ``POST /v1/embeddings``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from backends.errors import BackendError, Garbled, OtherModel, Refused, TimedOut, Unavailable

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    from backends.base import Vectors

_BYTES_A_TOKEN = 3
_SPECIAL_TOKENS = 2
_BUSY = frozenset({408, 425, 429})
_HINTS = {
    401: "Check the API key of the embedding server.",
    403: "Check the API key of the embedding server.",
    404: "Check the URL and the model name of the embedding server.",
}


class HttpEmbedder:
    """Asks a server for vectors, a bounded batch at a time; open it with `open`."""

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        model: str,
        *,
        dimension: int,
        api_key: str | None = None,
        max_tokens: int = 512,
        batch_size: int = 32,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 3.0,
    ) -> None:
        from aiohttp import ClientTimeout
        from yarl import URL

        self._session = session
        self._url = URL(base_url) / "embeddings"
        self._model = model
        self._dimension = dimension
        self._max_tokens = max_tokens
        self._batch_size = batch_size
        self._timeout_s = timeout_s
        self._timeout = ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        base_url: str,
        model: str,
        *,
        session: ClientSession | None = None,
        dimension: int | None = None,
        api_key: str | None = None,
        max_tokens: int = 512,
        batch_size: int = 32,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 3.0,
    ) -> AsyncIterator[HttpEmbedder]:
        """Use the server for the length of the block.

        Args:
            base_url: Up to and including the version: ``http://localhost:8000/v1``.
            model: Name the server knows the model by.
            session: Shared session; without one, an own session is opened and closed.
            dimension: Length of the vectors; None asks the server once, now.
            api_key: Sent as a bearer token; never shown.
            max_tokens: Tokens of one text that the model reads.
            batch_size: Texts of one request.
            timeout_s: Longest wait for one request.
            connect_timeout_s: Longest wait for a connection.

        Raises:
            Unavailable, Refused, Garbled: As `embed`, when the dimension has to be asked for.
        """
        async with AsyncExitStack() as stack:
            if session is None:
                session = await stack.enter_async_context(_own_session())
            embedder = cls(
                session,
                base_url,
                model,
                dimension=dimension or 0,
                api_key=api_key,
                max_tokens=max_tokens,
                batch_size=batch_size,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
            )
            if dimension is None:
                embedder._dimension = (await embedder._request(["dimension"])).shape[1]
            yield embedder

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return self._model

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of one text that the model reads; what is longer is cut, by `count_tokens`."""
        return self._max_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, shape (len(texts), d), float32, in order.

        Raises:
            Unavailable: The server cannot be reached or is overloaded; `TimedOut` when it is slow.
            Refused: It will not serve the request: wrong key, unknown model, text too long.
            Garbled: Its answer is not a list of vectors, one a text.
            OtherModel: Its vectors have another length than before: another model.
        """
        import numpy as np

        cut = [self._cut(text) for text in texts]
        vectors = [np.empty((0, self._dimension), np.float32)]
        for start in range(0, len(cut), self._batch_size):
            batch = await self._request(cut[start : start + self._batch_size])
            self._check_dimension(batch)
            vectors.append(batch)
        return np.concatenate(vectors)

    def count_tokens(self, text: str) -> int:
        """Estimate the tokens, rather too many than too few: one for three bytes of UTF-8.

        The server's tokenizer is not known here. English runs to about four bytes a token.
        """
        return -(-len(text.encode()) // _BYTES_A_TOKEN) + _SPECIAL_TOKENS

    def _cut(self, text: str) -> str:
        limit = (self._max_tokens - _SPECIAL_TOKENS) * _BYTES_A_TOKEN
        # An empty input is refused by OpenAI, a blank is not.
        return text.encode()[:limit].decode(errors="ignore") or " "

    async def _request(self, texts: list[str]) -> Vectors:
        import aiohttp

        body = {"model": self._model, "input": texts, "encoding_format": "float"}
        try:
            async with self._session.post(
                self._url,
                json=body,
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,  # the key goes to nobody else
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                return _vectors(await response.read(), len(texts), self._server)
        except TimeoutError as error:
            raise TimedOut(
                f"The embedding server at {self._server} gave no answer "
                f"within {self._timeout_s:g} s.",
                backend="embedder",
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise Garbled(
                f"The embedding server at {self._server} stopped in the middle of its answer.",
                backend="embedder",
            ) from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"The embedding server at {self._server} cannot be reached "
                f"({type(error).__name__}).",
                backend="embedder",
                hint="Check that it runs and that its URL is right.",
            ) from error

    async def _refusal(self, response: ClientResponse) -> BackendError:
        status = response.status
        problem = f"The embedding server at {self._server} answered with status {status}"
        if status >= 500 or status in _BUSY:
            return Unavailable(f"{problem}.", backend="embedder", hint="Try again later.")
        reason = _reason(await response.read())
        return Refused(
            f"{problem} for model {self._model!r}{reason}.",
            backend="embedder",
            hint=_HINTS.get(status, ""),
            status=status,
        )

    def _check_dimension(self, vectors: Vectors) -> None:
        found = vectors.shape[1]
        if found != self._dimension:
            raise OtherModel(
                f"The embedding server at {self._server} sent vectors of length {found}, "
                f"expected {self._dimension}.",
                backend="embedder",
                hint="Another model is served under that name; use it from the start, or restore.",
            )

    @property
    def _server(self) -> str:
        """Where it is, without user, password or query."""
        return str(self._url.origin())


@asynccontextmanager
async def _own_session() -> AsyncIterator[ClientSession]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:
        yield session


def _reason(body: bytes) -> str:
    """Take the message out of OpenAI's error shape; it may name limits worth knowing."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {str(message)[:200].rstrip('.')}"


def _vectors(body: bytes, count: int, server: str) -> Vectors:
    import numpy as np

    try:
        rows: list[dict[str, Any]] = json.loads(body)["data"]
        by_index = {int(row["index"]): row["embedding"] for row in rows}
        vectors = np.array([by_index[index] for index in range(count)], np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise Garbled(
            f"The embedding server at {server} sent something else than {count} vectors.",
            backend="embedder",
            hint="Check that the URL is that of an OpenAI-compatible API, up to /v1.",
        ) from error
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or not np.isfinite(lengths).all() or not lengths.all():
        raise Garbled(
            f"The embedding server at {server} sent vectors without a direction.",
            backend="embedder",
        )
    return np.asarray(vectors / lengths, np.float32)
