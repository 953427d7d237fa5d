"""One measurement of an adapter: finds whom to ask what, asks, and puts the report down."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.behavioural import BehaviouralAgent
from agents.hybrid import HybridAgent
from backends.adapters import NAME, AdapterState
from router.adapters import (
    host_of,
    open_embedder,
    open_generator,
    open_reader,
    open_registry,
)
from router.errors import InvalidRequest, ModelUnavailable, UnknownModel, router_error
from router.evaluation.behaviour import answer_all, served, with_adapter, without_adapter
from router.evaluation.behaviour_report import report
from router.evaluation.behaviour_rows import read_rows
from router.evaluation.held_out import shipped_rows
from router.evaluation.lines import some_of
from router.evaluation.style import StyleJudge, check_learner
from router.policy import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.base import Agent
    from backends.adapters import Adapter, AdapterHost, AdapterRegistry
    from backends.base import Embedder
    from backends.generation import Generator
    from router.config import Settings
    from router.evaluation.behaviour import OnProgress
    from router.evaluation.held_out import BehaviourRow

RECORDED_AS: Final = "behaviour"
"""Where the figures stand in a version's report."""

_VERSIONED: Final = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured.

    Attributes:
        adapter: ``name`` or ``name@version``.
        data: Rows; None for those that ship.
        against: The version to compare with; None for the live one.
        limit: Ask at most so many rows; None for all.
        record: Put the figures into the registry.
    """

    adapter: str
    data: Path | None = None
    against: str | None = None
    limit: int | None = None
    record: bool = False


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a measurement works with; opened by `opened`, or by a test from twins.

    Attributes:
        host: None where what is served cannot be changed.
        reader: Chooses sentences of the evidence where an adapter reads only some.
    """

    registry: AdapterRegistry
    generator: Generator
    host: AdapterHost | None
    reader: Embedder | None
    within_s: float


async def measure(
    order: Order, on: Measuring, on_progress: OnProgress = lambda *_: None
) -> dict[str, Any]:
    """Return every figure (`router.evaluation.behaviour_report`).

    Where the model goes away in the middle, the figures are of the rows before, ``complete`` is
    false, ``stopped`` says why, and nothing is recorded.

    Raises:
        UnknownModel: The registry has no such version.
        InvalidRequest: The rows cannot be read, or none ship for the adapter.
        BackendError, AgentError: Not even one row could be answered.
        ConfigurationFault: Styles are to be judged and scikit-learn is not there.
    """
    adapter = await _found(on.registry, order.adapter)
    rival = await _rival(on.registry, adapter, order.against)
    rows = rows_for(order, adapter)
    judges = judges_of(rows)
    bases = [card.name for card in await on.generator.models() if card.base is None]
    contestants = {"adapter": with_adapter(adapter)}
    if rival is not None:
        contestants["against"] = with_adapter(rival)
    contestants["base"] = without_adapter(adapter, bases)
    adapters = [adapter, *([rival] if rival else [])]
    async with served(on.host, adapters):
        answered = await answer_all(
            rows,
            list(contestants.values()),
            agents_of(on),
            within_s=on.within_s,
            on_progress=on_progress,
        )
    names = {role: one.name for role, one in contestants.items()}
    figures = report(answered, names, judges, schema=adapter.spec.schema is not None)
    figures |= {
        "data": str(order.data) if order.data else "shipped",
        "asked": len(rows),
        "complete": answered.stopped is None,
    }
    if answered.stopped is not None:
        error = router_error(answered.stopped)
        figures["stopped"] = {"code": error.code, "message": str(error)}
    elif order.record:
        kept = {**(adapter.spec.report or {}), RECORDED_AS: figures}
        await on.registry.record(adapter.spec.name, adapter.version, kept)
    return figures


def rows_for(order: Order, adapter: Adapter) -> Sequence[BehaviourRow]:
    """Return the rows that are to be asked.

    Raises:
        InvalidRequest: They cannot be read, or none ship for the adapter.
    """
    if order.data is not None:
        rows = read_rows(order.data)
    else:
        rows = shipped_rows(adapter.spec.name, adapter.spec.schema)
    if order.limit is not None:
        rows = some_of(rows, order.limit)
    # What it is told of itself it may say.
    told = (adapter.spec.system_prompt, adapter.spec.description)
    return [replace(row, known=(*row.known, *told)) for row in rows]


def judges_of(rows: Sequence[BehaviourRow]) -> Mapping[str, StyleJudge]:
    """Return a judge of every style that a row asks for.

    Raises:
        ConfigurationFault: There is one, and scikit-learn is not installed.
    """
    styles = sorted({row.style for row in rows} - {""})
    if styles:
        check_learner()
    return {style: StyleJudge(style) for style in styles}


def agents_of(on: Measuring) -> Mapping[Route, Agent]:
    """Return who answers, put together as for a router."""
    return {
        Route.BEHAVIOURAL: BehaviouralAgent(on.generator),
        Route.HYBRID: HybridAgent(on.generator, on.reader),
    }


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Measuring]:
    """Open what a measurement needs, as a router does.

    Raises:
        ModelUnavailable: No model is connected.
        BackendError: A part cannot be opened.
    """
    async with AsyncExitStack() as stack:
        generator = await stack.enter_async_context(open_generator(settings))
        if generator is None:
            raise ModelUnavailable(
                "No model is connected, so that no adapter can answer. Set ROUTER_VLLM_URL, or "
                "turn the model that ships on with ROUTER_STARTER."
            )
        embedder = await stack.enter_async_context(open_embedder(settings))
        reader = await stack.enter_async_context(open_reader(settings, embedder))
        registry = await stack.enter_async_context(open_registry(settings))
        within_s = settings.timeouts.request
        yield Measuring(registry, generator, host_of(generator), reader, within_s)


async def _found(registry: AdapterRegistry, named: str) -> Adapter:
    match = _VERSIONED.fullmatch(named)
    found = None
    if match is not None:
        found = await registry.find(match[1], int(match[2]) if match[2] else None)
    if found is not None:
        return found
    known = ", ".join(one.served_as for one in await registry.adapters())
    there = f"there are {known}" if known else "there are none yet; router finetune trains one"
    raise UnknownModel(f"There is no adapter {named!r}; {there}.", field="adapter")


async def _rival(
    registry: AdapterRegistry, adapter: Adapter, against: str | None
) -> Adapter | None:
    """The version that was named, else the live one where it is another than the one measured."""
    if against is not None:
        rival = await _found(registry, against)
        if rival.served_as == adapter.served_as:
            raise InvalidRequest(
                f"{adapter.served_as} cannot be compared with itself.", field="against"
            )
        return rival
    live = await registry.find(adapter.spec.name)
    if live is None or live.state is not AdapterState.LIVE or live.version == adapter.version:
        return None
    return live
