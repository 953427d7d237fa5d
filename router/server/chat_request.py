"""What a chat completion request may say, and what the router makes of it.

Fields of OpenAI's API that change nothing about the answer (``user``, ``metadata``, ``store`` …)
are accepted and ignored. Fields that would change it, and that this server does not have, are
refused by name: an answer that quietly ignores them would be wrong. ``tools``, ``tool_choice``,
``parallel_tool_calls`` and ``response_format`` reach the model as they are. One field is our own:
``where``, what documents' metadata must satisfy; ``extra_body`` of OpenAI's clients carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from backends.base import Message
from backends.filters import Conditions
from backends.generation import Sampling
from router.errors import InvalidRequest
from router.request import read_extra, read_where
from router.server.messages import TextPart, read_messages

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Count = Annotated[int, Field(strict=True, ge=1)]

MAX_STOPS: Final = 4
"""As in OpenAI's API."""

_CHAT_PARTS: Final = frozenset({TextPart("text", "text"), TextPart("refusal", "refusal")})


class _StreamOptions(BaseModel):
    include_usage: StrictBool = False


class _JsonSchema(BaseModel):
    model_config = ConfigDict(extra="allow")

    content: dict[str, Any] = Field(alias="schema")


class _ResponseFormat(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class ChatBody(BaseModel):
    """The body of ``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="ignore")

    model: StrictStr
    messages: list[Any]
    stream: StrictBool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[_Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[_Number, Field(ge=0, le=1)] | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    seed: StrictInt | None = None
    stop: Any = None
    response_format: _ResponseFormat | None = None
    tools: Any = None
    tool_choice: Any = None
    parallel_tool_calls: StrictBool | None = None
    where: Any = None

    # Known so that they can be refused.
    n: Any = None
    functions: Any = None
    function_call: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    audio: Any = None
    modalities: Any = None
    web_search_options: Any = None


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A checked request; ``model`` is not yet known to exist."""

    model: str
    conversation: tuple[Message, ...]
    sampling: Sampling
    schema: Mapping[str, object] | None
    extra: Mapping[str, object]
    where: Conditions
    stream: bool
    include_usage: bool


_REFUSED: Final[Mapping[str, tuple[tuple[Any, ...], str]]] = {
    "n": ((1,), "One answer is given to each request; leave it out or send 1."),
    "functions": (([],), "It is the old form of tools; send tools."),
    "function_call": (("none", "auto"), "It is the old form of tool_choice; send tool_choice."),
    "logprobs": ((False,), "Token probabilities are not given; leave it out."),
    "top_logprobs": ((0,), "Token probabilities are not given; leave it out."),
    "logit_bias": (({},), "Single tokens cannot be favoured; leave it out."),
    "frequency_penalty": ((0,), "It cannot be set here; leave it out or send 0."),
    "presence_penalty": ((0,), "It cannot be set here; leave it out or send 0."),
    "audio": ((), "Answers are text; leave it out."),
    "modalities": ((["text"], []), 'Answers are text; leave it out or send ["text"].'),
    "web_search_options": ((), "The web is not searched; leave it out."),
}
"""Which values of a field ask for nothing (None always does), and what to say about others."""


def read_chat(body: ChatBody) -> ChatCall:
    """Give a request its types.

    Raises:
        InvalidRequest: Something in it cannot be served; ``field`` names it.
    """
    for field, (harmless, advice) in _REFUSED.items():
        value = getattr(body, field)
        if value is not None and not any(_same(value, each) for each in harmless):
            raise InvalidRequest(f"{field} is not supported. {advice}", field=field)
    stream = bool(body.stream)
    if body.stream_options is not None and not stream:
        raise InvalidRequest(
            "stream_options is only allowed when stream is true.", field="stream_options"
        )
    return ChatCall(
        model=body.model,
        conversation=read_messages(body.messages, where="messages", parts=_CHAT_PARTS),
        sampling=Sampling(
            max_tokens=body.max_completion_tokens or body.max_tokens,
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            stop=_stop(body.stop),
        ),
        schema=_schema(body.response_format),
        extra=read_extra(_passed_on(body)),
        where=read_where(body.where),
        stream=stream,
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
    )


def _same(value: object, harmless: object) -> bool:
    # In Python True is 1 and 0 is False; in JSON they are not.
    return value == harmless and isinstance(value, bool) == isinstance(harmless, bool)


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(each, str) and each for each in stops):
        raise InvalidRequest("stop must be a text, or a list of texts, none empty.", field="stop")
    if len(stops) > MAX_STOPS:
        raise InvalidRequest(f"stop may have at most {MAX_STOPS} texts.", field="stop")
    return tuple(stops)


_FREE: Final = ("none", "auto")


def _passed_on(body: ChatBody) -> Mapping[str, object]:
    """What goes to the model as the caller wrote it."""
    wanted = body.response_format
    fields: dict[str, object] = {
        "tools": body.tools,
        "tool_choice": body.tool_choice if body.tools or body.tool_choice not in _FREE else None,
        "parallel_tool_calls": body.parallel_tool_calls if body.tools else None,
        "response_format": wanted and wanted.model_dump(by_alias=True, exclude_unset=True),
    }
    if wanted is not None and wanted.type == "text":
        fields["response_format"] = None
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _schema(wanted: _ResponseFormat | None) -> Mapping[str, object] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None:
        raise InvalidRequest(
            "response_format of type json_schema needs json_schema with a schema.",
            field="response_format.json_schema",
        )
    return wanted.json_schema.content
