"""Lets an adapter, its rival and its base answer the same rows, as the agents do in production.

The agents that answer users answer here, with the adapter's own prompts, slots, limits and form;
only the evidence of hybrid rows is given instead of found. Each row is answered by everybody before
the next one is asked, so that the machine is as busy for one as for the other and what was measured
before a failure is still comparable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from agents.base import Evidence, Reply, Task, Token
from agents.errors import AgentError, BrokenFormat
from agents.speech import CUT_SHORT
from backends.base import DocumentId, Passage, PassageId, ScoredPassage
from backends.errors import BackendError, Refused, TimedOut
from backends.generation import Sampling
from backends.principals import asker
from router.policy import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agents.base import Agent, AgentEvent
    from backends.adapters import Adapter, AdapterHost
    from backends.base import Message
    from router.evaluation.held_out import BehaviourRow

    OnProgress: TypeAlias = Callable[[int, int], None]
    """Called with how many rows are done, and how many there are."""

SEED: Final = 7
"""Answers are drawn with it, so that another run says the same where the server can."""

_TOO_MUCH: Final = frozenset({400, 413, 422})
"""Statuses with which a server refuses this one row."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who answers.

    Attributes:
        name: As the report calls it.
        prompts: The version whose prompts, slots and form are used.
        served_as: Name on the model server; None for its default model.
    """

    name: str
    prompts: Adapter
    served_as: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """One answer.

    Attributes:
        text: What a user would have seen; what came before a failure counts as well.
        first_ms: From the question to the first word; None where none came.
        ms: From the question to the end.
        tokens: Of the answer, as the model counts them; 0 where it does not.
        cited: Numbers, from 1, of the evidence that verified marks point to.
        ended: False where the answer ran into its limit.
        failure: Why there is no answer in the form that it must have; empty otherwise.
    """

    text: str
    first_ms: float | None
    ms: float
    tokens: int = 0
    cited: frozenset[int] = frozenset()
    ended: bool = True
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of the rows.

    Attributes:
        rows: Those that everybody answered, in their order.
        said: The answers to them, by the contestant's name.
        stopped: What ended the measurement before its end; None where nothing did.
    """

    rows: Sequence[BehaviourRow]
    said: Mapping[str, Sequence[Said]]
    stopped: AgentError | BackendError | None = None


def with_adapter(adapter: Adapter) -> Contestant:
    """Return the adapter as it is in production."""
    return Contestant(adapter.served_as, adapter, adapter.served_as)


def without_adapter(adapter: Adapter, bases: Sequence[str]) -> Contestant:
    """Return its base with the very same prompts, so that only the training makes a difference.

    Args:
        bases: Models that the server names; the default one is asked where the base is not there.
    """
    base = adapter.spec.base
    return Contestant(base, adapter, base if base in bases else None)


@asynccontextmanager
async def served(host: AdapterHost | None, adapters: Sequence[Adapter]) -> AsyncIterator[None]:
    """Have adapters served for the length of the block; those that were not are unloaded then.

    Args:
        host: None where what is served cannot be changed.

    Raises:
        Refused: A server cannot load one.
        Unavailable: A server cannot be reached in time.
    """
    if host is None:
        yield
        return
    places = [names for names in (await host.loaded()).values() if names is not None]
    missing = [one for one in adapters if any(one.served_as not in place for place in places)]
    brought = [one for one in missing if not any(one.served_as in place for place in places)]
    try:
        for one in missing:
            await host.load(one)
        yield
    finally:
        for one in brought:
            await host.unload(one.served_as)


async def answer_all(
    rows: Sequence[BehaviourRow],
    contestants: Sequence[Contestant],
    agents: Mapping[Route, Agent],
    *,
    within_s: float,
    on_progress: OnProgress = lambda *_: None,
) -> Answered:
    """Ask everybody every row.

    Args:
        rows: At least one.
        contestants: With different names.
        agents: Who answers with and without evidence.
        within_s: What one answer may take.

    Raises:
        AgentError, BackendError: Not even the first row could be answered.
    """
    said: dict[str, list[Said]] = {one.name: [] for one in contestants}
    try:
        for one in contestants:
            # Whatever is loaded on first use is not what an answer takes.
            await _answer(one, rows[0], agents, within_s)
        for done, row in enumerate(rows, 1):
            answers = [await _answer(one, row, agents, within_s) for one in contestants]
            for one, answer in zip(contestants, answers, strict=True):
                said[one.name].append(answer)
            on_progress(done, len(rows))
    except (AgentError, BackendError) as error:
        done = min(map(len, said.values()))
        if not done:
            raise
        return Answered(rows[:done], said, error)
    return Answered(rows, said)


def evidence_of(row: BehaviourRow) -> Evidence:
    """Return the evidence of a row as retrieval would hand it on, each sentence by itself."""
    passages = [
        Passage(
            id=PassageId(str(number)),
            document_id=DocumentId(str(number)),
            title="",
            source="",
            version=1,
            ordinal=0,
            start=0,
            end=len(text),
            text=text,
        )
        for number, text in enumerate(row.evidence, 1)
    ]
    hits = tuple(ScoredPassage(one, score=1.0, similarity=1.0, lexical=1.0) for one in passages)
    return Evidence(row.wish, hits, sufficient=True, support=1.0)


async def _answer(
    contestant: Contestant, row: BehaviourRow, agents: Mapping[Route, Agent], within_s: float
) -> Said:
    task = Task(
        question=row.wish,
        conversation=_without_prompt(row, contestant.prompts.spec.system_prompt),
        principals=asker("everyone"),
        adapter=contestant.served_as,
        registered=contestant.prompts,
        sampling=Sampling(seed=SEED),
    )
    evidence = evidence_of(row) if row.evidence else None
    agent = agents[Route.HYBRID if evidence else Route.BEHAVIOURAL]
    heard = _Heard(perf_counter())
    try:
        async with asyncio.timeout(within_s):
            events = cast("AsyncGenerator[AgentEvent]", agent.answer(task, evidence))
            async with aclosing(events) as said:
                async for event in said:
                    heard.take(event)
    except BrokenFormat as error:
        return heard.whole(str(error))
    except Refused as error:
        if error.status not in _TOO_MUCH:
            raise
        return heard.whole(str(error))
    except TimeoutError as error:
        raise TimedOut(
            f"An answer took longer than {within_s:g} s.",
            backend="model server",
            hint="Raise timeouts.request if that is expected.",
        ) from error
    return heard.whole()


class _Heard:
    """Puts an answer together and takes its time."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._first: float | None = None
        self._words: list[str] = []
        self._reply: Reply | None = None

    def take(self, event: AgentEvent) -> None:
        if isinstance(event, Reply):
            self._reply = event
        elif isinstance(event, Token) and event.text:
            self._first = self._first or perf_counter()
            self._words.append(event.text)

    def whole(self, failure: str = "") -> Said:
        first = None if self._first is None else (self._first - self._began) * 1000
        ms = (perf_counter() - self._began) * 1000
        if self._reply is None:
            return Said("".join(self._words), first, ms, failure=failure)
        return Said(
            self._reply.text,
            first,
            ms,
            tokens=self._reply.usage.output_tokens,
            cited=frozenset(int(one.passage_id) for one in self._reply.citations),
            ended=self._reply.finish_reason != CUT_SHORT,
            failure=failure,
        )


def _without_prompt(row: BehaviourRow, prompt: str) -> tuple[Message, ...]:
    """The turns without the adapter's own prompt, which the agents put there themselves."""
    return tuple(
        turn for turn in row.conversation if (turn.role, turn.content) != ("system", prompt)
    )
