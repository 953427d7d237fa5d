"""Decides labelled questions through the production path: rules, embedding, heads, policy.

`router.steps.Steps.decide` makes every decision, as it does for a router without a judge; only the
documents and those who answer are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from router.evaluation.perturb import KINDS, perturbed
from router.request import read_request

if TYPE_CHECKING:
    from backends.base import Message
    from router.config import Settings
    from router.evaluation.labelled import LabelledQuestion
    from router.policy import Decision
    from router.steps import Steps

    Phase: TypeAlias = Literal["deciding", "again", "disturbed"]

    OnProgress: TypeAlias = Callable[[Phase, int, int], None]
    """Called with what is being done, how much of it is done, and how much there is."""

    Conversation: TypeAlias = tuple[Message, ...]

AT_ONCE: Final = 8
"""Decisions in flight where throughput is measured."""

_WARM_UPS: Final = 20


@dataclass(frozen=True, slots=True)
class Flips:
    """How often a disturbance changes the route.

    Attributes:
        asked: Questions that the disturbance changes at all.
        flipped: Those of them that go elsewhere then.
    """

    asked: int
    flipped: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of the questions, in their order.

    Attributes:
        ms: What each decision took, one at a time.
        per_second: Decisions a second with `AT_ONCE` in flight.
        flips: By kind of disturbance; empty where none was asked for.
    """

    decisions: Sequence[Decision]
    ms: Sequence[float]
    per_second: float
    flips: Mapping[str, Flips] = field(default_factory=dict)


async def decide_all(
    questions: Sequence[LabelledQuestion],
    settings: Settings,
    on_progress: OnProgress = lambda *_: None,
    *,
    disturbed: bool = False,
) -> Decided:
    """Decide every question, one after the other, then all of them again, several at a time.

    Args:
        disturbed: Also decide each with typos and so on (`router.evaluation.perturb`).

    Raises:
        SettingsError: The policy cannot be read.
        BackendError: The embedder cannot be opened.
        RouterError: A decision cannot be made.
    """
    from router.app import open_decisions

    conversations = [question.conversation for question in questions]
    async with open_decisions(settings) as steps:
        for conversation in conversations[:_WARM_UPS]:
            await decide(steps, conversation)
        decisions, ms = [], []
        for conversation in conversations:
            began = perf_counter()
            decisions.append(await decide(steps, conversation))
            ms.append((perf_counter() - began) * 1000)
            on_progress("deciding", len(decisions), len(conversations))
        began = perf_counter()
        await _decide_at_once(steps, conversations, _told(on_progress, "again", conversations))
        per_second = len(conversations) / (perf_counter() - began)
        flips = await _flips(steps, conversations, decisions, on_progress) if disturbed else {}
        return Decided(decisions, ms, per_second, flips)


async def decide(steps: Steps, conversation: Conversation) -> Decision:
    """Decide one question as `router.Router.decide` does."""
    run = steps.start(read_request(conversation))
    try:
        return await steps.decide(run)
    finally:
        run.trace.end()


async def _flips(
    steps: Steps,
    conversations: Sequence[Conversation],
    decisions: Sequence[Decision],
    on_progress: OnProgress,
) -> Mapping[str, Flips]:
    asked = [
        (kind, other, decision.route)
        for kind in KINDS
        for conversation, decision in zip(conversations, decisions, strict=True)
        if (other := _disturbed(kind, conversation)) != conversation
    ]
    others = [conversation for _, conversation, _ in asked]
    now = await _decide_at_once(steps, others, _told(on_progress, "disturbed", others))
    changed: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for (kind, _, route), decision in zip(asked, now, strict=True):
        changed[kind].append(decision.route is not route)
    return {kind: Flips(len(flags), sum(flags)) for kind, flags in changed.items()}


def _disturbed(kind: str, conversation: Conversation) -> Conversation:
    """Return it with another last turn."""
    last = conversation[-1]
    return (*conversation[:-1], replace(last, content=perturbed(kind, last.content)))


async def _decide_at_once(
    steps: Steps, conversations: Sequence[Conversation], after: Callable[[], None]
) -> Sequence[Decision]:
    found: dict[int, Decision] = {}
    todo = iter(enumerate(conversations))

    async def work(todo: Iterator[tuple[int, Conversation]]) -> None:
        for number, conversation in todo:
            found[number] = await decide(steps, conversation)
            after()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work(todo))
    return [found[number] for number in range(len(conversations))]


def _told(
    on_progress: OnProgress, phase: Phase, conversations: Sequence[Conversation]
) -> Callable[[], None]:
    done = 0

    def after() -> None:
        nonlocal done
        done += 1
        on_progress(phase, done, len(conversations))

    return after
