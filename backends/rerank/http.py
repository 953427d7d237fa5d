"""A cross-encoder behind ``POST …/rerank``, the shape that Cohere, Jina, vLLM and others share."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from backends.asking import Server, own_session, sendable
from backends.errors import Garbled

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_QUESTION: Final = 2_000
"""Characters of a question that are sent; a cross-encoder has one window for question and passage,
and servers refuse what does not fit instead of cutting it."""

MAX_ANSWER_BYTES: Final = 4 << 20
"""A score takes less than one hundred, but some servers send the passages back."""


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
        from yarl import URL

        self._session = session
        self._server = Server(
            URL(base_url) / "rerank",
            "rerank server",
            "reranker",
            model,
            api_key=api_key,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )

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
                session = await stack.enter_async_context(own_session())
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
        return self._server.model

    async def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return the relevance of each passage, 0..1, in order.

        Raises:
            Unavailable: The server cannot be reached or is overloaded; `TimedOut` when it is slow.
            Refused: It will not serve the request: wrong key, unknown model, passage too long.
            Garbled: Its answer is not one score in 0..1 for each passage.
        """
        if not passages:
            return ()
        body = {
            "model": self._server.model,
            "query": sendable(question[:MAX_QUESTION]),
            "documents": [sendable(passage) for passage in passages],
            "top_n": len(passages),
        }
        return self._read(await self._server.ask(self._session, body), len(passages))

    def _read(self, body: bytes, count: int) -> Sequence[float]:
        try:
            results = json.loads(body)["results"]
            by_index = {int(one["index"]): float(one["relevance_score"]) for one in results}
            scores = [by_index[index] for index in range(count)]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise Garbled(
                f"{self._server} sent something else than {count} scores.",
                backend="reranker",
                hint="Check that its URL is that of an API with /rerank, up to the version.",
            ) from error
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
            raise Garbled(
                f"{self._server} sent scores that are not within 0 and 1.",
                backend="reranker",
                hint="Have it apply the model's sigmoid; raw logits cannot be compared.",
            )
        return scores
