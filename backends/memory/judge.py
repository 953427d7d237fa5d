"""The judge's twin: says what a rule says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from backends.base import Verdict
from backends.errors import BackendError

Rule: TypeAlias = Callable[[str], Verdict]


class ScriptedJudge:
    """The twin of a judge.

    Args:
        rule: What to say: always the same, or what a question decides.
        hands_on: As in `backends.base.Judge`.

    Attributes:
        questions: What it was asked, in order.
        unavailable: Raised by every call while it is set, as if the judge were down.
    """

    def __init__(self, rule: Rule | Verdict, *, hands_on: bool = False) -> None:
        self._rule = rule
        self._hands_on = hands_on
        self.questions: list[str] = []
        self.unavailable: BackendError | None = None

    @property
    def name(self) -> str:
        """How traces name it."""
        return "scripted"

    @property
    def hands_on(self) -> bool:
        """What it was made with."""
        return self._hands_on

    async def verdict(
        self, question: str, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Verdict:
        """Return the scripted verdict; raises what `unavailable` says."""
        self.questions.append(question)
        if self.unavailable is not None:
            raise self.unavailable
        return self._rule if isinstance(self._rule, Verdict) else self._rule(question)
