"""Which adapter answers: the one that was named, else the one whose examples are the question's
kind, else the default."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agents.likeness import Likeness, nearest, parts, shipped
from backends.adapters import NAME, Adapter, AdapterChoice
from backends.errors import BackendError, Refused

if TYPE_CHECKING:
    from agents.live_adapters import Live, LiveAdapters, Snapshot
    from backends.base import Embedder
    from backends.generation import ModelCard

LIKELY: Final = 0.6
"""Probability from which the nearest adapter answers; a wrong adapter is worse than the default."""

SURE: Final = 0.9
"""The same for an adapter that answers in a form, which is useless to whoever wants prose."""

_LISTING_S: Final = 3.0
"""How long a server may take to list its models where a question waits for that."""

_VERSIONED = re.compile(rf"({NAME.pattern})@([1-9][0-9]{{0,8}})")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who answers.

    Attributes:
        choice: For the decision.
        served_as: The adapter's or model's name on its server; None for the default model.
        registered: What the registry says of it, where it knows it.
        reason: Why, in plain words; empty where there was nothing to choose from.
        stale: Empty, or why something newer may be live, in plain words.
    """

    choice: AdapterChoice
    served_as: str | None
    registered: Adapter | None = None
    reason: str = ""
    stale: str = ""

    @property
    def has_form(self) -> bool:
        """Whether it is an adapter that answers under a schema or a grammar of its own."""
        return self.registered is not None and _has_form(self.registered)


class AdapterChooser:
    """Chooses among the live adapters; safe to use for many questions at once.

    Args:
        live: What there is.
        embedder: Makes vectors of questions: the one that made those of the examples.
        model: Returns the name of the model that answers where no adapter does.
        served: Returns what may be asked for by name; raises `BackendError`.
        default: An adapter or version to answer where none is near enough; None for that model.
        likeness: Gives the probability; the one that ships when None.
    """

    def __init__(
        self,
        live: LiveAdapters,
        embedder: Embedder,
        *,
        model: Callable[[], str],
        served: Callable[[], Awaitable[Sequence[ModelCard]]],
        default: str | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self._live = live
        self._embedder = embedder
        self._model = model
        self._served = served
        self._default = default
        self._likeness = likeness or shipped()

    @property
    def live(self) -> LiveAdapters:
        """What is chosen from."""
        return self._live

    async def choose(self, question: str, named: str | None) -> Chosen:
        """Return who answers a question.

        Nothing that fails here fails the question: without the registry the last known adapters
        stand, and without the embedder the default answers.

        Args:
            question: The standalone question.
            named: ``name``, ``name@version`` or a model's name, if the caller insists on one.
        """
        snapshot = self._live.snapshot
        if named is not None:
            return await self._named(named, snapshot)
        compared = [each for each in snapshot.adapters.values() if each.examples is not None]
        if not compared:
            return await self._fallback(snapshot, None, "")
        try:
            index, likely = await self._compared(question, compared)
        except BackendError as error:
            return await self._fallback(snapshot, None, f"; {error.problem}")
        found = compared[index].adapter
        boundary = SURE if _has_form(found) else LIKELY
        margin = abs(likely - boundary)
        name = found.served_as
        if likely < boundary:
            return await self._fallback(
                snapshot, (likely, margin), f"; the nearest is {name}, {_short(likely)}"
            )
        choice = AdapterChoice(found.spec.name, found.version, "examples", likely, margin)
        reason = f"{name} answers, whose examples are of this kind ({_short(likely)})"
        return Chosen(choice, name, found, reason, snapshot.stale)

    async def check_name(self, named: str) -> None:
        """Check that a name which the registry does not have is that of a model that is served.

        Nothing is said where the server cannot be asked now: who speaks will find out.

        Raises:
            Refused: Nobody answers by that name; status 404.
        """
        if named == self._model():
            return
        try:
            async with asyncio.timeout(_LISTING_S):
                served = [card.name for card in await self._served()]
        except (BackendError, TimeoutError):
            return
        if named not in served:
            raise await self._live.absence(named) or Refused(
                f"There is no model or adapter {named[:120]!r}.",
                backend="adapters",
                hint=f"There are {', '.join([*self._live.snapshot.adapters, *served])}.",
                status=404,
            )

    async def _named(self, named: str, snapshot: Snapshot) -> Chosen:
        stale = snapshot.stale
        found = None
        if named in snapshot.adapters:
            found = snapshot.adapters[named].adapter
        elif match := _VERSIONED.fullmatch(named):
            try:
                found = await self._live.version(match[1], int(match[2]))
            except (BackendError, TimeoutError) as error:
                stale = f"{stale} {named}: {str(error) or 'no answer in time.'}".strip()
        if found is None:
            # The model server may know it; if it does not, it says so.
            choice = AdapterChoice(named, None, "caller")
            return Chosen(choice, named, None, f"the caller asked for {named}", stale)
        choice = AdapterChoice(found.spec.name, found.version, "caller")
        reason = f"{found.served_as} answers, which the caller asked for"
        return Chosen(choice, found.served_as, found, reason, stale)

    async def _compared(self, question: str, live: list[Live]) -> tuple[int, float]:
        """Which is nearest, and how likely the question is of its kind."""
        asked = await self._embedder.embed(parts(question))
        found = nearest(asked, [each.examples for each in live if each.examples is not None])
        assert found is not None, "there is one to compare with"
        return found.index, self._likeness.probability(found.features)

    async def _fallback(
        self, snapshot: Snapshot, compared: tuple[float, float] | None, why: str
    ) -> Chosen:
        """The default, beside which the nearest was not likely enough or nothing was compared."""
        likely, margin = compared or (None, None)
        named = None
        if self._default is not None:
            named = await self._named(self._default, snapshot)
        if named is not None and named.registered is not None:
            found = named.registered
            choice = AdapterChoice(found.spec.name, found.version, "default", likely, margin)
            reason = f"{found.served_as} answers, the default{why}"
            return Chosen(choice, found.served_as, found, reason, named.stale)
        choice = AdapterChoice(self._model(), None, "default", likely, margin)
        missing = f"; the default adapter {self._default} is not live" if named else ""
        reason = f"the base model answers{missing}{why}" if missing or why else ""
        return Chosen(choice, None, None, reason, snapshot.stale)


def _has_form(adapter: Adapter) -> bool:
    return adapter.spec.schema is not None or adapter.spec.grammar is not None


def _short(probability: float) -> str:
    return f"{probability:.2f}".removeprefix("0")
