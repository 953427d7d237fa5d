"""The `AdapterHost` port in this process: one model for the base and one for each adapter version.

An adapter is merged into the base when it is loaded and read into memory when it is first asked
for; those asked for last stay there.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from backends.adapters import Adapter
from backends.errors import Refused
from backends.genai.chat import ChatForm
from backends.genai.engine import Engine
from backends.genai.folder import model_folder
from backends.genai.merging import load_lora
from backends.genai.weights import BACKEND, Shape, read_shape, read_weights, unusable
from backends.genai.workers import Workers
from backends.lora import refused
from backends.manifest import model_hash

PLACE: Final = "in process"


@dataclass(frozen=True, slots=True)
class Source:
    """A base model and where what is built of it is kept.

    Attributes:
        name: What adapters and callers call it.
        folder: With config.json, model.safetensors and tokenizer.json.
        cache: Holds the built graphs.
        other_hashes: Returns further hashes that an adapter may name its base by, such as that of
            the same weights in another form; asked only where its own is not named. May block.
    """

    name: str
    folder: Path
    cache: Path
    other_hashes: Callable[[], Collection[str]] = frozenset


@dataclass(frozen=True, slots=True)
class Base:
    """The base model, opened."""

    shape: Shape
    form: ChatForm
    hash: str
    built: Path


class GenaiHost:
    """Serves adapters beside their base model, in this process.

    Args:
        source: The base model.
        workers: Run what blocks.
        in_memory: So many adapters stay in memory, the base besides.
    """

    def __init__(self, source: Source, workers: Workers, *, in_memory: int = 3) -> None:
        self._source = source
        self._workers = workers
        self._in_memory = in_memory
        self._base: Base | None = None
        self._served: dict[str, Path] = {}
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._loading = asyncio.Lock()

    @property
    def model(self) -> str:
        """Name of the base model."""
        return self._source.name

    async def base(self) -> Base:
        """Return the base model, opened by the first who asks.

        Raises:
            Misconfigured: Its files are absent or damaged, or the cache cannot be written.
        """
        if self._base is not None:
            return self._base
        async with self._loading:
            return await self._opened()

    async def bases(self) -> Sequence[str]:
        """Return the one name there is."""
        return (self.model,)

    async def load(self, adapter: Adapter) -> None:
        """Build the adapter's model and serve it; nothing to do where it is served.

        Raises:
            Refused: Its base is another one, its rank too large, or its files are damaged.
            Misconfigured: As `base`.
        """
        if adapter.spec.base != self.model:
            raise refused(
                f"The adapter {adapter.served_as} is for {adapter.spec.base!r}; in this process "
                f"runs {self.model!r}.",
                "Connect a model server with its base model (ROUTER_VLLM_URL). If it is the same "
                f"by another name: router adapters add {adapter.spec.folder} --base {self.model}",
            )
        async with self._loading:
            base = await self._opened()
            if adapter.served_as not in self._served:
                built = await self._workers.run(partial(_build, self._source, base, adapter))
                self._served[adapter.served_as] = built

    async def unload(self, served_as: str) -> None:
        """Serve it no more; answers in flight end with it."""
        self._served.pop(served_as, None)
        self._engines.pop(served_as, None)

    async def loaded(self) -> Mapping[str, frozenset[str]]:
        """Return which adapters are served."""
        return {PLACE: frozenset(self._served)}

    def check(self, name: str) -> None:
        """Check that a model or adapter is served.

        Raises:
            Refused: It is not; status 404.
        """
        if name != self.model and name not in self._served:
            raise Refused(
                f"There is no model or adapter {name[:120]!r}.",
                backend=BACKEND,
                hint=f"In this process there are {', '.join((self.model, *self._served))}.",
                status=404,
            )

    async def engine(self, name: str) -> Engine:
        """Return a model, read into memory where it is not there; raises as `base` and `check`."""
        self.check(name)
        if name not in self._engines:
            # Who asks for what is in memory does not wait for what is being loaded.
            async with self._loading:
                await self._read(name)
        self._engines.move_to_end(name)
        return self._engines[name]

    async def _read(self, name: str) -> None:
        base = await self._opened()
        self.check(name)
        if name in self._engines:
            return
        folder = base.built if name == self.model else self._served[name]
        load = partial(Engine.load, folder, base.shape)
        engine = await self._workers.run(load)
        # It may have been unloaded meanwhile.
        self.check(name)
        self._engines[name] = engine
        adapters = [each for each in self._engines if each != self.model]
        for each in adapters[: max(0, len(adapters) - self._in_memory)]:
            del self._engines[each]

    async def _opened(self) -> Base:
        if self._base is None:
            self._base = await self._workers.run(partial(_open, self._source))
        return self._base


def _open(source: Source) -> Base:
    try:
        found = model_hash(source.folder)
    except Refused as error:
        raise unusable(source.folder, error.problem.rstrip(".")) from error
    shape, form = read_shape(source.folder), ChatForm.read(source.folder)
    built = model_folder(source.cache, source.folder, found, partial(read_weights, source.folder))
    return Base(shape, form, found, built)


def _build(source: Source, base: Base, adapter: Adapter) -> Path:
    spec = adapter.spec
    named = spec.base_hash in ("", base.hash)
    if not (named or spec.base_hash in source.other_hashes()):
        raise refused(
            f"The adapter {adapter.served_as} was trained on another {spec.base!r} than the one "
            "that runs in this process.",
            "Train it again on this one.",
        )
    lora = load_lora(spec.folder)
    if lora.rank != spec.rank:
        raise refused(
            f"The files in {spec.folder} are of rank {lora.rank}, and {spec.rank} is registered of "
            f"{adapter.served_as}.",
            "Put the registered files back, or register these as a new version.",
        )
    if lora.weights_hash != spec.weights_hash:
        raise refused(
            f"The weights in {spec.folder} are not those that were registered as "
            f"{adapter.served_as}.",
            "Copy them again, or register them as a new version.",
        )
    return model_folder(
        source.cache, source.folder, base.hash, partial(read_weights, source.folder), lora
    )
