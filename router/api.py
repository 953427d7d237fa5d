"""`Router`: ask a question, get an answer that says why. This is the library's front door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from backends.generation import ModelCard, Sampling
from router.answer import Answer, Decided, Event, Finished, Found
from router.errors import translated
from router.request import (
    PrincipalsLike,
    Question,
    Request,
    WhereLike,
    read_passage_request,
    read_request,
    read_search,
)
from router.search import DEFAULT_LIMIT

if TYPE_CHECKING:
    from types import TracebackType

    from backends.base import DocumentStore, Embedder, Passage
    from router.app import App
    from router.config import Settings
    from router.graph import Graph
    from router.policy import Decision, Route
    from router.runnable import RouterRunnable


class Router:
    """Decides what a question needs, dispatches it, and streams the answer.

    Open one for the life of a process::

        async with Router.open() as router:
            answer = await router.ask("How long may I return boots?", principal="user:ana")

    It may serve many questions at once. Synchronous programs open it with a plain ``with`` and talk
    to it through `as_runnable`.
    """

    def __init__(self, app: App, *, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    @staticmethod
    def open(settings_or_path: Settings | Path | str | None = None) -> Opening:
        """Open a router: ``async with Router.open() as router``, or ``with`` in synchronous code.

        Args:
            settings_or_path: Settings, the path of a TOML file with them, or None for the
                environment and, beyond that, the embedded defaults.

        Raises:
            SettingsError: The settings are wrong; one problem a key.
            Unavailable, ConfigurationFault: A part cannot be opened (raised on entering).
        """
        return Opening(settings_or_path)

    async def decide(
        self,
        question: Question,
        *,
        principal: PrincipalsLike = None,
        route: Route | str | None = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Decision:
        """Say what the question needs, without answering it. The only side effect is a span.

        Args:
            question: A question, or the messages of a conversation that ends with one.
            principal: On whose behalf, such as ``"user:ana,group:hr"``.
            route: Insist on a route; the probabilities are still computed.
            traceparent: ``traceparent`` and ``tracestate`` of the caller's request.

        Raises:
            InvalidRequest: The question, the principal or the route is malformed.
            DecisionUnavailable: The classifier is too busy.
            RouterError: The decision cannot be made.
        """
        decided = await self.decided(
            question, principal=principal, route=route, traceparent=traceparent
        )
        return decided.decision

    async def decided(
        self,
        question: Question,
        *,
        principal: PrincipalsLike = None,
        route: Route | str | None = None,
        traceparent: Mapping[str, str] | None = None,
        for_judge: bool = False,
    ) -> Decided:
        """Return the decision with the id of its trace; arguments and errors as `decide`.

        Args:
            for_judge: Another router asks, as its judge; its question is handed on to no third one.
        """
        request = read_request(question, principal=principal, route=route, for_judge=for_judge)
        run = self._app.steps.start(request, traceparent=traceparent)
        try:
            return Decided(await self._app.steps.decide(run), run.trace.id)
        finally:
            run.trace.end()

    async def ask(
        self,
        question: Question,
        *,
        principal: PrincipalsLike = None,
        route: Route | str | None = None,
        adapter: str | None = None,
        sampling: Sampling | None = None,
        schema: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
        where: WhereLike = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer the question.

        Args:
            question: A question, or the messages of a conversation that ends with one.
            principal: On whose behalf. Without one no document is searched.
            route: Insist on ``factual``, ``behavioural`` or ``hybrid``.
            adapter: Insist on a model or adapter of the model server.
            sampling: How the model should choose words.
            schema: JSON schema that a behavioural answer must satisfy.
            extra: Fields of OpenAI's API that go to the model as they are: ``tools``,
                ``tool_choice``, ``parallel_tool_calls``, ``response_format``. What the model wants
                of the tools is ``Answer.tool_calls``; ask again with their answers as messages of
                role ``tool``.
            where: What documents' metadata must satisfy to be searched, such as
                ``{"country": "DE", "price": {"<": 20}}`` or ``["country=DE", "price<20"]``. It
                narrows what the principal may see and can never widen it.
            traceparent: ``traceparent`` and ``tracestate`` of the caller's request.

        Raises:
            InvalidRequest: Something in the request is malformed; ``field`` says what.
            DecisionUnavailable: The classifier is too busy.
            ModelUnavailable: The route needs a model that is not there, without a fallback.
            RetrievalUnavailable: The database or the embedder is down.
            RouterError: Anything else; see ``router.errors``.
        """
        answer: Answer | None = None
        events = self.stream(
            question,
            principal=principal,
            route=route,
            adapter=adapter,
            sampling=sampling,
            schema=schema,
            extra=extra,
            where=where,
            traceparent=traceparent,
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Finished):
                    answer = event.answer
        assert answer is not None, "a stream ends with Finished or raises"
        return answer

    def stream(
        self,
        question: Question,
        *,
        principal: PrincipalsLike = None,
        route: Route | str | None = None,
        adapter: str | None = None,
        sampling: Sampling | None = None,
        schema: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
        where: WhereLike = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event]:
        """Answer the question, event by event; arguments and errors as `ask`.

        The events are `Decided`, then `EvidenceFound` where something is retrieved, `Token` and
        `Cited` as the answer is written, and `Finished` with the whole answer. Closing the iterator
        early cancels everything beneath. A malformed request raises here, before the first event.
        """
        request = read_request(
            question,
            principal=principal,
            route=route,
            adapter=adapter,
            sampling=sampling,
            schema=schema,
            extra=extra,
            where=where,
        )
        return self._events(request, traceparent)

    async def search(
        self,
        query: str,
        *,
        principal: PrincipalsLike = None,
        where: WhereLike = None,
        limit: int = DEFAULT_LIMIT,
        traceparent: Mapping[str, str] | None = None,
    ) -> Found:
        """Find passages without answering, by the same search that answers rest on.

        Args:
            query: Words to search for, at most `router.request.MAX_QUERY` characters.
            principal: On whose behalf. Without one nothing is found.
            where: What documents' metadata must satisfy, as in `ask`.
            limit: Most passages to return, 1 to `router.request.MAX_RESULTS`.
            traceparent: ``traceparent`` and ``tracestate`` of the caller's request.

        Raises:
            InvalidRequest: An argument is malformed, or ``where`` names a field that no document
                has which the principal may see.
            RetrievalUnavailable: The database or the embedder is down.
            RouterError: Anything else; see ``router.errors``.
        """
        request = read_search(query, principal=principal, where=where, limit=limit)
        return await self._app.search.find(request, traceparent=traceparent)

    async def passage(
        self,
        passage_id: str,
        *,
        principal: PrincipalsLike = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Passage:
        """Return the passage that a citation names, if the principal may see it now.

        Raises:
            UnknownPassage: There is none with that id, its document has a newer version, or the
                principal may not see it; which of these is not said.
            RetrievalUnavailable: The database is down.
        """
        request = read_passage_request(passage_id, principal=principal)
        return await self._app.search.passage(request, traceparent=traceparent)

    @property
    def graph(self) -> Graph:
        """The compiled LangGraph graph; it can be a node of another graph.

        It reads ``messages`` or ``question``, and ``principal``; it writes ``answer`` and appends
        the answer to ``messages``.
        """
        return self._app.graph

    def as_runnable(self) -> RouterRunnable:
        """Return the router as a LangChain `Runnable`; synchronous callers use it too."""
        from router.runnable import RouterRunnable

        return RouterRunnable(ask=self.ask, stream=self.stream, loop=self._loop)

    async def models(self) -> list[ModelCard]:
        """Return the models and adapters that a caller may name; empty without a model server."""
        with translated():
            return await self._app.models()

    @property
    def documents(self) -> DocumentStore:
        """The documents that factual and hybrid answers rest on."""
        return self._app.documents

    @property
    def embedder(self) -> Embedder:
        """The embedder that documents and questions share."""
        return self._app.embedder

    async def ping(self) -> dict[str, str]:
        """Ask every part whether it works; maps a part's name to ``ok`` or to what is wrong."""
        return await self._app.ping()

    async def _events(
        self, request: Request, traceparent: Mapping[str, str] | None
    ) -> AsyncGenerator[Event]:
        run = self._app.steps.start(request, traceparent=traceparent)
        try:
            running = self._app.graph.astream({"run": run}, stream_mode="custom")
            async with aclosing(cast("AsyncGenerator[Event]", running)) as events:
                async for event in events:
                    yield event
        except GeneratorExit as closed:
            run.trace.failed(closed)
            raise
        finally:
            run.trace.end()


class Opening:
    """A router about to be opened, with ``async with`` or, in synchronous programs, ``with``."""

    def __init__(self, settings_or_path: Settings | Path | str | None) -> None:
        self._wanted = settings_or_path
        self._async_stack: AsyncExitStack | None = None
        self._stack: ExitStack | None = None

    async def __aenter__(self) -> Router:
        self._async_stack = AsyncExitStack()
        return await self._async_stack.enter_async_context(_opened(self._wanted))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._async_stack is not None, "entered before it is left"
        await self._async_stack.__aexit__(kind, error, trace)

    def __enter__(self) -> Router:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            opening = portal.wrap_async_context_manager(_opened(self._wanted))
            router = stack.enter_context(opening)
            self._stack = stack.pop_all()
        return router

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stack is not None, "entered before it is left"
        self._stack.__exit__(kind, error, trace)


@asynccontextmanager
async def _opened(wanted: Settings | Path | str | None) -> AsyncIterator[Router]:
    """Open the parts beneath a router, and close them in reverse."""
    from router.app import open_app
    from router.config import Settings, load_settings

    settings = wanted if isinstance(wanted, Settings) else load_settings(wanted)
    async with AsyncExitStack() as stack:
        with translated():
            app = await stack.enter_async_context(open_app(settings))
        yield Router(app, loop=asyncio.get_running_loop())
