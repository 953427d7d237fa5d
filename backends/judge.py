"""A judge that is another server with OpenAI's ``POST /v1/decisions``, such as another router."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from backends.asking import Server, own_session, sendable
from backends.base import FOR_JUDGE, Verdict
from backends.errors import Garbled, Refused

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_ANSWER_BYTES: Final = 256 << 10
"""Three answers take less than one thousand."""

_ROUTES: Final[Mapping[object, Verdict]] = MappingProxyType(
    {
        "factual": Verdict(needs_facts=True, needs_manner=False),
        "hybrid": Verdict(needs_facts=True, needs_manner=True),
        "behavioural": Verdict(needs_facts=False, needs_manner=True),
    }
)
# A router goes by the names; whoever else decides reads the instructions.
_QUESTIONS: Final = (
    {
        "type": "predicate",
        "name": "needs_facts",
        "instructions": "Could the correct answer be found in a document, and is it not already "
        "in the question?",
    },
    {
        "type": "predicate",
        "name": "needs_manner",
        "instructions": "Must the answer have a particular tone, persona, genre, audience or form, "
        "or is text from the question to be rewritten, translated or shortened? A plain list or a "
        "short explanation is not a manner.",
    },
    {
        "type": "choice",
        "name": "route",
        "instructions": "factual: only facts that a document could hold are needed. hybrid: such "
        "facts, and a particular tone, persona or form. behavioural: no such facts.",
        "choices": [{"value": route} for route in _ROUTES],
    },
)


class HttpJudge:
    """Asks a server what a question needs; open it with `open`."""

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        model: str = "auto",
        *,
        api_key: str | None = None,
        facts_threshold: float = 0.5,
        manner_threshold: float = 0.5,
        timeout_s: float = 3.0,
        connect_timeout_s: float = 1.0,
    ) -> None:
        from yarl import URL

        self._session = session
        self._server = Server(
            URL(base_url) / "decisions",
            "judge",
            "judge",
            model,
            api_key=api_key,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )
        self._facts_threshold = facts_threshold
        self._manner_threshold = manner_threshold

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        base_url: str,
        model: str = "auto",
        *,
        session: ClientSession | None = None,
        api_key: str | None = None,
        facts_threshold: float = 0.5,
        manner_threshold: float = 0.5,
        timeout_s: float = 3.0,
        connect_timeout_s: float = 1.0,
    ) -> AsyncIterator[HttpJudge]:
        """Use the server for the length of the block; it is not asked anything yet.

        Args:
            base_url: Up to and including the version: ``http://localhost:8080/v1``.
            model: Name that the server knows its model by; a router's is ``auto``.
            session: Shared session; without one, an own session is opened and closed.
            api_key: Sent as a bearer token; never shown.
            facts_threshold: Probability, 0..1, from which its answer means that facts are needed.
            manner_threshold: The same for a manner.
            timeout_s: Longest wait for one verdict.
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
                facts_threshold=facts_threshold,
                manner_threshold=manner_threshold,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
            )

    @property
    def name(self) -> str:
        """Host and port."""
        return str(self._server.url.authority).rpartition("@")[2]

    @property
    def hands_on(self) -> bool:
        """True: it may be a router with a judge of its own."""
        return True

    async def verdict(
        self, question: str, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Verdict:
        """Return what the server says the question needs: by its two needs, else by its route.

        Raises:
            Unavailable: The server cannot be reached or is overloaded; `TimedOut` when it is slow.
            Refused: It will not serve the request, or answers neither both needs nor the route.
            Garbled: Its answer is not what ``/v1/decisions`` returns.
        """
        body = {
            "model": self._server.model,
            "input": sendable(question),
            "questions": _QUESTIONS,
        }
        return self._read(await self._server.ask(self._session, body, {**headers, FOR_JUDGE: "1"}))

    def _read(self, body: bytes) -> Verdict:
        try:
            answers = {one.get("name"): one for one in json.loads(body)["answers"]}
            facts = _probability(answers.get("needs_facts"))
            manner = _probability(answers.get("needs_manner"))
            by_route = _route(answers.get("route"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Garbled(
                f"{self._server} sent something else than decisions.",
                backend="judge",
                hint="Check that its URL is that of an API with /decisions, up to the version.",
            ) from error
        if facts is not None and manner is not None:
            return Verdict(facts >= self._facts_threshold, manner >= self._manner_threshold)
        if by_route is None:
            raise Refused(
                f"{self._server} answers neither both needs nor the route.",
                backend="judge",
            )
        return by_route


def _probability(answer: Mapping[str, Any] | None) -> float | None:
    """Return how probable a need is, None where the judge does not say.

    Raises:
        ValueError, KeyError, TypeError: It says so in a wrong way.
    """
    if answer is None or answer["type"] == "refusal":
        return None
    value = answer["probability"]
    if isinstance(value, bool) or not 0.0 <= value <= 1.0:  # NaN fails as well
        raise ValueError("no probability")
    return float(value)


def _route(answer: Mapping[str, Any] | None) -> Verdict | None:
    """Return what a route means, None where the judge chooses none; raises as `_probability`."""
    if answer is None or answer["type"] == "refusal":
        return None
    return _ROUTES[answer["choice"]]
