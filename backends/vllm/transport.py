"""HTTP to the model servers: which one, how often before the first byte, and errors translated.

A call that asks for a model goes to servers that serve it. Who does is read from the servers
themselves: all that have not been heard of for a while before a call is sent, the one that says 404
after it. So the keeper makes calls quicker, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from backends.errors import BackendError, Garbled, Refused, Unavailable
from backends.vllm import wire
from backends.vllm.exchange import Call, Reply, timed_out
from backends.vllm.pacing import Clock, Retries, Timeouts
from backends.vllm.replicas import Replica, Replicas

MAX_ERROR_BYTES = 64 << 10
MAX_CONNECTIONS = 512

# Below the 5 s after which vLLM's own HTTP server closes an idle connection: a call must not start
# on one that is just being closed.
_KEEP_ALIVE_S = 4.0

LIST_LIMIT_S = 3.0
"""How long a server may take to list its models, while others may do as well."""

_LISTED = 20
_NAME_SHOWN = 100
_AUTH = "authorization"
_WORTH_ANOTHER_TRY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt that ended before the server answered a single byte of use."""

    error: BackendError
    retry_after: float | None = None


@dataclass(slots=True)
class _Search:
    """What one call has learnt about who serves its model."""

    call: Call
    began: float
    denied: list[Replica] = field(default_factory=list)
    refusal: Refused | None = None


class Transport:
    """Owns the session; one per process, closed by whoever opened it.

    Args:
        session: Made by `open_session`.
        replicas: The servers, equal to each other.
        retries: When to try again.
        api_key: Sent as bearer token; goes before a user and password in the address.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        replicas: Replicas,
        retries: Retries,
        api_key: str | None,
    ) -> None:
        self._session = session
        self._replicas = replicas
        self._retries = retries
        self._api_key = api_key
        self._listing = asyncio.Lock()

    @property
    def replicas(self) -> Replicas:
        """The servers."""
        return self._replicas

    @asynccontextmanager
    async def send(self, call: Call, clock: Clock) -> AsyncIterator[Reply]:
        """Call the least busy server; leaving the context before the end closes the connection.

        Nothing is tried again once a server has answered with status 200.

        Raises:
            Unavailable: No server could be reached, or all are overloaded, or none serves the
                model yet that all shall serve.
            TimedOut: The clock ran out.
            Refused: A server will not serve the call; with status 404 where none serves the model.
            Garbled: A server answered something other than HTTP.
        """
        search = _Search(call, asyncio.get_running_loop().time())
        tried: list[Replica] = []
        while True:
            among = await self._among(search, clock)
            with self._replicas.lease(avoid=tried, among=among) as replica:
                try:
                    outcome = await self._attempt(replica, call, clock)
                except Refused as refusal:
                    await self._note_absence(search, replica, refusal)
                    continue
                if not isinstance(outcome, Setback):
                    try:
                        yield Reply(outcome, replica, clock)
                    finally:
                        # A body that is read to its end has given its connection back already.
                        outcome.close()
                    return
            tried.append(replica)
            await self._pause(outcome, len(tried), clock)

    async def ask(self, replica: Replica, call: Call, timeout_s: float) -> bytes:
        """Call this one server once; return the body of its answer.

        Raises:
            BackendError: As `send`; anything but status 200 is one.
        """
        status, told = await self.hear(replica, call, timeout_s)
        if status != 200:
            raise wire.failure(replica.name, status, self.words(told))
        return told

    async def hear(self, replica: Replica, call: Call, timeout_s: float) -> tuple[int, bytes]:
        """Call this one server once; return the status and the body of whatever it answers.

        Raises:
            Unavailable: It cannot be reached.
            TimedOut: It did not answer in time.
            Garbled: It answered something other than HTTP, or stopped in the middle.
        """
        clock = Clock(Timeouts(total=timeout_s), streamed=False)
        response = await self._reach(replica, call, clock)
        if isinstance(response, Setback):
            raise response.error
        try:
            return response.status, await Reply(response, replica, clock).whole()
        finally:
            response.close()

    async def list_models(
        self, replica: Replica, timeout_s: float = LIST_LIMIT_S
    ) -> tuple[wire.Listed, ...]:
        """Ask a server what it serves, and remember it; raises as `ask`."""
        answer = await self.ask(replica, Call("/v1/models", None), timeout_s)
        models = wire.parse_models(wire.parse_object(answer, replica.name), replica.name)
        self._replicas.listed(replica, models)
        return models

    async def look_around(self, since: float | None = None) -> None:
        """Ask the servers of whom too little is known what they serve; see `Replicas.unknown`."""
        if not self._replicas.unknown(since):
            return
        async with self._listing:
            # Somebody else may have asked while this one waited.
            unknown = self._replicas.unknown(since)
            await asyncio.gather(*(self._list_or_cool(replica) for replica in unknown))

    async def _list_or_cool(self, replica: Replica) -> None:
        try:
            await self.list_models(replica)
        except BackendError:
            # Another server may do, and the call that finds none will say so.
            self._replicas.cool(replica)

    async def _among(self, search: _Search, clock: Clock) -> tuple[Replica, ...]:
        """Return the servers that a call may go to; nothing for all."""
        model = search.call.model
        if model is None:
            return ()
        if search.call.by_name:
            try:
                async with asyncio.timeout_at(clock.until()):
                    await self._look_for(model, search.began)
            except TimeoutError as error:
                raise timed_out("every address", clock) from error
        among = self._replicas.serving(model)
        if among or not (search.call.by_name or search.refusal):
            return among
        raise self._absent(model) from search.refusal

    async def _look_for(self, model: str, since: float) -> None:
        if len(self._replicas) > 1:
            await self.look_around()
        if not self._replicas.serving(model):
            # It may have been loaded since; one look of this call's own decides.
            await self.look_around(since)

    async def _note_absence(self, search: _Search, replica: Replica, refusal: Refused) -> None:
        """Learn from a 404 what that server serves; raise the refusal if that explains nothing."""
        if refusal.status != 404 or search.call.model is None or replica in search.denied:
            raise refusal
        search.denied.append(replica)
        search.refusal = refusal
        try:
            await self.list_models(replica)
        except BackendError:
            # The refusal is what the caller must hear; the list was only to get around it.
            raise refusal from None

    def _absent(self, model: str) -> BackendError:
        """Return the error for a model that no server serves."""
        if model in self._replicas.wanted:
            return Unavailable(
                f"No model server serves {model!r} yet.",
                backend=wire.BACKEND,
                hint="It is loaded again as soon as a server is up.",
            )
        names = self._replicas.names()
        more = ", …" if len(names) > _LISTED else ""
        return Refused(
            f"The model {model[:_NAME_SHOWN]!r} does not exist.",
            backend=wire.BACKEND,
            hint=f"It serves {', '.join(names[:_LISTED])}{more}.",
            status=404,
        )

    async def _attempt(
        self, replica: Replica, call: Call, clock: Clock
    ) -> aiohttp.ClientResponse | Setback:
        response = await self._reach(replica, call, clock)
        if isinstance(response, Setback) or response.status == 200:
            return response
        return await self._refusal(response, replica, clock)

    async def _reach(
        self, replica: Replica, call: Call, clock: Clock
    ) -> aiohttp.ClientResponse | Setback:
        """Return whatever the server answers, its body unread."""
        try:
            async with asyncio.timeout_at(clock.until()):
                response = await self._request(replica, call)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._replicas.cool(replica)
            return Setback(_chained(_unreachable(replica, error), error))
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            return Setback(_chained(_hung_up(replica), error))
        except aiohttp.ClientError as error:
            raise wire.garbled(replica.name, "answered something that is not HTTP") from error
        except TimeoutError as error:
            raise timed_out(replica.name, clock) from error
        except ValueError as error:
            raise Refused("A header of the request is not valid.", backend=wire.BACKEND) from error
        self._replicas.warm(replica)
        return response

    async def _request(self, replica: Replica, call: Call) -> aiohttp.ClientResponse:
        bearer = f"Bearer {self._api_key}" if self._api_key else replica.authorization
        headers = dict(call.headers)
        if bearer:
            # What let the asker in here is nothing that the model server should see.
            headers = {name: value for name, value in headers.items() if name.lower() != _AUTH}
            headers[_AUTH] = bearer
        return await self._session.request(
            "GET" if call.body is None else "POST",
            replica.root + call.path,
            json=call.body,
            headers=headers,
            allow_redirects=False,
        )

    async def _refusal(
        self, response: aiohttp.ClientResponse, replica: Replica, clock: Clock
    ) -> Setback:
        """Return what may be tried again; raise what may not."""
        status, retry_after = response.status, response.headers.get("Retry-After", "")
        try:
            async with asyncio.timeout_at(clock.until()):
                told = await response.content.read(MAX_ERROR_BYTES)
        except (aiohttp.ClientError, TimeoutError):
            # The status says what matters; the words were only for the message.
            told = b""
        finally:
            response.close()
        error = wire.failure(replica.name, status, self.words(told))
        if status not in _WORTH_ANOTHER_TRY:
            raise error
        return Setback(error, float(retry_after) if retry_after.isdecimal() else None)

    async def _pause(self, setback: Setback, attempts: int, clock: Clock) -> None:
        """Wait before the next attempt; raise the setback when there shall be none."""
        # Only the server that asked for time is owed it; the next one is not.
        fresh = attempts < len(self._replicas)
        delay = self._retries.pause(attempts - 1, None if fresh else setback.retry_after)
        if delay is None or not clock.has(delay):
            raise setback.error
        await asyncio.sleep(delay)

    def words(self, told: bytes) -> str:
        """Return the server's own message, without our key in case it repeats it."""
        text = told.decode("utf-8", errors="replace")
        try:
            fault = wire.fault_in(wire.parse_object(text, ""))
        except Garbled:
            fault = None
        words = fault[0] if fault else text
        return self.without_secrets(words)

    def without_secrets(self, words: str) -> str:
        """Return the words with the API key blotted out."""
        return words.replace(self._api_key, "…") if self._api_key else words


@asynccontextmanager
async def open_session(timeouts: Timeouts) -> AsyncIterator[aiohttp.ClientSession]:
    """Open the HTTP session that all calls share and close it at the end."""
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S)
    # Every other limit depends on how far a call is, which only its clock knows.
    limits = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect)
    async with aiohttp.ClientSession(
        connector=connector, timeout=limits, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


def _unreachable(replica: Replica, error: OSError) -> Unavailable:
    # asyncio puts a sentence of its own, with the address, where the system's reason would stand.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror or "no answer"
    return Unavailable(
        f"The model server at {replica.name} cannot be reached ({reason}).",
        backend=wire.BACKEND,
        hint="Start one with `vllm serve MODEL --enable-lora`, or correct its address.",
    )


def _hung_up(replica: Replica) -> Unavailable:
    return Unavailable(
        f"The model server at {replica.name} closed the connection without an answer.",
        backend=wire.BACKEND,
        hint="Its own log says why.",
    )


def _chained(error: BackendError, cause: BaseException) -> BackendError:
    # Raised later, once it is clear that there is no further attempt.
    error.__cause__ = cause
    return error
