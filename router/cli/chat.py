"""``router chat``: a conversation in the terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import typer

from router.cli.ask import Asking, answered, prepare, readable, tell_if_empty
from router.cli.opening import opened_router, waiting
from router.cli.options import As, Demo, Json, Where, invocation
from router.cli.screen import err, out, put_json

if TYPE_CHECKING:
    import asyncio

    from backends.base import Message
    from router.api import Router
    from router.config import Settings

_PROMPT = "› "


def chat(
    context: typer.Context,
    principal: As = "everyone",
    where: Where = None,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Talk to the router. /reset forgets the conversation, /quit leaves.

    With --json each line of stdin is one turn, and one object with all turns comes at the end.
    """
    import asyncio

    settings = invocation(context).settings(demo=demo)
    # Between two turns the main thread waits for a line, and nothing else has to run: a runner
    # keeps the loop, and Ctrl-C ends the waiting as well as an answer.
    turns: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            try:
                router = runner.run(_open(stack, settings, demo=demo, as_json=as_json))
                asking = Asking(principal, where=tuple(where or ()))
                Talk(router, runner, asking, turns, as_json=as_json).hold()
            finally:
                _close(runner, stack)
        except KeyboardInterrupt:
            # It may have come right before the closing; what is closed stays closed.
            _close(runner, stack)
            err().print()
    if as_json:
        put_json({"turns": turns})
        if any("error" in turn for turn in turns):
            raise typer.Exit(1)


class Talk:
    """One conversation: what was said, and the loop that goes on with it."""

    def __init__(
        self,
        router: Router,
        runner: asyncio.Runner,
        asking: Asking,
        turns: list[dict[str, Any]],
        *,
        as_json: bool,
    ) -> None:
        self._router = router
        self._runner = runner
        self._asking = asking
        self._as_json = as_json
        self._said: list[Message] = []
        self._turns = turns

    def hold(self) -> None:
        """Take turns until the user leaves."""
        for line in _lines(prompting=not self._as_json):
            match readable(line).strip():
                case "":
                    continue
                case "/quit" | "/exit":
                    return
                case "/reset":
                    self._said.clear()
                    err().print("The conversation starts anew.", style="bright_black")
                case text:
                    self._turn(text)

    def _turn(self, text: str) -> None:
        from backends.base import Message
        from router.errors import RouterError

        self._said.append(Message("user", text))
        try:
            self._runner.run(self._answer(text))
        except RouterError as error:
            # The question stays unanswered, so it is no part of the conversation.
            self._said.pop()
            self._turns.append(
                {"question": text, "error": {"code": error.code, "message": str(error)}}
            )
            err().print(f"Error: {error}", style="red", soft_wrap=True)

    async def _answer(self, text: str) -> None:
        from backends.base import Message
        from router.cli.answers import show_answer_footer
        from router.serialise import answer_json

        with waiting("thinking") as ready:
            answer = await answered(
                self._router, self._said, self._asking, before=ready, quiet=self._as_json
            )
            await tell_if_empty(self._router, answer)
        self._said.append(Message("assistant", answer.text))
        self._turns.append({"question": text} | answer_json(answer))
        if not self._as_json:
            show_answer_footer(out(), answer)


def _close(runner: asyncio.Runner, stack: AsyncExitStack) -> None:
    """Close what is open, without Ctrl-C stopping it halfway: every wait in it has its end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runner.run(stack.aclose())
    finally:
        signal.signal(signal.SIGINT, before)


async def _open(stack: AsyncExitStack, settings: Settings, *, demo: bool, as_json: bool) -> Router:
    with waiting("opening") as ready:
        router = await stack.enter_async_context(opened_router(settings))
        if demo:
            ready()
            await prepare(router)
    if not as_json:
        err().print(
            "Ask away. /reset forgets the conversation, /quit leaves.", style="bright_black"
        )
    return router


def _lines(*, prompting: bool) -> Iterator[str]:
    """Yield what the user types, until the end of input."""
    if not prompting or not sys.stdin.isatty():
        # Bytes that are not UTF-8 spoil one turn at most, not the conversation.
        yield from (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        return
    import readline  # noqa: F401 - importing it gives the prompt a history and editing

    while True:
        try:
            yield input(f"\n{_PROMPT}")
        except EOFError:
            return
