"""Which of several model servers gets the next call: the least busy that serves what is asked for.

What a server serves is known from its own list of models, which the keeper reads every few seconds
and a call reads itself where the list is missing or old.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from backends.errors import Misconfigured
from backends.vllm.wire import Listed

COOL_DOWN_S = 5.0
"""How long a server that could not be reached is left alone while others can be."""

LISTING_S = 15.0
"""How long a server's list of models is believed."""


@dataclass(slots=True, eq=False)
class Replica:
    """One model server.

    Attributes:
        name: Host and port, for messages; never holds a password.
        url: Address up to and including ``/v1``, without user or password.
        root: The same without ``/v1``.
        authorization: Value of the header of that name, from the address' user and password.
        outstanding: Calls that it is serving for us now.
        models: What it listed last; None before it has listed anything.
        listed_at: When that was, in the seconds of the `Replicas`.
    """

    name: str
    url: str
    authorization: str | None = None
    outstanding: int = 0
    cold_until: float = 0.0
    last_used: int = 0
    models: tuple[Listed, ...] | None = None
    listed_at: float = 0.0

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    @property
    def names(self) -> frozenset[str]:
        """What it can be asked for, as far as is known."""
        return frozenset(model.name for model in self.models or ())

    @property
    def bases(self) -> tuple[Listed, ...]:
        """Its base models, as far as is known."""
        return tuple(model for model in self.models or () if model.base is None)


class Replicas:
    """The servers behind one model, and what is known about each.

    Args:
        replicas: At least one.
        now: Monotonic seconds.

    Attributes:
        wanted: What every one of them shall serve, so that its absence is a matter of time.
    """

    def __init__(self, replicas: Collection[Replica], now: Callable[[], float]) -> None:
        self._replicas = tuple(replicas)
        self._now = now
        self._turns = itertools.count(1)
        self.wanted: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._replicas)

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._replicas)

    @contextmanager
    def lease(
        self, avoid: Collection[Replica] = (), among: Collection[Replica] = ()
    ) -> Iterator[Replica]:
        """Pick a server for one call and count the call while it lasts.

        Servers that can be reached come before ones that could not a moment ago, then those that
        this call has not tried, then the least busy, then the one that was used longest ago. There
        is always one: when all are cooling down, trying beats refusing.

        Args:
            avoid: Those that this call has tried.
            among: Those that serve what is asked for; empty for all.
        """
        now = self._now()
        chosen = min(
            among or self._replicas,
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

    def is_cold(self, replica: Replica) -> bool:
        """Whether it is being left alone."""
        return replica.cold_until > self._now()

    def listed(self, replica: Replica, models: tuple[Listed, ...]) -> None:
        """Remember what it has just listed."""
        replica.models = models
        replica.listed_at = self._now()

    def serving(self, model: str) -> tuple[Replica, ...]:
        """Return those that list the model, and those that have never listed anything.

        One that is down counts by what it listed last: it is where the model should be.
        """
        return tuple(one for one in self._replicas if one.models is None or model in one.names)

    def unknown(self, since: float | None = None) -> tuple[Replica, ...]:
        """Return those worth asking what they serve; those that are cooling down are not.

        Args:
            since: Ask whoever has listed nothing since then; None for lists that are too old.
        """
        oldest = self._now() - LISTING_S if since is None else since
        return tuple(
            one
            for one in self._replicas
            if not self.is_cold(one) and (one.models is None or one.listed_at < oldest)
        )

    def names(self) -> tuple[str, ...]:
        """Return everything that is served anywhere, in the order of the lists."""
        listed = (model.name for one in self._replicas for model in one.models or ())
        return tuple(dict.fromkeys(listed))


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
