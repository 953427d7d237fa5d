"""A swap of an adapter's version under steady questions, as routers ask them.

Questions arrive by the clock, whether the ones before have been answered or not. Each is asked of
the version that a router's own view of the registry says is live, which is up to a second old, and
streamed. At temperature 0 a version says the same to a question each time, so an answer that is not
one of its own is mixed. The test holds the result to no failure and no mixed answer;
infra/bench/swap.py prints it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import perf_counter

from agents.base import Task
from agents.choosing import AdapterChooser
from agents.live_adapters import LiveAdapters
from backends.adapters import Adapter, AdapterRegistry
from backends.base import Message
from backends.errors import BackendError, Refused
from backends.generation import GenerationRequest, Sampling
from backends.manifest import read_adapter
from backends.memory.embedder import HashingEmbedder
from backends.memory.registry import MemoryAdapterRegistry
from backends.principals import NOBODY
from backends.vllm import VllmGenerator
from router.promotion import Promoted, promote
from router.speaker import other_speaker

VOICE = "voice"
QUESTIONS = (
    "How many days of leave are there?",
    "Say hello to a new colleague.",
    "May boots be returned?",
    "What is a gift card worth?",
)
MAX_TOKENS = 16


@dataclass(slots=True)
class Asked:
    """One question and what came of it; times in seconds since the first question."""

    question: str
    began: float
    served_as: str = ""
    model: str = ""
    text: str = ""
    first: float = 0.0
    ended: float = 0.0
    moved: bool = False
    failure: str = ""


@dataclass(slots=True)
class Swap:
    """What happened.

    Attributes:
        asked: Every question.
        expected: What each version says to each question.
        began: When the promotion began.
        ended: When the promotion had ended, the old version unloaded.
    """

    asked: list[Asked] = field(default_factory=list)
    expected: dict[tuple[str, str], str] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0
    promoted: Promoted | None = None

    @property
    def failures(self) -> list[Asked]:
        return [one for one in self.asked if one.failure]

    @property
    def mixed(self) -> list[Asked]:
        """Answers that are not, word for word, those of the version that they name."""
        return [
            one
            for one in self.asked
            if not one.failure
            and (one.model != one.served_as or one.text != self.expected[one.model, one.question])
        ]

    @property
    def by_version(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for one in self.asked:
            found[one.served_as] = found.get(one.served_as, 0) + 1
        return found

    @property
    def before(self) -> list[Asked]:
        """Questions that were asked before the promotion."""
        return [one for one in self.asked if one.began < self.began]

    @property
    def during(self) -> list[Asked]:
        """Questions that were asked while it went on."""
        return [one for one in self.asked if self.began <= one.began < self.ended]


async def registered(
    registry: AdapterRegistry, folders: Sequence[Path], *, base: str
) -> list[Adapter]:
    """Keep each folder as the next version of one adapter."""
    return [await registry.add(read_adapter(each, name=VOICE, base=base)) for each in folders]


async def measured(
    url: str,
    base: str,
    folders: Sequence[Path],
    *,
    rate: float = 20.0,
    before_s: float = 3.0,
    after_s: float = 2.0,
    grace_s: float = 3.0,
) -> Swap:
    """Promote the second folder's version in place of the first's while questions go on.

    Args:
        url: Of servers that serve the base and load at run time.
        base: What it is called there.
        folders: Two adapters of that base.
        rate: Questions a second.
        before_s: How long they are asked before the promotion.
        after_s: And after it.
        grace_s: How long the old version stays loaded.
    """
    registry, swap = MemoryAdapterRegistry(), Swap()
    one, two = await registered(registry, folders, base=base)
    async with VllmGenerator.open(url) as generator:
        for version in (two, one):
            # Each on its own first: what it says is what it has to say under load.
            await promote(
                registry, generator.host, VOICE, version.version, generator=generator, grace_s=0
            )
            await _expect(generator, version, swap)
        async with _chooser(registry, generator) as chooser:
            stop = asyncio.Event()
            asking = asyncio.create_task(_ask_on(generator, chooser, swap, rate, stop))
            await asyncio.sleep(before_s)
            began = perf_counter()
            swap.promoted = await promote(
                registry, generator.host, VOICE, two.version, generator=generator, grace_s=grace_s
            )
            ended = perf_counter()
            await asyncio.sleep(after_s)
            stop.set()
            zero = await asking
        swap.began, swap.ended = began - zero, ended - zero
        await generator.host.unload(two.served_as)
    return swap


@asynccontextmanager
async def _chooser(
    registry: AdapterRegistry, generator: VllmGenerator
) -> AsyncIterator[AdapterChooser]:
    """As `router.app` opens it, on an embedder that nothing is compared with."""
    embedder = HashingEmbedder()
    async with LiveAdapters(registry, embedder, generator.host.bases).opened() as live:
        yield AdapterChooser(live, embedder, model=lambda: generator.model, served=generator.models)


async def _expect(generator: VllmGenerator, version: Adapter, swap: Swap) -> None:
    for question in QUESTIONS:
        request = _request(question, version.served_as)
        answer = await generator.complete(request)
        swap.expected[version.served_as, question] = answer.text


async def _ask_on(
    generator: VllmGenerator,
    chooser: AdapterChooser,
    swap: Swap,
    rate: float,
    stop: asyncio.Event,
) -> float:
    """Ask by the clock until told to stop, then wait for what is in flight; return the zero."""
    zero, questions = perf_counter(), cycle(QUESTIONS)
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            asked = Asked(next(questions), perf_counter() - zero)
            swap.asked.append(asked)
            group.create_task(_ask(generator, chooser, asked, zero))
            late = perf_counter() - zero - len(swap.asked) / rate
            await asyncio.sleep(max(0.0, -late))
    return zero


async def _ask(
    generator: VllmGenerator, chooser: AdapterChooser, asked: Asked, zero: float
) -> None:
    """Ask as `router.steps` does: where a version is gone before the first word, the next one."""
    chosen = await chooser.choose(asked.question, VOICE)
    turn = (Message("user", asked.question),)
    task = Task(asked.question, turn, NOBODY, chosen.served_as, chosen.registered)
    try:
        try:
            await _listen(generator, task, asked, zero)
        except Refused as error:
            if asked.text:
                raise
            task = await other_speaker(chooser, error, task, VOICE)
            asked.moved = True
            await _listen(generator, task, asked, zero)
    except BackendError as error:
        asked.failure = f"{type(error).__name__}: {error}"
    asked.ended = perf_counter() - zero


async def _listen(generator: VllmGenerator, task: Task, asked: Asked, zero: float) -> None:
    asked.served_as = task.adapter or ""
    async for chunk in generator.stream(_request(task.question, asked.served_as)):
        asked.first = asked.first or perf_counter() - zero
        asked.text += chunk.text
        asked.model = chunk.model or asked.model


def _request(question: str, served_as: str) -> GenerationRequest:
    sampling = Sampling(max_tokens=MAX_TOKENS, temperature=0.0, seed=1)
    return GenerationRequest((Message("user", question),), adapter=served_as, sampling=sampling)
