"""The registry of adapters in PostgreSQL."""

from backends.registry.registry import PostgresAdapterRegistry, open_registry

__all__ = ["PostgresAdapterRegistry", "open_registry"]
