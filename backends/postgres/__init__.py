"""PostgreSQL: the server that runs from a wheel, the pool, and the migrations."""

from backends.postgres.migrate import migrate
from backends.postgres.pool import Connection, Limits, Pool, connection, open_pool, ping, translated
from backends.postgres.server import embedded_server

__all__ = [
    "Connection",
    "Limits",
    "Pool",
    "connection",
    "embedded_server",
    "migrate",
    "open_pool",
    "ping",
    "translated",
]
