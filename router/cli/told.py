"""One question of the demonstration and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.base import Evidence
    from router.answer import Answer
    from router.demo.company import DemoQuestion
    from router.errors import RouterError
    from router.policy import Decision


@dataclass(slots=True)
class Told:
    """What the router made of one question; without an answer there is a failure.

    Attributes:
        milliseconds: From the question to its answer or failure.
    """

    asked: DemoQuestion
    decision: Decision | None = None
    evidence: Evidence | None = None
    answer: Answer | None = None
    failure: RouterError | None = None
    milliseconds: float = 0.0

    @property
    def route(self) -> str:
        """The route that was decided on, empty when nothing was."""
        return self.decision.route.value if self.decision else ""
