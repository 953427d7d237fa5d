"""A judge that is another server with OpenAI's ``POST /v1/decisions``, such as another router."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from backends.base import FOR_JUDGE, Verdict
from backends.errors import BackendError, Garbled, Refused, TimedOut, Unavailable

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MAX_ANSWER_BYTES: Final = 256 << 10
"""Three answers take less than one thousand."""

_BUSY: Final = frozenset({408, 425, 429})
_HINTS: Final = {
    401: "Check the API key of the judge.",
    403: "Check the API key of the judge.",
    404: "Check the URL of the judge, and the model name that it knows.",
}
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
        from aiohttp import ClientTimeout
        from yarl import URL

        url = URL(base_url) / "decisions"
        self._session = session
        # Two credentials at once are refused by aiohttp; the key is the one that was meant.
        self._url = url.with_user(None) if api_key else url
        self._model = model
        self._facts_threshold = facts_threshold
        self._manner_threshold = manner_threshold
        self._timeout_s = timeout_s
        self._timeout = ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s)
        self._headers = {FOR_JUDGE: "1"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

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
                session = await stack.enter_async_context(_own_session())
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
        return str(self._url.authority).rpartition("@")[2]

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
        import aiohttp

        body = {"model": self._model, "input": _sendable(question), "questions": _QUESTIONS}
        try:
            async with self._session.post(
                self._url,
                json=body,
                headers={**headers, **self._headers},
                timeout=self._timeout,
                allow_redirects=False,  # the key goes to nobody else
            ) as response:
                if response.status != 200:
                    raise self._refusal(response.status)
                return self._read(await self._bounded(response))
        except TimeoutError as error:
            raise TimedOut(
                f"The judge at {self._server} gave no answer within {self._timeout_s:g} s.",
                backend="judge",
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise Garbled(
                f"The judge at {self._server} stopped in the middle of its answer.",
                backend="judge",
            ) from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"The judge at {self._server} cannot be reached ({type(error).__name__}).",
                backend="judge",
                hint="Check that it runs and that its URL is right.",
            ) from error
        except ValueError as error:
            # Of aiohttp, before it sends anything: a line break in the key.
            raise Refused(
                "The judge cannot be asked: a header of the request is not valid.",
                backend="judge",
                hint="Check the API key of the judge.",
            ) from error

    async def _bounded(self, response: ClientResponse) -> bytes:
        pieces = bytearray()
        while piece := await response.content.readany():
            pieces += piece
            if len(pieces) > MAX_ANSWER_BYTES:
                raise Garbled(
                    f"The judge at {self._server} answered more than {MAX_ANSWER_BYTES} bytes.",
                    backend="judge",
                )
        return bytes(pieces)

    def _read(self, body: bytes) -> Verdict:
        try:
            answers = {one.get("name"): one for one in json.loads(body)["answers"]}
            facts = _probability(answers.get("needs_facts"))
            manner = _probability(answers.get("needs_manner"))
            by_route = _route(answers.get("route"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Garbled(
                f"The judge at {self._server} sent something else than decisions.",
                backend="judge",
                hint="Check that its URL is that of an API with /decisions, up to the version.",
            ) from error
        if facts is not None and manner is not None:
            return Verdict(facts >= self._facts_threshold, manner >= self._manner_threshold)
        if by_route is None:
            raise Refused(
                f"The judge at {self._server} answers neither both needs nor the route.",
                backend="judge",
            )
        return by_route

    def _refusal(self, status: int) -> BackendError:
        # Never its message: it may repeat the question.
        problem = f"The judge at {self._server} answered with status {status}"
        if status >= 500 or status in _BUSY:
            return Unavailable(f"{problem}.", backend="judge", hint="Try again later.")
        return Refused(
            f"{problem} for model {self._model!r}.",
            backend="judge",
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

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


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


def _sendable(text: str) -> str:
    """Without half surrogate pairs, which JSON can write and a tokenizer cannot read."""
    return text.encode("utf-8", "replace").decode("utf-8")
