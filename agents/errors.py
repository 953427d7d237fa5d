"""What can go wrong while answering, as one small tree.

    AgentError
    ├── NoModel        the route needs a model and none is connected
    ├── UnusableSchema the JSON schema that an answer shall satisfy is none
    └── BrokenFormat   the model's answer does not have the form that it must have
        └── LostFacts  it does not hold what the documents say

Failures of the backends themselves travel up as ``backends.errors``; the router translates both.
"""

from __future__ import annotations

from typing import Final

from backends.errors import Refused
from backends.generation import Usage

NOTHING_USED: Final = Usage()


class AgentError(Exception):
    """An agent cannot answer; the message says why and what to do next."""


class NoModel(AgentError):
    """The route needs a model server and none is connected."""

    def __init__(self, route: str) -> None:
        self.route = route
        super().__init__(
            f"A {route} answer needs a model server and none is connected. "
            "Set ROUTER_VLLM_URL to the base URL of one."
        )


class UnusableSchema(AgentError):
    """The JSON schema that an answer shall satisfy cannot be used."""


class BrokenFormat(AgentError):
    """The model answered something other than what it was told to; ``usage`` is what it cost."""

    def __init__(self, problem: str, *, usage: Usage = NOTHING_USED) -> None:
        self.usage = usage
        super().__init__(problem)


class LostFacts(BrokenFormat):
    """The model's answer does not hold what the documents say; asked again it would do no better.

    The message may be shown to whoever asked.
    """


def named_by_caller(error: Exception, adapter: str | None) -> bool:
    """Whether a failure is about the very model that the caller insisted on."""
    return isinstance(error, Refused) and error.status == 404 and adapter is not None
