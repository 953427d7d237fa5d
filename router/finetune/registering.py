"""Opens the registry of adapters for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from router.adapters import open_database

if TYPE_CHECKING:
    from backends.adapters import AdapterRegistry
    from router.config import Settings


@asynccontextmanager
async def opened_registry(settings: Settings) -> AsyncIterator[AdapterRegistry]:
    """Open the registry on the configured database, or on the embedded one.

    Raises:
        BackendError: The database cannot be reached or is not what it must be.
    """
    from backends.postgres import migrate
    from backends.registry import open_registry

    async with open_database(settings) as url:
        await migrate(url, schema=settings.database_schema)
        async with open_registry(url, schema=settings.database_schema) as registry:
            yield registry
