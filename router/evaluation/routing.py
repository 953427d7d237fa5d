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

from backends.base import Message
from router.evaluation.perturb import KINDS, perturbed
from router.request import read_request
from router.tuning.pairs import KINDS as KINDS_OF_PAIRS
from router.tuning.pairs import own_pairs

if TYPE_CHECKING:
    from router.config import Settings
    from router.evaluation.labelled import LabelledQuestion
    from router.policy import Decision, Route
    from router.steps import Steps
    from router.tuning.pairs import Pair

    Phase: TypeAlias = Literal["deciding", "again", "disturbed", "written"]

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
class Written:
    """How written pairs of one kind went.

    Attributes:
        flips: Pairs, and those of which the variant goes elsewhere than the text.
        right_texts: Texts that went where they belong.
        right_variants: Variants that did.
    """

    flips: Flips
    right_texts: int
    right_variants: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of the questions, in their order.

    Attributes:
        ms: What each decision took, one at a time.
        per_second: Decisions a second with `AT_ONCE` in flight.
        flips: By kind of disturbance; empty where none was asked for.
        written: By kind of written pair (`router.tuning.pairs`); empty where none was asked for.
    """

    decisions: Sequence[Decision]
    ms: Sequence[float]
    per_second: float
    flips: Mapping[str, Flips] = field(default_factory=dict)
    written: Mapping[str, Written] = field(default_factory=dict)


async def decide_all(
    questions: Sequence[LabelledQuestion],
    settings: Settings,
    on_progress: OnProgress = lambda *_: None,
    *,
    disturbed: bool = False,
) -> Decided:
    """Decide every question, one after the other, then all of them again, several at a time.

    Args:
        disturbed: Also decide each with typos and so on (`router.evaluation.perturb`), and the
            project's own written pairs (`router.tuning.pairs`).

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
        if not disturbed:
            return Decided(decisions, ms, per_second)
        flips = await _flips(steps, conversations, decisions, on_progress)
        return Decided(decisions, ms, per_second, flips, await _written(steps, on_progress))


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


async def _written(steps: Steps, on_progress: OnProgress) -> Mapping[str, Written]:
    pairs = own_pairs()
    asked = [(Message("user", text),) for pair in pairs for text in (pair.text, pair.variant)]
    decisions = await _decide_at_once(steps, asked, _told(on_progress, "written", asked))
    routes = iter([decision.route for decision in decisions])
    went = [(pair, next(routes), next(routes)) for pair in pairs]
    return {kind: _went([one for one in went if one[0].kind == kind]) for kind in KINDS_OF_PAIRS}


def _went(pairs: Sequence[tuple[Pair, Route, Route]]) -> Written:
    """Count, given each pair and where its text and its variant went."""
    return Written(
        Flips(len(pairs), sum(text is not variant for _, text, variant in pairs)),
        right_texts=sum(text is pair.route for pair, text, _ in pairs),
        right_variants=sum(variant is pair.route for pair, _, variant in pairs),
    )


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
