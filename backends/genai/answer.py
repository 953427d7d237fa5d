"""One answer under way: tokens become text, stop words end it, nobody wanting it ends it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backends.errors import Refused
from backends.genai.chat import ChatForm
from backends.genai.engine import Engine, Plan, Tokens, while_time
from backends.genai.structured import guidance_for
from backends.genai.weights import BACKEND
from backends.generation import GenerationRequest, Usage

MAX_TOKENS: Final = 512
"""No answer is longer, whatever is asked for."""
USUAL_TOKENS: Final = 256
"""An answer's limit where nobody asks for another."""

_STEP_S: Final = 0.02
"""As long as a piece of an answer may be in the making before it is handed on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step of an answer brought."""

    text: str
    finish_reason: str | None = None


class Answer:
    """One answer. Its steps block and follow one another; `leave` may be called from elsewhere.

    Attributes:
        plan: How it is made.
    """

    def __init__(self, plan: Plan, form: ChatForm, stop: Sequence[str]) -> None:
        self.plan = plan
        self._reader = form.reader()
        self._stop = StopWords(stop)
        self._tokens: Tokens | None = None
        self._wanted = True

    @property
    def usage(self) -> Usage:
        """Tokens so far."""
        return Usage(len(self.plan.prompt), self._tokens.made if self._tokens else 0)

    def leave(self) -> None:
        """Make the step that is under way end with the token that is being made."""
        self._wanted = False

    def begin(self, engine: Engine) -> Piece:
        """Read the prompt and make the first token; raises as `Engine.begin`."""
        if not self._wanted:
            return Piece("", "stop")
        self._tokens = engine.begin(self.plan)
        return self._step(self._tokens, 0.0)

    def go_on(self) -> Piece:
        """Make some more tokens.

        Raises:
            Garbled: The runtime broke.
        """
        assert self._tokens is not None, "it has begun"
        return self._step(self._tokens, _STEP_S)

    def _step(self, tokens: Tokens, seconds: float) -> Piece:
        going_on = while_time(seconds, lambda: self._wanted)
        text: list[str] = []
        while True:
            token = tokens.next()
            if token is not None:
                text.append(self._stop.feed(self._reader.read(token)))
            if self._stop.said:
                return Piece("".join(text), "stop")
            if tokens.finished is not None:
                text.append(self._stop.rest())
                return Piece("".join(text), tokens.finished)
            if not going_on():
                return Piece("".join(text))


class StopWords:
    """Holds text back that may be the beginning of a stop word, and cuts the answer at one.

    Attributes:
        said: Whether one has been said; nothing follows it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word for word in words if word)
        self._held = ""
        self.said = False

    def feed(self, text: str) -> str:
        """Return what is certain to belong to the answer."""
        if self.said or not self._words:
            return "" if self.said else text
        self._held += text
        found = [at for word in self._words if (at := self._held.find(word)) >= 0]
        if found:
            self.said = True
            return self._held[: min(found)]
        begun = max(_overlap(self._held, word) for word in self._words)
        certain = self._held[: len(self._held) - begun]
        self._held = self._held[len(certain) :]
        return certain

    def rest(self) -> str:
        """Return what was held back, now that nothing follows."""
        return "" if self.said else self._held


def plan_for(request: GenerationRequest, form: ChatForm, context: int) -> Plan:
    """Return how a request is to be answered.

    Args:
        request: Not yet checked.
        form: Of the model.
        context: Tokens that it holds.

    Raises:
        Refused: It asks for something that there is not, or its prompt leaves no room to answer.
    """
    _refuse_what_there_is_not(request)
    sampling = request.sampling
    guidance = guidance_for(request)
    prompt = form.encode(request.messages)
    room = context - len(prompt)
    if room < 1:
        raise Refused(
            f"The prompt has {len(prompt)} tokens; the in-process model holds {context}, the "
            "answer included.",
            backend=BACKEND,
            hint="Ask with less text, or connect a model server (ROUTER_VLLM_URL).",
            status=413,
        )
    wanted = USUAL_TOKENS if sampling.max_tokens is None else max(1, sampling.max_tokens)
    return Plan(
        prompt=prompt,
        max_tokens=min(wanted, MAX_TOKENS, room),
        temperature=sampling.temperature or 0.0,
        top_p=1.0 if sampling.top_p is None else sampling.top_p,
        seed=sampling.seed,
        guidance=guidance,
    )


def _refuse_what_there_is_not(request: GenerationRequest) -> None:
    unknown = sorted(request.extra)
    if any(message.role == "tool" or message.extra for message in request.messages):
        unknown.append("tool calls")
    if unknown:
        raise Refused(
            f"The in-process model has no {', '.join(unknown)}.",
            backend=BACKEND,
            hint="Connect a model server that has (ROUTER_VLLM_URL).",
            status=400,
        )


def _overlap(text: str, word: str) -> int:
    """Length of the longest end of the text that the word begins with."""
    longest = min(len(text), len(word) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(word[:size])), 0)
