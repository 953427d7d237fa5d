"""The wire format: requests into JSON, JSON into chunks, answers and models. Pure, no I/O.

OpenAI's chat completions API as vLLM 0.32 speaks it. ``structured_outputs`` is vLLM's own field; it
replaced the ``guided_*`` fields. Reasoning fields of an answer are not part of the answer and are
left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from backends.base import Message
from backends.errors import BackendError, CallsNoTools, Garbled, Refused, TimedOut, Unavailable
from backends.generation import Generation, GenerationRequest, Usage

BACKEND: Final = "model server"
END_MARK = "[DONE]"
MAX_QUOTED = 300
"""Characters of a server's own words that go into one of our messages."""

_OVERLOADED = frozenset({429, 503})

Json: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as a server lists it.

    Attributes:
        name: What it is asked for by.
        root: Where its files lie, or the name that it was fetched by; empty where untold.
        base: Name of the base model of an adapter; None for a base model.
    """

    name: str
    root: str = ""
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event of a stream adds to the answer."""

    text: str = ""
    tool_calls: tuple[Mapping[str, object], ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None


def chat_body(request: GenerationRequest, model: str, *, streamed: bool) -> dict[str, object]:
    """Return the body of ``POST /v1/chat/completions``.

    Raises:
        Refused: The request asks for a schema and for choices at once.
    """
    if request.schema is not None and request.choices:
        raise Refused(
            "An answer cannot follow a schema and be one of some choices.", backend=BACKEND
        )
    body: dict[str, object] = {
        "model": model,
        "messages": [_message(turn) for turn in request.messages],
        "stream": streamed,
    }
    if streamed:
        body["stream_options"] = {"include_usage": True}
    sampling = request.sampling
    optional: dict[str, object] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    if request.schema is not None:
        wrapped = {"name": "answer", "schema": dict(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    if request.choices:
        body["structured_outputs"] = {"choice": list(request.choices)}
    if request.grammar is not None:
        body["structured_outputs"] = {"grammar": request.grammar}
    # Last, so that what a caller wrote goes out as the caller wrote it.
    body.update(request.extra)
    return body


def parse_object(payload: str | bytes, server: str) -> Json:
    """Read a JSON object.

    Raises:
        Garbled: It is not JSON, or not an object.
    """
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise garbled(server, "answered something that is not JSON") from error
    if not isinstance(value, dict):
        raise garbled(server, "answered JSON that is not an object")
    return value


def parse_delta(event: Json, server: str) -> Delta:
    """Read one event of a stream; an event without choices may still carry usage.

    Raises:
        Garbled: The event has another shape.
    """
    choice = _first_choice(event, server)
    delta = _object(choice, "delta", server)
    return Delta(
        text=_text(delta, "content", server),
        tool_calls=_calls(delta, server),
        finish_reason=_text(choice, "finish_reason", server) or None,
        usage=_usage(event, server),
        model=_text(event, "model", server) or None,
    )


def parse_generation(answer: Json, server: str) -> Generation:
    """Read an answer that was not streamed.

    Raises:
        Garbled: It has another shape, or holds no choice.
    """
    choice = _first_choice(answer, server)
    if not choice:
        raise garbled(server, "answered without a choice")
    message = _object(choice, "message", server)
    return Generation(
        text=_text(message, "content", server),
        tool_calls=_calls(message, server),
        finish_reason=_text(choice, "finish_reason", server) or "stop",
        usage=_usage(answer, server) or Usage(),
        model=_text(answer, "model", server),
    )


def parse_models(answer: Json, server: str) -> tuple[Listed, ...]:
    """Read the answer of ``GET /v1/models``; an adapter names its base model as ``parent``.

    Raises:
        Garbled: It has another shape.
    """
    listed = answer.get("data")
    if not isinstance(listed, list):
        raise garbled(server, "listed its models in a shape that is not known")
    models = []
    for entry in listed:
        if not isinstance(entry, dict) or not _text(entry, "id", server):
            raise garbled(server, "listed a model without a name")
        name, root, parent = (_text(entry, key, server) for key in ("id", "root", "parent"))
        models.append(Listed(name, root, parent or None))
    return tuple(models)


def fault_in(answer: Json) -> tuple[str, int | None] | None:
    """Return message and status of an error object, or None when there is none.

    vLLM sends ``{"error": {"message", "type", "param", "code"}}``, also inside a stream that began
    with status 200; its earlier versions sent the inner object bare, with ``"object": "error"``.
    """
    error = answer.get("error")
    if error is None and answer.get("object") == "error":
        error = answer
    if error is None:
        return None
    if not isinstance(error, dict):
        return str(error), None
    code = error.get("code")
    status = int(code) if isinstance(code, int | str) and str(code).isdecimal() else None
    return str(error.get("message") or ""), status


def failure(server: str, status: int | None, words: str) -> BackendError:
    """Return the error that a status means.

    Args:
        server: Host and port.
        status: HTTP status, of the answer or inside an error object; None when there is none.
        words: The server's own message; secrets are taken out already.
    """
    said = quoted(words)
    problem = f"The model server at {server} answered {status}{said}."
    if status is None or not 300 <= status <= 599:
        return Garbled(
            f"The model server at {server} reported an error without a known code{said}.",
            backend=BACKEND,
        )
    if status in _OVERLOADED:
        return Unavailable(problem, backend=BACKEND, hint="It is overloaded; try again later.")
    if status in (408, 504):
        return TimedOut(problem, backend=BACKEND, hint="Try again, or ask for a shorter answer.")
    if status >= 500:
        return Unavailable(problem, backend=BACKEND, hint="Its own log says what broke.")
    if status == 400 and words.rstrip().endswith(_NO_TOOLS):
        hint = f"Start it with {_TOOL_FLAGS}; NAME is that of the model's format of calls."
        return CallsNoTools(problem, backend=BACKEND, hint=hint, status=status)
    return Refused(problem, backend=BACKEND, hint=_REMEDIES.get(status, ""), status=status)


def garbled(server: str, what: str) -> Garbled:
    """Return the error for an answer that is not the protocol; ``what`` continues the sentence."""
    return Garbled(
        f"The model server at {server} {what}.",
        backend=BACKEND,
        hint="Check that the address is that of an OpenAI-compatible server.",
    )


def quoted(words: str) -> str:
    """Return a server's own words as the end of a sentence, on one line and of bounded length."""
    flat = " ".join(words[: 4 * MAX_QUOTED].split()).rstrip(".")
    if len(flat) > MAX_QUOTED:
        flat = flat[:MAX_QUOTED] + "…"
    return f": {flat}" if flat else ""


_NO_TOOLS: Final = "--tool-call-parser to be set"
"""How vLLM 0.32 ends its refusal of tools (``renderers/online_renderer.py`` there)."""

_TOOL_FLAGS: Final = "--enable-auto-tool-choice --tool-call-parser NAME"

_REMEDIES: Mapping[int, str] = {
    401: "Check the API key of the model server.",
    403: "Check the API key of the model server.",
    413: "Ask with less text.",
} | dict.fromkeys(
    (301, 302, 303, 307, 308), "Redirects are not followed; give the address it moved to."
)


def _message(turn: Message) -> dict[str, object]:
    # OpenAI writes null where a turn is nothing but tool calls; some chat templates insist on it.
    content = turn.content if turn.content or "tool_calls" not in turn.extra else None
    return {"role": turn.role, "content": content, **turn.extra}


def _calls(parent: Json, server: str) -> tuple[Mapping[str, object], ...]:
    value = parent.get("tool_calls")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise garbled(server, "answered with tool calls in a shape that is not known")
    return tuple(value)


def _first_choice(answer: Json, server: str) -> Json:
    choices = answer.get("choices")
    if choices is None or choices == []:
        return {}
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise garbled(server, "answered with choices in a shape that is not known")
    return choices[0]


def _object(parent: Json, name: str, server: str) -> Json:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise garbled(server, f"answered with a {name!r} that is not an object")
    return value


def _text(parent: Json, name: str, server: str) -> str:
    value = parent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise garbled(server, f"answered with a {name!r} that is not text")
    return value


def _usage(answer: Json, server: str) -> Usage | None:
    usage = _object(answer, "usage", server)
    if not usage:
        return None
    counts = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) for count in counts):
        raise garbled(server, "counted its tokens in something that is not a number")
    return Usage(*(int(str(count)) for count in counts))
