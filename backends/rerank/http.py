"""A cross-encoder behind ``POST …/rerank``, the shape that Cohere, Jina, vLLM and others share."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from backends.errors import BackendError, Garbled, Refused, TimedOut, Unavailable

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MAX_QUESTION: Final = 2_000
"""Characters of a question that are sent; a cross-encoder has one window for question and passage,
and servers refuse what does not fit instead of cutting it."""

_BUSY: Final = frozenset({408, 425, 429})
_HINTS: Final = {
    401: "Check the API key of the rerank server.",
    403: "Check the API key of the rerank server.",
    404: "Check the URL and the model name of the rerank server.",
}


class HttpReranker:
    """Asks a server how well passages fit a question; open it with `open`."""

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 2.0,
        connect_timeout_s: float = 1.0,
    ) -> None:
        from aiohttp import ClientTimeout
        from yarl import URL

        self._session = session
        self._url = URL(base_url) / "rerank"
        self._model = model
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
        api_key: str | None = None,
        timeout_s: float = 2.0,
        connect_timeout_s: float = 1.0,
    ) -> AsyncIterator[HttpReranker]:
        """Use the server for the length of the block; it is not asked anything yet.

        Args:
            base_url: Up to and including the version: ``http://localhost:8000/v1``.
            model: Name the server knows the model by.
            session: Shared session; without one, an own session is opened and closed.
            api_key: Sent as a bearer token; never shown.
            timeout_s: Longest wait for one call.
            connect_timeout_s: Longest wait for a connection.
        """
        async with AsyncExitStack() as stack:
            if session is None:
                session = await stack.enter_async_context(_own_session())
            yield cls(
                session,
                base_url,
                model,
                api_key=api_key,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
            )

    @property
    def model(self) -> str:
        """Name of the model, as it appears in traces."""
        return self._model

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return the relevance of each passage, 0..1, in order.

        Raises:
            Unavailable: The server cannot be reached or is overloaded; `TimedOut` when it is slow.
            Refused: It will not serve the request: wrong key, unknown model, passage too long.
            Garbled: Its answer is not one score in 0..1 for each passage.
        """
        import aiohttp

        if not passages:
            return ()
        body = {
            "model": self._model,
            "query": _sendable(question[:MAX_QUESTION]),
            "documents": [_sendable(passage) for passage in passages],
            "top_n": len(passages),
        }
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
                return self._read(await response.read(), len(passages))
        except TimeoutError as error:
            raise TimedOut(
                f"The rerank server at {self._server} gave no answer within {self._timeout_s:g} s.",
                backend="reranker",
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise Garbled(
                f"The rerank server at {self._server} stopped in the middle of its answer.",
                backend="reranker",
            ) from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"The rerank server at {self._server} cannot be reached ({type(error).__name__}).",
                backend="reranker",
                hint="Check that it runs and that its URL is right.",
            ) from error

    def _read(self, body: bytes, count: int) -> Sequence[float]:
        try:
            results = json.loads(body)["results"]
            by_index = {int(one["index"]): float(one["relevance_score"]) for one in results}
            scores = [by_index[index] for index in range(count)]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise Garbled(
                f"The rerank server at {self._server} sent something else than {count} scores.",
                backend="reranker",
                hint="Check that its URL is that of an API with /rerank, up to the version.",
            ) from error
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
            raise Garbled(
                f"The rerank server at {self._server} sent scores that are not within 0 and 1.",
                backend="reranker",
                hint="Have it apply the model's sigmoid; raw logits cannot be compared.",
            )
        return scores

    async def _refusal(self, response: ClientResponse) -> BackendError:
        status = response.status
        problem = f"The rerank server at {self._server} answered with status {status}"
        if status >= 500 or status in _BUSY:
            return Unavailable(f"{problem}.", backend="reranker", hint="Try again later.")
        # Not its message: some servers repeat the passages in it.
        return Refused(
            f"{problem} for model {self._model!r}.",
            backend="reranker",
            hint=_HINTS.get(status, ""),
            status=status,
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


def _sendable(text: str) -> str:
    """Without half surrogate pairs, which JSON can write and a tokenizer cannot read."""
    return text.encode("utf-8", "replace").decode("utf-8")
