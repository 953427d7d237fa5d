"""The least that the door needs from a router; `router.api.Router` has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backends.base import Message, ModelCard, Sampling
    from router.answer import Event
    from router.policy import Decision, Route


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
        traceparent: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Event]:
        """Answer event by event; closing the iterator cancels everything beneath."""
        ...

    async def decide(
        self,
        question: Sequence[Message],
        *,
        principal: str | None = None,
        route: Route | None = None,
        traceparent: Mapping[str, str] | None = None,
    ) -> Decision:
        """Say what the question needs, without answering it."""
        ...

    async def models(self) -> list[ModelCard]:
        """Return the models and adapters that a caller may name."""
        ...

    async def ping(self) -> dict[str, str]:
        """Map each part's name to ``ok`` or to what is wrong with it."""
        ...
