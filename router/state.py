"""What travels between the steps of the main path, and what they work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from agents.base import Evidence, Reply, Task
from router.answer import Answer
from router.errors import RouterError
from router.policy import Decision, Policy, Route
from router.request import Request
from router.tracing.steps import Trace

if TYPE_CHECKING:
    from agents.base import Agent
    from agents.choosing import AdapterChooser
    from agents.condense_model import ModelCondenser
    from agents.evidence import EvidenceFinder
    from backends.base import Judge
    from router.classify import Classifier
    from router.tracing.setup import Tracing


@dataclass(frozen=True, slots=True)
class Run:
    """What belongs to one question from beginning to end."""

    request: Request
    trace: Trace
    deadline: float
    """On the event loop's clock."""


class State(TypedDict, total=False):
    """What the steps hand on. ``route`` is the one to follow now, ``decision`` the one made;
    ``probed`` is what the documents held when the decision was in doubt."""

    run: Run
    task: Task
    decision: Decision
    must_probe: bool
    probed: Evidence
    must_escalate: bool
    route: Route
    query: str
    evidence: Evidence
    searches: int
    may_reformulate: bool
    may_use_tools: bool
    failure: RouterError
    degraded: str
    reply: Reply
    timings: dict[str, float]
    first_token_ms: float | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps work with; made by ``router.app``, or by a test from twins."""

    classifier: Classifier
    policy: Policy
    evidence: EvidenceFinder | None
    """None where questions are decided and never answered."""
    agents: Mapping[Route, Agent]
    judge: Judge | None
    tracing: Tracing
    request_timeout_s: float
    judge_timeout_s: float
    condenser: ModelCondenser | None = None
    condense_timeout_s: float = 2.0
    probe_timeout_s: float = 1.0
    chooser: AdapterChooser | None = None
    """None where there is no model, and so no adapter."""
