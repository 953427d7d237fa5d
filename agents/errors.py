"""What can go wrong while answering, as one small tree.

    AgentError
    ├── NoModel        the route needs a model and none is connected
    └── BrokenFormat   the model's answer does not have the form that it must have

Failures of the backends themselves travel up as ``backends.errors``; the router translates both.
"""

from __future__ import annotations

from backends.errors import Refused


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


class BrokenFormat(AgentError):
    """The model answered something other than what it was told to."""


def named_by_caller(error: Exception, adapter: str | None) -> bool:
    """Whether a failure is about the very model that the caller insisted on."""
    return isinstance(error, Refused) and error.status == 404 and adapter is not None
