"""``POST /v1/decisions``: what a question needs, without answering it.

In the shape of OpenAI's Decisions API. The router answers three questions: the predicates
``needs_facts`` and ``needs_manner``, and the choice ``route``. Any other is refused, as that API
allows for each question on its own.

Where the two probabilities did not make the route, because a judge, the caller or a rule of the
policy did, they would tell another router the opposite of what was decided. The predicates are
refused then, and the route is all there is to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.datastructures import Headers

from backends.base import FOR_JUDGE, Message
from router.errors import InvalidRequest, UnknownModel
from router.policy import Route
from router.serialise import decision_json
from router.server.body import read_body
from router.server.caller import principal_of, trace_of
from router.server.catalogue import AUTO, BUILT_IN
from router.server.leaving import unless_client_leaves
from router.server.messages import TextPart, read_messages
from router.server.notes import Notes, notes_of
from router.server.outermost import json_bytes, respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from router.answer import Decided
    from router.policy import Decision
    from router.server.asks import Asks
    from router.server.gate import Gate

_PARTS: Final = frozenset(
    {
        TextPart("input_text", "text"),
        TextPart("output_text", "text"),
        TextPart("refusal", "refusal"),
    }
)


class Option(BaseModel):
    """One choice of a question."""

    value: Any


class Asked(BaseModel):
    """A question about the input; instructions are not read, names say what is meant."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["predicate", "choice", "score"]
    name: StrictStr | None = None
    choices: Annotated[list[Option], Field(min_length=2, max_length=255)] | None = None


class DecisionBody(BaseModel):
    """The body of ``POST /v1/decisions``."""

    model_config = ConfigDict(extra="ignore")

    model: StrictStr = AUTO
    input: Any
    questions: Annotated[list[Asked], Field(min_length=1, max_length=400)] | None = None


_ALL_QUESTIONS: Final = (
    Asked(type="predicate", name="needs_facts"),
    Asked(type="predicate", name="needs_manner"),
    Asked(type="choice", name="route", choices=[Option(value=route.value) for route in Route]),
)


class Decisions:
    """Decides (ASGI)."""

    def __init__(self, router: Asks, gate: Gate, *, anonymous: str) -> None:
        self._router = router
        self._gate = gate
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; errors as `ChatCompletions`."""
        headers = Headers(scope=scope)
        principal = principal_of(headers, self._anonymous)
        body = await read_body(scope, receive, DecisionBody)
        if body.model not in BUILT_IN:
            raise UnknownModel(
                f"There is no model {body.model[:200]!r} that decides; use {AUTO!r}.",
                field="model",
            )
        conversation = _conversation(body.input)
        decide = partial(
            self._router.decided,
            conversation,
            principal=principal,
            route=BUILT_IN[body.model].route,
            traceparent=trace_of(headers),
            for_judge=FOR_JUDGE in headers,
        )
        await unless_client_leaves(receive, self._decide(body, decide, notes_of(scope), send))

    async def _decide(
        self, body: DecisionBody, decide: Callable[[], Awaitable[Decided]], notes: Notes, send: Send
    ) -> None:
        async with self._gate.admitted():
            decided = await decide()
        decision = decided.decision
        notes.decided(decision)
        notes.trace_id = decided.trace_id or notes.trace_id
        asked = body.questions or _ALL_QUESTIONS
        content = {
            "model": body.model,
            "answers": [answer_to(question, decision) for question in asked],
            "usage": _NO_TOKENS,
            "router": {"decision": decision_json(decision), "trace_id": decided.trace_id},
        }
        await respond(send, json_bytes(content))


def answer_to(asked: Asked, decision: Decision) -> dict[str, Any]:
    """Return the answer to one question, or a refusal of it."""
    probability = {"needs_facts": decision.needs_facts, "needs_manner": decision.needs_manner}
    match asked:
        case Asked(type="predicate", name=str(name)) if name in probability and decision.by_needs:
            return {
                "type": "predicate",
                "name": name,
                "probability": round(probability[name], 4),
            }
        case Asked(type="choice", name="route", choices=list(options)):
            values = [option.value for option in options]
            if _are_routes(values) and (shares := _shares(values, decision)):
                return _route_answer(shares, decision)
    return {"type": "refusal", "name": asked.name}


def route_probabilities(decision: Decision) -> Mapping[str, float]:
    """Return how probable each route is, were the two needs independent; they sum to 1."""
    facts, manner = decision.needs_facts, decision.needs_manner
    return {
        Route.FACTUAL.value: facts * (1 - manner),
        Route.HYBRID.value: facts * manner,
        Route.BEHAVIOURAL.value: 1 - facts,
    }


def _are_routes(values: Sequence[object]) -> bool:
    known = [route.value for route in Route]
    return all(value in known for value in values) and len(set(map(str, values))) == len(values)


def _shares(values: Sequence[str], decision: Decision) -> Mapping[str, float]:
    """Return how probable each of the given routes is; empty where nothing is known of them.

    What judges, callers and rules say is yes or no: the route has the whole propensity.
    """
    decided = decision.route.value
    if not decision.by_needs:
        if decided not in values:
            return {}
        rest = (1 - decision.propensity) / max(1, len(values) - 1)
        return {value: decision.propensity if value == decided else rest for value in values}
    every = route_probabilities(decision)
    total = sum(every[value] for value in values)
    # Without its route among them, only the proportions among the given ones are left.
    return {value: every[value] / total if total else 1 / len(values) for value in values}


def _route_answer(shares: Mapping[str, float], decision: Decision) -> dict[str, Any]:
    decided = decision.route.value
    choice = decided if decided in shares else max(shares, key=lambda value: shares[value])
    return {
        "type": "choice",
        "name": "route",
        "choice": choice,
        "confidence": round(shares[choice], 4),
        "probabilities": [
            {"value": value, "probability": round(share, 4)} for value, share in shares.items()
        ],
    }


def _conversation(value: object) -> tuple[Message, ...]:
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
        return read_messages(value, where="input", parts=_PARTS)
    if isinstance(value, list):
        return read_messages(value, where="input", parts=_PARTS)
    raise InvalidRequest("input must be a text or a list of messages.", field="input")


_NO_TOKENS: Final = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
"""A classifier reads no tokens that anybody pays for."""
