"""The names that a caller may give as ``model``, and ``GET /v1/models``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from backends.generation import ModelCard
from router.errors import ModelUnavailable, RouterError, UnknownModel, translated
from router.policy import Route
from router.server.outermost import json_bytes, respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from router.server.asks import Asks

AUTO: Final = "auto"
"""The router decides."""

FRESH_S: Final = 5.0
"""So long a list of the model server's is believed; an unknown name asks again at once."""

LIST_TIMEOUT_S: Final = 3.0
"""Open WebUI waits 10 s for a list; the built-in names must be there before."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a model name means."""

    route: Route | None = None
    adapter: str | None = None


BUILT_IN: Final = {AUTO: Choice()} | {route.value: Choice(route=route) for route in Route}
"""Served by the router itself, whatever the model server does."""


class Catalogue:
    """The built-in names, and what the model server has now."""

    def __init__(self, router: Asks) -> None:
        self._router = router
        self._cards: Sequence[ModelCard] = ()
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def choice(self, model: str) -> Choice:
        """Return what a name means.

        Raises:
            UnknownModel: Nobody has that name.
            ModelUnavailable: It is not built in, and the model server cannot be asked.
        """
        if model in BUILT_IN:
            return BUILT_IN[model]
        return Choice(route=Route.BEHAVIOURAL, adapter=(await self._served(model)).name)

    async def card(self, model: str) -> dict[str, Any]:
        """Return one name in OpenAI's shape; raises as `choice`."""
        if model in BUILT_IN:
            return _built_in(model)
        return _served_card(await self._served(model))

    async def cards(self) -> list[dict[str, Any]]:
        """Return every name in OpenAI's shape; the built-in ones when nothing else answers."""
        try:
            await self._ask()
        except RouterError:
            served: Sequence[ModelCard] = ()
        else:
            served = self._cards
        return [
            *map(_built_in, BUILT_IN),
            *(_served_card(card) for card in served if card.name not in BUILT_IN),
        ]

    async def _served(self, model: str) -> ModelCard:
        found = self._found(model) if self._fresh() else None
        if found is None:
            await self._ask()
            found = self._found(model)
        if found is None:
            raise UnknownModel(
                f"There is no model {model[:200]!r}; GET /v1/models lists what there is.",
                field="model",
            )
        return found

    def _found(self, model: str) -> ModelCard | None:
        return next((card for card in self._cards if card.name == model), None)

    def _fresh(self) -> bool:
        return self._asked_at is not None and monotonic() - self._asked_at < FRESH_S

    async def _ask(self) -> None:
        """Bring the list up to date; whoever comes while somebody asks shares that answer."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._list())
            self._asking.add_done_callback(self._answered)
        # Shielded, since whoever asked first may leave while others still wait.
        await asyncio.shield(self._asking)

    def _answered(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # looked at, also when everybody has left meanwhile

    async def _list(self) -> None:
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                with translated():
                    self._cards = await self._router.models()
        except TimeoutError as error:
            raise ModelUnavailable(
                f"The model server did not list its models within {LIST_TIMEOUT_S:g} s."
            ) from error
        self._asked_at = monotonic()


class ModelList:
    """``GET /v1/models`` and ``GET /v1/models/{id}`` (ASGI)."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            UnknownModel: Nobody has that name.
            ModelUnavailable: It is not built in, and the model server cannot be asked.
        """
        name = scope["path_params"].get("id")
        if name is None:
            body = {"object": "list", "data": await self._catalogue.cards()}
        else:
            body = await self._catalogue.card(name)
        await respond(send, json_bytes(body))


def _built_in(name: str) -> dict[str, Any]:
    return _card(name, "router")


def _served_card(card: ModelCard) -> dict[str, Any]:
    return _card(card.name, card.base or "model server")


def _card(name: str, owner: str) -> dict[str, Any]:
    # OpenAI's clients want a date; nobody knows when a model was made.
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
