"""The least that the door needs from a router; `router.api.Router` has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backends.base import Message, Passage
    from backends.generation import ModelCard, Sampling
    from router.answer import Decided, Event, Found
    from router.policy import Route
    from router.request import WhereLike


class Asks(Protocol):
    """Whoever can be asked. Meaning of arguments and errors: `router.api.Router`."""

    def stream(
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
        """Answer event by event; closing the iterator cancels everything beneath."""
        ...

    async def decided(
        self,
        question: Sequence[Message],
        *,
        principal: str | None = None,
        route: Route | None = None,
        traceparent: Mapping[str, str] | None = None,
        for_judge: bool = False,
    ) -> Decided:
        """Say what the question needs, without answering it, and in which trace."""
        ...

    async def search(
        self,
        query: str,
        *,
        principal: str | None = None,
        where: WhereLike = None,
        limit: int = 10,
        traceparent: Mapping[str, str] | None = None,
    ) -> Found:
        """Find passages without answering."""
        ...

    async def passage(
        self,
        passage_id: str,
        *,
        principal: str | None = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Passage:
        """Return the passage with that id, if the principal may see it now."""
        ...

    async def models(self) -> list[ModelCard]:
        """Return the models and adapters that a caller may name."""
        ...

    async def ping(self) -> dict[str, str]:
        """Map each part's name to ``ok`` or to what is wrong with it."""
        ...
