"""The generator over vLLM: streams, whole answers, adapters by name, structured output."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from backends.errors import BackendError, Refused, Unavailable
from backends.generation import Generation, GenerationChunk, GenerationRequest, ModelCard, Usage
from backends.vllm import wire
from backends.vllm.exchange import Call, Reply
from backends.vllm.host import VllmHost
from backends.vllm.keeper import Keeper, Wanted
from backends.vllm.pacing import Clock, Retries, Timeouts
from backends.vllm.replicas import Replicas, parse_replicas
from backends.vllm.sse import EventStream, MalformedStream
from backends.vllm.transport import Transport, open_session

_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"


class VllmGenerator:
    """A `Generator` over one or more equal model servers.

    Use `open`, which owns the connections. Calls may run concurrently.
    """

    def __init__(self, transport: Transport, *, model: str | None, timeouts: Timeouts) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._configured = model
        self._discovered: str | None = None
        self._host = VllmHost(transport)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        urls: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
    ) -> AsyncIterator[VllmGenerator]:
        """Make a client and close its connections at the end. Contacts nobody yet.

        Args:
            urls: Address of a server, or several separated by commas; with or without ``/v1``.
            model: The default model; None for the first base model that the server lists.
            api_key: Sent as bearer token.
            timeouts: Limits of one call.
            retries: How often to try again before the first byte.

        Raises:
            Misconfigured: An address is not an http address.
        """
        limits = timeouts or Timeouts()
        replicas = Replicas(parse_replicas(urls), asyncio.get_running_loop().time)
        async with open_session(limits) as session:
            transport = Transport(session, replicas, retries or Retries(), api_key)
            yield cls(transport, model=model, timeouts=limits)

    @property
    def model(self) -> str:
        """Name of the default model; ``"unknown"`` before the first call discovered it."""
        return self._configured or self._discovered or "unknown"

    @property
    def host(self) -> VllmHost:
        """Loads and unloads adapters on the same servers."""
        return self._host

    def keeper(self, wanted: Wanted | None = None) -> Keeper:
        """Return what looks after the same servers; see `Keeper.running`.

        Args:
            wanted: Returns what every server of its base shall serve; None for a keeper that only
                asks how the servers are.
        """
        return Keeper(self._transport, self._host, wanted)

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """Yield the answer as it comes; the last chunk carries reason, usage and model.

        Closing the iterator, or cancelling the task that reads it, closes the connection at once,
        and with it ends the generation on the server.

        Raises:
            Unavailable, Refused, Garbled: As the port says.
        """
        clock = Clock(self._timeouts, streamed=True)
        async with self._answer(request, clock, streamed=True) as reply:
            if not reply.is_event_stream:
                answer = wire.parse_object(await reply.whole(), reply.server)
                raise self._fault(answer, reply) or wire.garbled(
                    reply.server, "answered at once although it was asked to stream"
                )
            async with aclosing(self._chunks(reply, clock)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def complete(self, request: GenerationRequest) -> Generation:
        """Return the whole answer; cancelling the task ends the generation. Raises as `stream`."""
        clock = Clock(self._timeouts, streamed=False)
        async with self._answer(request, clock, streamed=False) as reply:
            answer = wire.parse_object(await reply.whole(), reply.server)
            if fault := self._fault(answer, reply):
                raise fault
            return wire.parse_generation(answer, reply.server)

    async def models(self) -> Sequence[ModelCard]:
        """Return base models and adapters as one server lists them; raises as `stream`."""
        listed = await self._list_models(Clock(self._timeouts, streamed=True), {})
        return [ModelCard(model.name, model.base) for model in listed]

    @asynccontextmanager
    async def _answer(
        self, request: GenerationRequest, clock: Clock, *, streamed: bool
    ) -> AsyncIterator[Reply]:
        try:
            model = request.adapter or await self._default_model(clock, request.headers)
            body = wire.chat_body(request, model, streamed=streamed)
            named = request.adapter is not None
            call = Call(_CHAT, body, request.headers, model=model, by_name=named)
            async with self._transport.send(call, clock) as reply:
                yield reply
        except Refused as refusal:
            if refusal.status != 404:
                raise
            self._discovered = None
            raise
        except BackendError:
            # A server that comes back may have come back with another model.
            self._discovered = None
            raise

    async def _default_model(self, clock: Clock, headers: Mapping[str, str]) -> str:
        known = self._configured or self._discovered
        if known:
            return known
        cards = await self._list_models(clock, headers)
        names = [card.name for card in cards if card.base is None]
        if not names:
            raise Unavailable(
                "The model server serves no base model.",
                backend=wire.BACKEND,
                hint="Name the default model in the settings.",
            )
        self._discovered = names[0]
        return names[0]

    async def _list_models(self, clock: Clock, headers: Mapping[str, str]) -> Sequence[wire.Listed]:
        async with self._transport.send(Call(_MODELS, None, headers), clock) as reply:
            answer = wire.parse_object(await reply.whole(), reply.server)
            models = wire.parse_models(answer, reply.server)
        self._transport.replicas.listed(reply.replica, models)
        return models

    async def _chunks(self, reply: Reply, clock: Clock) -> AsyncGenerator[GenerationChunk, None]:
        finish_reason: str | None = None
        usage: Usage | None = None
        model: str | None = None
        async with aclosing(self._deltas(reply, clock)) as deltas:
            async for delta in deltas:
                finish_reason = delta.finish_reason or finish_reason
                usage = delta.usage or usage
                model = delta.model or model
                if delta.text or delta.tool_calls:
                    yield GenerationChunk(delta.text, tool_calls=delta.tool_calls)
        if finish_reason is None:
            raise wire.garbled(reply.server, "ended its answer without saying why")
        await reply.finish()
        yield GenerationChunk(finish_reason=finish_reason, usage=usage, model=model)

    async def _deltas(self, reply: Reply, clock: Clock) -> AsyncGenerator[wire.Delta, None]:
        """Yield until the end mark; raise when the stream ends before it."""
        events = EventStream()
        while received := await reply.piece():
            try:
                payloads = events.feed(received)
            except MalformedStream as error:
                raise wire.garbled(reply.server, f"streamed nonsense: {error}") from error
            for payload in payloads:
                clock.tick()
                if payload == wire.END_MARK:
                    return
                event = wire.parse_object(payload, reply.server)
                if fault := self._fault(event, reply):
                    raise fault
                yield wire.parse_delta(event, reply.server)
        raise wire.garbled(reply.server, "ended its stream before the end mark")

    def _fault(self, answer: wire.Json, reply: Reply) -> BackendError | None:
        """Return the error that an answer with status 200 may hold all the same."""
        fault = wire.fault_in(answer)
        if fault is None:
            return None
        words, status = fault
        return wire.failure(reply.server, status, self._transport.without_secrets(words))
