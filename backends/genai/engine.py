"""onnxruntime-genai itself: a loaded model, and the tokens of one answer. Everything here blocks.

Guidance is llguidance, which the runtime holds: it leaves only such tokens to choose from as lead
to an answer that the schema or grammar allows, so such an answer is valid by construction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.errors import Garbled, Misconfigured, Refused
from backends.genai.structured import Guidance
from backends.genai.weights import BACKEND, Shape
from backends.telemetry import without_telemetry
from backends.trimming import give_back

_MOST_QUOTED: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """How one answer is to be made.

    Attributes:
        prompt: Token ids.
        max_tokens: At most so many tokens; prompt and answer together fit the context.
        temperature: 0 takes the likeliest token each time.
        top_p: Chooses among the likeliest tokens that have this probability together, 0..1.
        seed: The same seed gives the same answer; None gives another each time.
        guidance: What the answer must be.
    """

    prompt: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    guidance: Guidance | None = None


class Engine:
    """A loaded model. Several answers may be under way at once, each on a thread of its own."""

    def __init__(self, model: Any, shape: Shape) -> None:
        self._model = model
        self._stops = frozenset(shape.stops)
        self._vocabulary = shape.vocabulary

    @classmethod
    def load(cls, folder: Path, shape: Shape) -> Engine:
        """Load what `model_folder` gives.

        Args:
            folder: With graph, configuration and tokenizer.
            shape: Of the model.

        Raises:
            Misconfigured: The runtime cannot load it.
        """
        without_telemetry()
        import onnxruntime_genai

        try:
            model = onnxruntime_genai.Model(str(folder))
        except RuntimeError as error:
            raise Misconfigured(
                f"onnxruntime-genai cannot load {folder}: {_said(error)}.",
                backend=BACKEND,
                hint="Remove the folder; it is built again.",
            ) from error
        # The weights were in memory twice: as they lie in the file, and as they are multiplied.
        give_back()
        return cls(model, shape)

    def begin(self, plan: Plan) -> Tokens:
        """Read the prompt.

        Raises:
            Refused: The guidance asks for something that it cannot express.
        """
        import numpy as np
        import onnxruntime_genai

        options: dict[str, Any] = {"max_length": len(plan.prompt) + plan.max_tokens}
        if plan.temperature > 0:
            options |= {"do_sample": True, "temperature": plan.temperature, "top_p": plan.top_p}
            # Without a number of tokens to choose from it would not look at top_p.
            options["top_k"] = self._vocabulary
            if plan.seed is not None:
                options["random_seed"] = plan.seed
        parameters = onnxruntime_genai.GeneratorParams(self._model)
        parameters.set_search_options(**options)
        try:
            if plan.guidance is not None:
                parameters.set_guidance("lark_grammar", plan.guidance.grammar)
            generator = onnxruntime_genai.Generator(self._model, parameters)
        except RuntimeError as error:
            if plan.guidance is None:
                raise _broke(error) from error
            raise Refused(
                f"The answer cannot be held to {plan.guidance.what}: {_said(error)}.",
                backend=BACKEND,
                hint="Ask for a simpler one, or connect a model server (ROUTER_VLLM_URL).",
                status=400,
            ) from error
        try:
            generator.append_tokens(np.array(plan.prompt, np.int32))
        except RuntimeError as error:
            raise _broke(error) from error
        return Tokens(generator, self._stops, plan.max_tokens)


class Tokens:
    """The tokens of one answer, made as they are asked for.

    Attributes:
        made: How many there have been, with the one that ended the answer.
        finished: Why there are no more: ``"stop"`` or ``"length"``; None while there are.
    """

    def __init__(self, generator: Any, stops: frozenset[int], max_tokens: int) -> None:
        self._generator = generator
        self._stops = stops
        self._max_tokens = max_tokens
        self.made = 0
        self.finished: str | None = None

    def next(self) -> int | None:
        """Return the next token's id; None once the answer has ended.

        Raises:
            Garbled: The runtime broke.
        """
        if self.finished is not None:
            return None
        try:
            self._generator.generate_next_token()
            token = int(self._generator.get_next_tokens()[0])
        except RuntimeError as error:
            raise _broke(error) from error
        self.made += 1
        if token in self._stops:
            self.finished = "stop"
            return None
        if self.made >= self._max_tokens or self._generator.is_done():
            self.finished = "length"
        return token


def while_time(seconds: float, wanted: Callable[[], bool]) -> Callable[[], bool]:
    """Return what says whether to go on: so long, and only while it is wanted."""
    until = time.monotonic() + seconds
    return lambda: wanted() and time.monotonic() < until


def _broke(error: RuntimeError) -> Garbled:
    return Garbled(f"The in-process model stopped: {_said(error)}.", backend=BACKEND)


def _said(error: RuntimeError) -> str:
    first = str(error).strip().partition("\n")[0].rstrip(".")
    return first[:_MOST_QUOTED] or "no reason given"
