"""Which of several model servers gets the next call: the least busy one that can be reached."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from backends.errors import Misconfigured

COOL_DOWN_S = 5.0
"""How long a server that could not be reached is left alone while others can be."""


@dataclass(slots=True, eq=False)
class Replica:
    """One model server.

    Attributes:
        name: Host and port, for messages; never holds a password.
        url: Address up to and including ``/v1``, without user or password.
        authorization: Value of the header of that name, from the address' user and password.
        outstanding: Calls that it is serving for us now.
    """

    name: str
    url: str
    authorization: str | None = None
    outstanding: int = 0
    cold_until: float = 0.0
    last_used: int = 0


class Replicas:
    """The servers behind one model, and what is known about each.

    Args:
        replicas: At least one.
        now: Monotonic seconds.
    """

    def __init__(self, replicas: Collection[Replica], now: Callable[[], float]) -> None:
        self._replicas = tuple(replicas)
        self._now = now
        self._turns = itertools.count(1)

    def __len__(self) -> int:
        return len(self._replicas)

    @contextmanager
    def lease(self, avoid: Collection[Replica] = ()) -> Iterator[Replica]:
        """Pick a server for one call and count the call while it lasts.

        Servers that can be reached come before ones that could not a moment ago, then those that
        this call has not tried, then the least busy, then the one that was used longest ago. There
        is always one: when all are cooling down, trying beats refusing.
        """
        now = self._now()
        chosen = min(
            self._replicas,
            key=lambda replica: (
                replica in avoid,
                max(replica.cold_until - now, 0.0),
                replica.outstanding,
                replica.last_used,
            ),
        )
        chosen.last_used = next(self._turns)
        chosen.outstanding += 1
        try:
            yield chosen
        finally:
            chosen.outstanding -= 1

    def cool(self, replica: Replica, seconds: float = COOL_DOWN_S) -> None:
        """Prefer other servers for so many seconds."""
        replica.cold_until = self._now() + seconds

    def warm(self, replica: Replica) -> None:
        """It has answered: no reason to avoid it."""
        replica.cold_until = 0.0


def parse_replicas(urls: str) -> tuple[Replica, ...]:
    """Read comma-separated addresses such as ``http://10.0.0.1:8000,http://10.0.0.2:8000/v1``.

    Raises:
        Misconfigured: None given, or one that is not an http address.
    """
    replicas = tuple(_parse(url.strip()) for url in urls.split(",") if url.strip())
    if not replicas:
        raise Misconfigured(
            "No address of a model server is given.",
            backend="model server",
            hint="Give one such as http://127.0.0.1:8000.",
        )
    return replicas


def _parse(url: str) -> Replica:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.scheme not in ("http", "https"):
            host = None
    if host is None:
        # The address itself stays out of the message: it may hold a password.
        raise Misconfigured(
            "An address of the model server is not an http address.",
            backend="model server",
            hint="Write it like http://127.0.0.1:8000 and separate several by commas.",
        )
    bracketed = f"[{host}]" if ":" in host else host
    name = f"{bracketed}:{port}" if port else bracketed
    path = parts.path.rstrip("/").removesuffix("/v1")
    return Replica(
        name, f"{parts.scheme}://{name}{path}/v1", _basic(parts.username, parts.password)
    )


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")
