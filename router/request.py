"""What a caller asks, checked and typed before anything is done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, cast, get_args

from backends.base import Message, PassageId, Role
from backends.filters import Condition, Conditions, parse_conditions
from backends.generation import Sampling
from backends.principals import Principals, asker
from router.errors import InvalidRequest, translated
from router.policy import Route

Question: TypeAlias = str | Sequence[Message | Mapping[str, str]]
"""A question on its own, or the conversation that ends with it."""

PrincipalsLike: TypeAlias = str | Iterable[str] | None
"""``"user:ana,group:hr"``, a list of such names, or None for nobody."""

WhereLike: TypeAlias = Mapping[str, object] | Iterable[str | Condition] | str | None
"""What documents' metadata must satisfy: ``{"country": "DE", "price": {"<": 20}}``, or texts such
as ``["country=DE", "price<20"]``; all of it must hold."""

MAX_CHARACTERS = 1_000_000
"""No chat model reads more; what is longer is a mistake or an attack."""

PASSED_ON: Final = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
"""Fields of OpenAI's API that the model gets as the caller wrote them."""

MAX_QUERY = 8_000
"""Characters of the words of a search; embedders read less."""

MAX_RESULTS = 50
"""Passages that one search may ask for."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question with everything that the caller said about it.

    Attributes:
        conversation: The turns; the last one is the user's and is not empty, or is what a tool
            said to a question of the user's before it.
        principals: On whose behalf; nobody sees no document.
        route: The route that the caller insists on, None to let the router decide.
        adapter: The model or adapter that the caller insists on.
        extra: Fields of OpenAI's API that go to the model as the caller wrote them: ``tools``,
            ``tool_choice``, ``parallel_tool_calls``, ``response_format``.
        where: What documents' metadata must satisfy; can only narrow what is searched.
        for_judge: Another router asks, as the judge of its uncertain decision.
    """

    conversation: tuple[Message, ...]
    principals: Principals
    route: Route | None = None
    adapter: str | None = None
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    where: Conditions = ()
    for_judge: bool = False

    @property
    def asked(self) -> tuple[Message, ...]:
        """The turns that end with the user's question, without what tools were asked and said."""
        last = max(at for at, turn in enumerate(self.conversation) if turn.role == "user")
        turns = self.conversation[: last + 1]
        return tuple(turn for turn in turns if turn.role != "tool" and turn.content)

    @property
    def offers_tools(self) -> bool:
        """Whether the model may call tools of the caller's."""
        return bool(self.extra.get("tools")) and self.extra.get("tool_choice") != "none"

    @property
    def wants_tools(self) -> bool:
        """Whether the model must call one: the caller insists, or a tool has just answered."""
        insists = self.extra.get("tool_choice") not in (None, "none", "auto")
        return self.conversation[-1].role == "tool" or (insists and self.offers_tools)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Words to find passages for, on somebody's behalf.

    Attributes:
        limit: Most passages to return, 1 to `MAX_RESULTS`.
    """

    words: str
    principals: Principals
    where: Conditions
    limit: int


@dataclass(frozen=True, slots=True)
class PassageRequest:
    """A passage by its id, on somebody's behalf."""

    id: PassageId
    principals: Principals


def read_request(
    question: Question,
    *,
    principal: PrincipalsLike = None,
    route: Route | str | None = None,
    adapter: str | None = None,
    sampling: Sampling | None = None,
    schema: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
    where: WhereLike = None,
    for_judge: bool = False,
) -> Request:
    """Check what a caller passed and give it its types.

    Raises:
        InvalidRequest: ``field`` says which argument: ``messages``, ``principal``, ``route``,
            ``adapter``, ``where``, or the field of ``extra``.
    """
    with translated():
        principals = asker(principal)
    if adapter is not None and not adapter.strip():
        raise InvalidRequest("The name of the adapter is empty.", field="adapter")
    return Request(
        conversation=_conversation(question),
        principals=principals,
        route=_route(route),
        adapter=adapter,
        sampling=sampling or Sampling(),
        schema=schema,
        extra=read_extra(extra or {}),
        where=read_where(where),
        for_judge=for_judge,
    )


def read_search(
    words: str, *, principal: PrincipalsLike = None, where: WhereLike = None, limit: int
) -> SearchRequest:
    """Check what a caller wants to find and give it its types.

    Raises:
        InvalidRequest: ``field`` says which argument: ``query``, ``principal``, ``where`` or
            ``limit``.
    """
    with translated():
        principals = asker(principal)
    if not words.strip():
        raise InvalidRequest("query must be a text that is not empty.", field="query")
    if len(words) > MAX_QUERY:
        raise InvalidRequest(
            f"query holds {len(words)} characters; at most {MAX_QUERY} are read.", field="query"
        )
    if not 1 <= limit <= MAX_RESULTS:
        raise InvalidRequest(
            f"limit must be a whole number from 1 to {MAX_RESULTS}.", field="limit"
        )
    return SearchRequest(_readable(words), principals, read_where(where), limit)


def read_passage_request(passage_id: str, *, principal: PrincipalsLike = None) -> PassageRequest:
    """Check who wants to see a passage; any text may be an id.

    Raises:
        InvalidRequest: ``field`` is ``principal``.
    """
    with translated():
        return PassageRequest(PassageId(passage_id), asker(principal))


def read_where(given: object) -> Conditions:
    """Check conditions on metadata and give them their types; None is no condition.

    Raises:
        InvalidRequest: They cannot be read; ``field`` is ``where``.
    """
    if not isinstance(given, str | Iterable | None):
        raise InvalidRequest(
            'where: write an object like {"country": "DE"} or texts like "country=DE".',
            field="where",
        )
    with translated():
        return parse_conditions(cast("WhereLike", given))


def read_extra(given: Mapping[str, object]) -> Mapping[str, object]:
    """Check fields of OpenAI's API that go to the model as they are; None is left out.

    Raises:
        InvalidRequest: It is none of `PASSED_ON`, or has another shape; ``field`` names it.
    """
    for name in given:
        if name not in PASSED_ON:
            raise InvalidRequest(
                f"{name[:80]!r} is not passed on to the model; use {', '.join(PASSED_ON)}.",
                field="extra",
            )
    tools = given.get("tools")
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, Mapping) for tool in tools)
    ):
        raise InvalidRequest("tools must be a list of objects.", field="tools")
    choice = given.get("tool_choice")
    if choice is not None and not isinstance(choice, str | Mapping):
        raise InvalidRequest("tool_choice must be a text or an object.", field="tool_choice")
    if choice not in (None, "none", "auto") and not tools:
        raise InvalidRequest("tool_choice needs tools to choose from.", field="tool_choice")
    return {name: value for name, value in given.items() if value is not None}


def _conversation(question: Question) -> tuple[Message, ...]:
    if not isinstance(question, Sequence):
        raise InvalidRequest("Ask with a text or with messages.", field="messages")
    turns: Sequence[Message | Mapping[str, str]]
    turns = [Message("user", question)] if isinstance(question, str) else question
    messages = tuple(_message(turn, index) for index, turn in enumerate(turns))
    if not messages:
        raise InvalidRequest("There are no messages; send at least one.", field="messages")
    last = messages[-1]
    asked = last.role == "user" and last.content.strip()
    told = last.role == "tool" and any(turn.role == "user" for turn in messages)
    if not (asked or told):
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
        return replace(turn, content=_readable(turn.content))
    if isinstance(turn, Mapping):
        role, content = turn.get("role"), turn.get("content")
        if role in get_args(Role) and isinstance(content, str):
            return Message(cast("Role", role), _readable(content))
    raise InvalidRequest(
        'Each message needs a role ("system", "user" or "assistant") and a text as content.',
        field=f"messages[{index}]",
    )


def _readable(text: str) -> str:
    """Without halves of surrogate pairs, which no tokenizer, database or model server takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _route(route: Route | str | None) -> Route | None:
    if route is None:
        return None
    try:
        return Route(route)
    except ValueError as error:
        known = ", ".join(each.value for each in Route)
        raise InvalidRequest(f"There is no route {route!r}; use {known}.", field="route") from error
