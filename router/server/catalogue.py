"""The names that a caller may give as ``model``, and ``GET /v1/models``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from backends.base import ModelCard
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

    async def choice(self, model: str) -> Choice:
        """Return what a name means.

        Raises:
            UnknownModel: Nobody has that name.
            ModelUnavailable: It is not built in, and the model server cannot be asked.
        """
        if model in BUILT_IN:
            return BUILT_IN[model]
        if not self._fresh() or all(card.name != model for card in self._cards):
            await self._ask()
        if all(card.name != model for card in self._cards):
            raise UnknownModel(
                f"There is no model {model[:200]!r}; GET /v1/models lists what there is.",
                field="model",
            )
        return Choice(route=Route.BEHAVIOURAL, adapter=model)

    async def cards(self) -> list[dict[str, Any]]:
        """Return every name in OpenAI's shape; the built-in ones when nothing else answers."""
        try:
            await self._ask()
        except RouterError:
            served: Sequence[ModelCard] = ()
        else:
            served = self._cards
        names = [_card(name, "router") for name in BUILT_IN]
        return names + [
            _card(card.name, card.base or "model server")
            for card in served
            if card.name not in BUILT_IN
        ]

    def _fresh(self) -> bool:
        return self._asked_at is not None and monotonic() - self._asked_at < FRESH_S

    async def _ask(self) -> None:
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
        """
        name = scope["path_params"].get("id")
        if name is None:
            body = {"object": "list", "data": await self._catalogue.cards()}
        elif name in BUILT_IN:
            body = _card(name, "router")
        else:
            await self._catalogue.choice(name)
            body = next(each for each in await self._catalogue.cards() if each["id"] == name)
        await respond(send, json_bytes(body))


def _card(name: str, owner: str) -> dict[str, Any]:
    # OpenAI's clients want a date; nobody knows when a model was made.
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
