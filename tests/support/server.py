"""The HTTP door over a real socket, in front of a router that does what a test scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

from agents.base import Citation, Evidence, Token
from backends.base import DocumentId, Message, Passage, PassageId
from backends.generation import ModelCard, Sampling, Usage
from router.answer import Answer, Decided, Event, EvidenceFound, Finished, Found
from router.config import ServerSettings
from router.errors import UnknownPassage
from router.policy import Decision, Route
from router.request import WhereLike
from router.server.asks import Asks
from router.server.log import server_log
from router.server.serving import Stop, bound, run

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PIECES = ("Boots may be returned ", "within 30 days.", " [1]")
TEXT = "".join(PIECES)

DECISION = Decision(
    route=Route.FACTUAL,
    needs_facts=0.9,
    needs_manner=0.2,
    margin=0.4,
    reason="It asks for a rule that a document would hold.",
    policy="policy-1",
)

CITATION = Citation(
    number=1,
    text_start=len(TEXT) - 3,
    text_end=len(TEXT),
    passage_id=PassageId("p/1 ü"),
    document_id=DocumentId("d1"),
    title="Returns",
    source="returns.md",
    version=2,
    start=10,
    end=24,
    quote="within 30 days",
    passage="Boots: within 30 days.",
)

ANSWER = Answer(
    text=TEXT,
    decision=DECISION,
    citations=(CITATION,),
    evidence=Evidence("boots return", (), sufficient=True, support=1.0),
    usage=Usage(input_tokens=40, output_tokens=9),
    timings_ms={"classify": 1.234, "total": 5.678},
    standalone_question="How long may I return boots?",
    model="extractive",
    trace_id=TRACE_ID,
)


@dataclass(frozen=True, slots=True)
class Call:
    """One question as the router got it."""

    conversation: tuple[Message, ...]
    principal: str | None
    route: Route | None
    adapter: str | None = None
    sampling: Sampling | None = None
    schema: Mapping[str, object] | None = None
    traceparent: Mapping[str, str] | None = None
    where: object = None
    extra: Mapping[str, object] | None = None
    for_judge: bool = False


@dataclass(slots=True)
class ScriptedRouter:
    """A router that answers what it is told to, and remembers what it was asked.

    Attributes:
        pieces: The tokens of every answer.
        answer: What every stream finishes with.
        failure: Raised instead of going on, having yielded ``fail_after`` pieces.
        hold: Waited for, having yielded ``hold_after`` pieces.
        parts: What `ping` says; ``ping_failure`` is raised instead.
        asked: Set when a question has arrived.
        cancelled: Set when a question was cancelled before its end.
    """

    pieces: Sequence[str] = PIECES
    answer: Answer = ANSWER
    decision: Decision = DECISION
    failure: Exception | None = None
    fail_after: int = 0
    hold: asyncio.Event | None = None
    hold_after: int = 0
    cards: list[ModelCard] = field(default_factory=list)
    models_failure: Exception | None = None
    parts: dict[str, str] = field(
        default_factory=lambda: {"database": "ok", "embedder": "ok", "model server": "ok"}
    )
    pings: int = 0
    listings: int = 0
    calls: list[Call] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(
        self,
        question: Sequence[Message],
        *,
        principal: str | None = None,
        route: Route | None = None,
        adapter: str | None = None,
        sampling: Sampling | None = None,
        schema: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
        where: WhereLike = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event]:
        """Play the script."""
        asked = (tuple(question), principal, route, adapter, sampling, schema, traceparent)
        self.calls.append(Call(*asked, where=where, extra=extra))
        self.asked.set()
        try:
            yield Decided(self.decision, TRACE_ID)
            if self.answer.evidence:
                yield EvidenceFound(self.answer.evidence)
            for said in range(len(self.pieces) + 1):
                await self._obstacle(said)
                if said < len(self.pieces):
                    yield Token(self.pieces[said])
            yield Finished(self.answer)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def decided(
        self,
        question: Sequence[Message],
        *,
        principal: str | None = None,
        route: Route | None = None,
        traceparent: Mapping[str, str] | None = None,
        for_judge: bool = False,
    ) -> Decided:
        """Return the scripted decision."""
        self.calls.append(
            Call(tuple(question), principal, route, traceparent=traceparent, for_judge=for_judge)
        )
        self.asked.set()
        try:
            await self._obstacle(0)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Decided(replace(self.decision, route=route or self.decision.route), TRACE_ID)

    async def search(
        self,
        query: str,
        *,
        principal: str | None = None,
        where: WhereLike = None,
        limit: int = 10,
        traceparent: Mapping[str, str] | None = None,
    ) -> Found:
        """Find nothing."""
        self.calls.append(
            Call((Message("user", query),), principal, None, traceparent=traceparent, where=where)
        )
        await self._obstacle(0)
        return Found(query, (), TRACE_ID)

    async def passage(
        self,
        passage_id: str,
        *,
        principal: str | None = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Passage:
        """Know none."""
        raise UnknownPassage("There is no passage with this id that you may see.", field="id")

    async def models(self) -> list[ModelCard]:
        """List the scripted models."""
        self.listings += 1
        if self.models_failure:
            raise self.models_failure
        return self.cards

    async def ping(self) -> dict[str, str]:
        """Say how the scripted parts are."""
        self.pings += 1
        return self.parts

    async def _obstacle(self, said: int) -> None:
        if self.hold and said == self.hold_after:
            await self.hold.wait()
        if self.failure and said == self.fail_after:
            raise self.failure


@dataclass(frozen=True, slots=True)
class Door:
    """A running server as a test sees it."""

    url: str
    port: int
    router: ScriptedRouter
    stop: Stop
    log: StringIO


@asynccontextmanager
async def served(router: ScriptedRouter | None = None, **settings: Any) -> AsyncIterator[Door]:
    """Serve on a free loopback port for as long as the block lasts.

    Args:
        router: What answers.
        settings: Of `ServerSettings`.
    """
    router = router or ScriptedRouter()
    async with served_router(router, **settings) as (port, stop, log):
        yield Door(f"http://127.0.0.1:{port}", port, router, stop, log)


@asynccontextmanager
async def served_router(router: Asks, **settings: Any) -> AsyncIterator[tuple[int, Stop, StringIO]]:
    """Serve any router; gives the port, the wish to stop, and the log."""
    log, stop, up = StringIO(), Stop(), asyncio.Event()
    wanted = ServerSettings(**{"port": 0, "drain_s": 5.0, **settings})
    with bound(wanted) as listener:
        port = listener.getsockname()[1]
        running = asyncio.create_task(
            run(router, wanted, listener, stop=stop, log=server_log(log), up=up)
        )
        try:
            await up.wait()
            yield port, stop, log
        finally:
            stop.ask()
            stop.ask()
            await running


@contextmanager
def served_in_thread(router: ScriptedRouter, **settings: Any) -> Iterator[Door]:
    """Serve many tests, from a thread with a loop of its own."""
    ready = threading.Event()
    doors: list[Door] = []
    done: list[asyncio.Event] = []

    async def main() -> None:
        async with served(router, **settings) as door:
            doors.append(door)
            done.append(asyncio.Event())
            ready.set()
            await done[0].wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10), "the server is up within seconds"
        yield doors[0]
    finally:
        loop.call_soon_threadsafe(done[0].set)
        thread.join(10)
        loop.close()
