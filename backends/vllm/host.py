"""Adapters on running vLLM servers: loaded on all or on none, unloaded, listed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from backends.adapters import Adapter
from backends.errors import BackendError, Refused, Unavailable
from backends.finishing import to_the_end
from backends.lora import WEIGHTS
from backends.manifest import file_hash, model_hash
from backends.vllm import fitting, wire
from backends.vllm.exchange import Call
from backends.vllm.replicas import Replica
from backends.vllm.transport import Transport

LOAD_LIMIT_S: Final = 60.0
"""How long a server may take to read an adapter; it does so between two steps of its engine."""

UNLOAD_LIMIT_S: Final = 10.0
HEALTH_LIMIT_S: Final = 3.0
LIST_LIMIT_S: Final = 10.0
"""How long a server may take to list its models where all of them have to."""

_Files: TypeAlias = frozenset[tuple[str, int, int]]
"""Name, size and time of change of each."""

_LOAD: Final = "/v1/load_lora_adapter"
_UNLOAD: Final = "/v1/unload_lora_adapter"
_HEALTH: Final = "/health"


class VllmHost:
    """An `AdapterHost` over vLLM's runtime loading, on the servers of one `Transport`.

    A place is a server's host and port. What is loaded through a host is *held* until it is
    unloaded or `let_go`: a keeper restores it on a server that has lost it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._held: dict[str, Adapter] = {}
        self._hashes: dict[Path, tuple[_Files, str]] = {}

    @property
    def held(self) -> Mapping[str, Adapter]:
        """What was loaded here and is nobody else's to keep yet, by the name it is served as."""
        return self._held

    async def bases(self) -> Sequence[str]:
        """See `AdapterHost`; a model counts by each of its names: its own, and where it is from."""
        listings = [models for _, models in await self._listings() if models is not None]
        if not listings:
            raise Unavailable(
                "No model server answers.",
                backend=wire.BACKEND,
                hint="Start one with: router vllm up",
            )
        first, *others = (fitting.names_of_bases(models) for models in listings)
        return [name for name in first if all(name in other for other in others)]

    async def load(self, adapter: Adapter) -> None:
        """See `AdapterHost`. Cancelled, it is unloaded where it was not loaded before."""
        await asyncio.to_thread(fitting.check_files, adapter)
        name, replicas = adapter.served_as, tuple(self._transport.replicas)
        before = self._held.get(name)
        had: set[str] = set()
        self._held[name] = adapter
        try:
            await _all_or_first_error([self._has(one, name, had) for one in replicas])
            await _all_or_first_error([self.load_on(one, adapter) for one in replicas])
        except BaseException:
            if before is None:
                del self._held[name]
            await to_the_end(self._undo(name, [one for one in replicas if one.name not in had]))
            raise

    async def load_on(self, replica: Replica, adapter: Adapter) -> None:
        """Make one server serve an adapter whose files are known to be good; raises as `load`."""
        models = await self._transport.list_models(replica, LIST_LIMIT_S)
        await asyncio.to_thread(
            fitting.check_base, adapter, replica.bases, replica.name, self._hash_of
        )
        if not await _is_there(adapter, models, replica.name):
            body = {"lora_name": adapter.served_as, "lora_path": str(adapter.spec.folder)}
            status, told = await self._transport.hear(replica, Call(_LOAD, body), LOAD_LIMIT_S)
            words = self._transport.words(told)
            if status != 200 and not fitting.is_loaded_already(status, words):
                raise await self._why(replica, adapter, status, words)
            models = await self._transport.list_models(replica, LIST_LIMIT_S)
            await _is_there(adapter, models, replica.name)

    async def unload(self, served_as: str) -> None:
        """See `AdapterHost`.

        Raises:
            Refused: A server was started with it, and unloads nothing at run time.
        """
        self._held.pop(served_as, None)
        await _all_or_first_error(
            [self._unload_on(replica, served_as) for replica in self._transport.replicas]
        )

    async def loaded(self) -> Mapping[str, frozenset[str] | None]:
        """See `AdapterHost`."""
        return {
            replica.name: None
            if models is None
            else frozenset(model.name for model in models if model.base is not None)
            for replica, models in await self._listings()
        }

    def let_go(self, served_as: Collection[str]) -> None:
        """Somebody else sees to it from now on that these stay loaded."""
        for name in served_as:
            self._held.pop(name, None)

    async def check_health(self, replica: Replica) -> None:
        """Ask a server whether its engine works, where it can be asked.

        Raises:
            BackendError: It does not, or cannot be reached.
        """
        status, told = await self._transport.hear(replica, Call(_HEALTH, None), HEALTH_LIMIT_S)
        if status >= 500:
            raise wire.failure(replica.name, status, self._transport.words(told))

    def _hash_of(self, folder: Path) -> str:
        """The hash of a model's folder; read once, unless its files change."""
        files = frozenset(
            (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()
        )
        known = self._hashes.get(folder)
        if known is None or known[0] != files:
            known = self._hashes[folder] = (files, model_hash(folder))
        return known[1]

    async def _listings(self) -> list[tuple[Replica, Sequence[wire.Listed] | None]]:
        """What each server lists; None for one that does not answer."""

        async def listed(replica: Replica) -> tuple[Replica, Sequence[wire.Listed] | None]:
            try:
                return replica, await self._transport.list_models(replica)
            except BackendError:
                # Whoever asks goes on with those that answer.
                return replica, None

        return await asyncio.gather(*(listed(one) for one in self._transport.replicas))

    async def _has(self, replica: Replica, served_as: str, had: set[str]) -> None:
        """Put down that a server has an adapter already, if it does."""
        models = await self._transport.list_models(replica, LIST_LIMIT_S)
        if any(model.name == served_as for model in models):
            had.add(replica.name)

    async def _unload_on(self, replica: Replica, served_as: str) -> None:
        call = Call(_UNLOAD, {"lora_name": served_as})
        status, told = await self._transport.hear(replica, call, UNLOAD_LIMIT_S)
        words = self._transport.words(told)
        models = await self._transport.list_models(replica, LIST_LIMIT_S)
        if all(model.name != served_as for model in models):
            return
        if fitting.is_runtime_loading_off(status, words):
            raise fitting.loads_nothing(replica.name)
        raise wire.failure(replica.name, status, words)

    async def _undo(self, served_as: str, replicas: Sequence[Replica]) -> None:
        """Unload what was loaded for nothing; a server that is down has lost it anyway."""
        unloading = (self._unload_on(replica, served_as) for replica in replicas)
        for outcome in await asyncio.gather(*unloading, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, BackendError):
                raise outcome

    async def _why(
        self, replica: Replica, adapter: Adapter, status: int, words: str
    ) -> BackendError:
        """Return the error for a load that failed: the server's own, or the adapter's."""
        try:
            await self.check_health(replica)
        except BackendError as error:
            return error
        return fitting.refusal(adapter, replica.name, status, words)


async def _is_there(adapter: Adapter, models: Sequence[wire.Listed], server: str) -> bool:
    """Whether a server serves the adapter.

    Raises:
        Refused: It serves another one by that name.
    """
    there = next((model for model in models if model.name == adapter.served_as), None)
    if there is None:
        return False
    folder, spec = Path(there.root), adapter.spec
    if not there.root or folder == spec.folder:
        return True
    if (folder / WEIGHTS).is_file():
        same = await asyncio.to_thread(file_hash, folder / WEIGHTS) == spec.weights_hash
        if same:
            return True
    raise Refused(
        f"The model server at {server} serves {there.root} as {adapter.served_as}, not "
        f"{spec.folder}.",
        backend="adapters",
        hint="Unload it there; it comes from another registry or was loaded by hand.",
    )


async def _all_or_first_error(work: Sequence[Awaitable[object]]) -> None:
    """Let all come to an end, then raise: what is refused before what is only down for now."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors:
        raise min(errors, key=_patience)


def _patience(error: BaseException) -> int:
    if not isinstance(error, BackendError):
        return 0
    return 2 if isinstance(error, Unavailable) else 1
