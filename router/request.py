"""What a caller asks, checked and typed before anything is done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast, get_args

from backends.base import Message, Role, Sampling
from backends.principals import Principals, asker
from router.errors import InvalidRequest, translated
from router.policy import Route

Question: TypeAlias = str | Sequence[Message | Mapping[str, str]]
"""A question on its own, or the conversation that ends with it."""

PrincipalsLike: TypeAlias = str | Iterable[str] | None
"""``"user:ana,group:hr"``, a list of such names, or None for nobody."""

MAX_CHARACTERS = 1_000_000
"""No chat model reads more; what is longer is a mistake or an attack."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question with everything that the caller said about it.

    Attributes:
        conversation: The turns; the last one is the user's and is not empty.
        principals: On whose behalf; nobody sees no document.
        route: The route that the caller insists on, None to let the router decide.
        adapter: The model or adapter that the caller insists on.
    """

    conversation: tuple[Message, ...]
    principals: Principals
    route: Route | None = None
    adapter: str | None = None
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None


def read_request(
    question: Question,
    *,
    principal: PrincipalsLike = None,
    route: Route | str | None = None,
    adapter: str | None = None,
    sampling: Sampling | None = None,
    schema: Mapping[str, object] | None = None,
) -> Request:
    """Check what a caller passed and give it its types.

    Raises:
        InvalidRequest: ``field`` says which argument: ``messages``, ``principal`` or ``route``.
    """
    with translated():
        principals = asker(principal)
    return Request(
        conversation=_conversation(question),
        principals=principals,
        route=_route(route),
        adapter=adapter,
        sampling=sampling or Sampling(),
        schema=schema,
    )


def _conversation(question: Question) -> tuple[Message, ...]:
    if not isinstance(question, Sequence):
        raise InvalidRequest("Ask with a text or with messages.", field="messages")
    turns: Sequence[Message | Mapping[str, str]]
    turns = [Message("user", question)] if isinstance(question, str) else question
    messages = tuple(_message(turn, index) for index, turn in enumerate(turns))
    if not messages:
        raise InvalidRequest("There are no messages; send at least one.", field="messages")
    last = messages[-1]
    if last.role != "user" or not last.content.strip():
        raise InvalidRequest(
            "The last message must be the user's question and must not be empty.",
            field=f"messages[{len(messages) - 1}]",
        )
    characters = sum(len(message.content) for message in messages)
    if characters > MAX_CHARACTERS:
        raise InvalidRequest(
            f"The messages hold {characters} characters; at most {MAX_CHARACTERS} are read.",
            field="messages",
        )
    return messages


def _message(turn: object, index: int) -> Message:
    if isinstance(turn, Message):
        return turn
    if isinstance(turn, Mapping):
        role, content = turn.get("role"), turn.get("content")
        if role in get_args(Role) and isinstance(content, str):
            return Message(cast("Role", role), content)
    raise InvalidRequest(
        'Each message needs a role ("system", "user" or "assistant") and a text as content.',
        field=f"messages[{index}]",
    )


def _route(route: Route | str | None) -> Route | None:
    if route is None:
        return None
    try:
        return Route(route)
    except ValueError as error:
        known = ", ".join(each.value for each in Route)
        raise InvalidRequest(f"There is no route {route!r}; use {known}.", field="route") from error
