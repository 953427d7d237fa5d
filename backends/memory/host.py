"""Twin of the hosts of adapters: remembers what is loaded, and refuses what they refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.adapters import Adapter
from backends.errors import BackendError
from backends.lora import WEIGHTS, read_lora, refused
from backends.manifest import file_hash


class MemoryHost:
    """Places that serve adapters, in this process, gone when it ends.

    Args:
        bases: The base models that every place serves.
        places: Names of the places.
        max_rank: The largest rank that they take.

    Attributes:
        unavailable: Raised by every call while it is set, as if no place could be reached.
    """

    def __init__(
        self,
        bases: Sequence[str] = ("base-model",),
        *,
        places: Sequence[str] = ("memory",),
        max_rank: int = 64,
    ) -> None:
        self._bases = tuple(bases)
        self._max_rank = max_rank
        self._served: dict[str, set[str]] = {place: set() for place in places}
        self.unavailable: BackendError | None = None

    async def bases(self) -> Sequence[str]:
        """Return the names it was made with."""
        self._require_available()
        return self._bases

    async def load(self, adapter: Adapter) -> None:
        """Serve it everywhere, as `backends.adapters.AdapterHost` says."""
        self._require_available()
        if adapter.spec.base not in self._bases:
            raise refused(
                f"{adapter.served_as} is for {adapter.spec.base!r}, which is not served.",
                f"There is {', '.join(self._bases)}.",
            )
        self._check_files(adapter)
        for served in self._served.values():
            served.add(adapter.served_as)

    async def unload(self, served_as: str) -> None:
        """Serve it no more."""
        self._require_available()
        for served in self._served.values():
            served.discard(served_as)

    async def loaded(self) -> Mapping[str, frozenset[str]]:
        """Return for each place what it serves."""
        self._require_available()
        return {place: frozenset(served) for place, served in self._served.items()}

    def restart(self, place: str) -> None:
        """Make a place forget what was loaded there, as a server does that starts anew."""
        self._served[place].clear()

    def _require_available(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable

    def _check_files(self, adapter: Adapter) -> None:
        spec = adapter.spec
        rank = read_lora(spec.folder).rank
        if rank > self._max_rank:
            raise refused(
                f"{adapter.served_as} has rank {rank}; {self._max_rank} is the most.",
                "Train it with a smaller rank.",
            )
        if file_hash(spec.folder / WEIGHTS) != spec.weights_hash:
            raise refused(
                f"The weights of {adapter.served_as} are not those that were registered.",
                "Put them back, or register them as a new version.",
            )
