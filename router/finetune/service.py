"""Puts a trained adapter into service as ``router adapters promote`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.adapters import host_of, open_generator

if TYPE_CHECKING:
    from backends.adapters import Adapter, AdapterRegistry
    from router.config import Settings


async def put_into_service(
    settings: Settings, registry: AdapterRegistry, adapter: Adapter
) -> tuple[str, ...]:
    """Make a version the one that answers: on every model server first, where any is connected.

    Returns:
        Names that are still loaded although nobody asks for them, and why; empty as a rule.

    Raises:
        Refused: A server does not take it, or its answer to a probe has not the form it must have.
        BackendError: Something does not answer. The live version is as before.
    """
    name, version = adapter.spec.name, adapter.version
    async with open_generator(settings) as generator:
        host = None if generator is None else host_of(generator)
        if generator is None or host is None:
            await registry.promote(name, version)
            return ()
        from router.promotion import promote

        done = await promote(registry, host, name, version, generator=generator)
        return done.left
