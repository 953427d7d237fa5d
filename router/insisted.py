"""What a caller insists on goes before what was decided: a route, tools, a format. Pure."""

from __future__ import annotations

from router.policy import Decision, Policy, Route
from router.request import Request


def as_asked(policy: Policy, request: Request, decision: Decision) -> Decision:
    """Let the caller have the route, the tools and the format that were insisted on.

    Args:
        policy: Tells a forced decision from its own.
        request: What the caller said.
        decision: By the needs of the question alone.
    """
    if request.route is not None:
        return policy.forced(request.route, decision)
    if request.wants_tools and decision.route is not Route.BEHAVIOURAL:
        return decision.diverted_to(Route.BEHAVIOURAL, "the caller's tools are to be used")
    if request.offers_tools and decision.route is Route.FACTUAL:
        # Only a model can call them, and it may find there what no document holds.
        return decision.diverted_to(Route.HYBRID, "tools are offered")
    if request.schema is not None and decision.route is Route.FACTUAL:
        # A schema is a format, and only a model can keep to it.
        return decision.diverted_to(Route.HYBRID, "a JSON schema is asked for")
    return decision
