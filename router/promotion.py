"""Putting a version of an adapter into service, and taking one out, under running questions.

Load it everywhere, ask it a question, make it live in one step, wait until every router knows, then
unload the one before it. Answers in flight end with the version that they began with. Until the
step that makes it live, a failure leaves everything as it was.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agents.base import Reply, Task
from agents.behavioural import BehaviouralAgent
from agents.errors import AgentError
from agents.speech import CUT_SHORT
from backends.adapter_fields import unknown_version
from backends.adapters import Adapter, AdapterState
from backends.base import Message
from backends.errors import BackendError, Refused, TimedOut
from backends.finishing import to_the_end
from backends.principals import NOBODY
from router.errors import InvalidRequest
from router.policy import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.adapters import AdapterHost, AdapterRegistry
    from backends.generation import Generator

GRACE_S: Final = 5.0
"""How long the version before stays loaded: routers look every second who is live, and one whose
registry or servers are slow to answer takes a few."""

PROBE_LIMIT_S: Final = 60.0
"""How long the answer to the probe may take; the first one under a schema takes vLLM 20 s."""

PROBE_TOKENS: Final = 64
"""So much of an answer shows that there is one."""
PROBE_TOKENS_IN_FORM: Final = 512
"""And so much of one that has to be whole."""

RESERVED: Final = frozenset(("auto", *(route.value for route in Route)))
"""Models that the router itself is, over HTTP."""

ANYTHING: Final = "Hello, how are you?"
"""Asked where an adapter has no example."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion did.

    Attributes:
        adapter: Live now.
        previous: The version that was live, if there was one and it is another.
        probe: The question that was asked before.
        said: What the version answered.
        left: Names that are still loaded although nobody asks for them, and why; empty as a rule.
            The next promotion of the adapter tries again.
    """

    adapter: Adapter
    previous: Adapter | None
    probe: str
    said: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retired:
    """What a retirement did; ``left`` as in `Promoted`."""

    adapter: Adapter
    left: tuple[str, ...] = ()


def check_name(name: str, base: str) -> None:
    """Check that an adapter may have a name: what stands for something else would hide it.

    Raises:
        InvalidRequest: The name is the base's own, or one that the router answers to itself.
    """
    if name == base or name in RESERVED:
        whose = "that of its base" if name == base else "one that the router answers to itself"
        raise InvalidRequest(
            f"An adapter cannot be called {name!r}, which is {whose}. Choose another name.",
            field="name",
        )


async def promote(
    registry: AdapterRegistry,
    host: AdapterHost,
    name: str,
    version: int,
    *,
    generator: Generator,
    probe: str | None = None,
    grace_s: float = GRACE_S,
) -> Promoted:
    """Make a version the one that answers.

    A version that is live already is loaded and probed as well, which mends servers that lost it.
    Cancelled before it is live, nothing has changed; cancelled after that, it stays live.

    Args:
        registry: Where it is kept.
        host: Where it is to be served.
        name: Which adapter.
        version: Which of its versions.
        generator: Asks the host's servers.
        probe: What to ask it; the first of its examples when None.
        grace_s: How long routers may take to notice.

    Raises:
        Refused: There is no such version, a server does not take it, or its answer to the probe is
            empty or has not the form that it must have. The live version is as before.
        BackendError: Something does not answer. The live version is as before, unless it is the
            registry that broke off while it was told: then it says so.
    """
    adapter = await registry.find(name, version)
    if adapter is None:
        raise unknown_version(name, version)
    before = await _live(registry, name)
    question = probe or next(iter(adapter.spec.examples), ANYTHING)
    was_served = adapter.served_as in await _loaded(host)
    try:
        await host.load(adapter)
        said = await _probed(generator, adapter, question)
    except BaseException:
        if not was_served:
            await to_the_end(_put_back(host, adapter))
        raise
    await _switch(registry, host, adapter, keep=was_served)
    left = await _unload_replaced(registry, host, name, grace_s)
    previous = None if before is None or before.version == version else before
    return Promoted(replace(adapter, state=AdapterState.LIVE), previous, question, said, left)


async def retire(
    registry: AdapterRegistry,
    host: AdapterHost,
    name: str,
    version: int,
    *,
    grace_s: float = GRACE_S,
) -> Retired:
    """Take a version out of service; who asked for the adapter gets what the router has without it.

    Args:
        registry: Where it is kept.
        host: Where it is served.
        name: Which adapter.
        version: Which of its versions.
        grace_s: How long routers may take to notice.

    Raises:
        Refused: There is no such version.
        BackendError: The registry does not answer; nothing was done.
    """
    adapter = await registry.retire(name, version)
    return Retired(adapter, await _unload_replaced(registry, host, name, grace_s))


async def _probed(generator: Generator, adapter: Adapter, question: str) -> str:
    """Return what the version answers, asked as users ask.

    Raises:
        Refused: It says nothing, or not in its form, or finds no end.
        BackendError: It cannot be asked.
    """
    spec = adapter.spec
    limit = PROBE_TOKENS if spec.schema is None else PROBE_TOKENS_IN_FORM
    task = Task(
        question=question,
        conversation=(Message("user", question),),
        principals=NOBODY,
        adapter=adapter.served_as,
        registered=adapter,
        sampling=replace(spec.sampling, max_tokens=min(limit, spec.sampling.max_tokens or limit)),
        schema=spec.schema,
    )
    try:
        async with asyncio.timeout(PROBE_LIMIT_S):
            reply = await _answer(generator, task)
    except AgentError as error:
        raise _failed(adapter, question, str(error)) from error
    except TimeoutError as error:
        raise TimedOut(
            f"{adapter.served_as} did not answer its probe within {PROBE_LIMIT_S:g} s.",
            backend="model server",
            hint="Try again when the servers are less busy; nothing was changed.",
        ) from error
    if spec.schema is not None and reply.finish_reason == CUT_SHORT:
        raise _failed(adapter, question, f"No end within {task.sampling.max_tokens} tokens.")
    return reply.text


async def _answer(generator: Generator, task: Task) -> Reply:
    async with aclosing(BehaviouralAgent(generator).answer(task, None)) as heard:
        replies = [event async for event in heard if isinstance(event, Reply)]
    return replies[-1]


async def _switch(
    registry: AdapterRegistry, host: AdapterHost, adapter: Adapter, *, keep: bool
) -> None:
    """Make it live; where that fails, unload it again, unless it may be live all the same."""
    try:
        await registry.promote(adapter.spec.name, adapter.version)
    except BaseException as error:
        # A registry that broke off may have done before what it was told.
        is_live = (
            False if isinstance(error, Refused) else await to_the_end(_is_live(registry, adapter))
        )
        if is_live and isinstance(error, BackendError):
            return
        if is_live is False and not keep:
            await to_the_end(_put_back(host, adapter))
        raise


async def _unload_replaced(
    registry: AdapterRegistry, host: AdapterHost, name: str, grace_s: float
) -> tuple[str, ...]:
    """Unload retired versions once routers have noticed; return what is left and why."""
    left = []
    try:
        replaced = await _replaced(registry, host, name)
        if replaced:
            await asyncio.sleep(grace_s)
            # Again: one of them may be live anew.
            replaced = await _replaced(registry, host, name)
        for served_as in replaced:
            try:
                await host.unload(served_as)
            except BackendError as error:
                left.append(f"{served_as} is still loaded: {error}")
        # Who was asked to unload and did not answer has been told of.
        left += [] if left else await _unheard(host, name)
    except BackendError as error:
        left.append(f"Versions before this one may still be loaded: {error}")
    return tuple(left)


async def _replaced(registry: AdapterRegistry, host: AdapterHost, name: str) -> Sequence[str]:
    """Retired versions of an adapter that are still loaded somewhere."""
    retired = await registry.adapters(state=AdapterState.RETIRED)
    loaded = await _loaded(host)
    names = [each.served_as for each in retired if each.spec.name == name]
    return [served_as for served_as in names if served_as in loaded]


async def _unheard(host: AdapterHost, name: str) -> list[str]:
    """Say of each place that does not answer what it may still serve."""
    return [
        f"{place} does not answer: retired versions of {name} may still be loaded there. Nobody is "
        "sent there for them, and the next promotion unloads them."
        for place, served in (await host.loaded()).items()
        if served is None
    ]


async def _loaded(host: AdapterHost) -> frozenset[str]:
    return frozenset().union(*filter(None, (await host.loaded()).values()))


async def _live(registry: AdapterRegistry, name: str) -> Adapter | None:
    found = await registry.find(name)
    return found if found is not None and found.state is AdapterState.LIVE else None


async def _is_live(registry: AdapterRegistry, adapter: Adapter) -> bool | None:
    """Whether this version is live; None where nobody can say."""
    try:
        live = await _live(registry, adapter.spec.name)
    except BackendError:
        return None
    return live is not None and live.version == adapter.version


async def _put_back(host: AdapterHost, adapter: Adapter) -> None:
    try:
        await host.unload(adapter.served_as)
    except BackendError:
        # Why it is put back is what whoever promotes must hear, and nobody asks for it.
        return


def _failed(adapter: Adapter, question: str, why: str) -> Refused:
    return Refused(
        f"{adapter.served_as} did not pass its probe {question!r}: {why}",
        backend="adapters",
        hint="Train it again, or probe it with another question; nothing was changed.",
    )
