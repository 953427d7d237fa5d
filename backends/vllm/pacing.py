"""How long to wait and how often to try: deadlines of one call, and the pause between attempts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one call, in seconds.

    Attributes:
        connect: To open a connection.
        first_token: From the call to the first event of a stream, retries included.
        idle: Of silence in the middle of a stream.
        total: For the whole call; the only one that bounds an answer that is not streamed.
    """

    connect: float = 3.0
    first_token: float = 60.0
    idle: float = 30.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Retries:
    """When to try again a call that was not answered with a single byte.

    The pause is "full jitter": uniform between nothing and an exponentially growing bound, which
    spreads callers that failed together (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).

    Attributes:
        attempts: Further attempts after the first.
        base: Bound on the first pause, in seconds; doubles with each further one.
        cap: Bound on every pause, in seconds, and the longest ``Retry-After`` worth waiting for.
        uniform: Source of numbers in 0..1.
    """

    attempts: int = 2
    base: float = 0.2
    cap: float = 3.0
    uniform: Callable[[], float] = field(default=random.random, compare=False)

    def pause(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: Number of the attempt that failed, from 0.
            retry_after: What the server asked for; longer than ``cap`` means giving up, because
                coming back earlier than asked helps nobody.
        """
        if attempt >= self.attempts:
            return None
        if retry_after is not None and retry_after > self.cap:
            return None
        jittered = self.uniform() * min(self.cap, self.base * 2.0**attempt)
        return (retry_after or 0.0) + jittered


class Clock:
    """The running deadlines of one call; every wait asks it ``until`` when it may last."""

    def __init__(self, timeouts: Timeouts, *, streamed: bool) -> None:
        self._timeouts = timeouts
        self._now = asyncio.get_running_loop().time
        started = self._now()
        self._total_at = started + timeouts.total
        self._first_at = started + timeouts.first_token if streamed else self._total_at
        self._answering = False

    def tick(self) -> None:
        """An event of the stream has come."""
        self._answering = True

    def until(self) -> float:
        """Return the loop's time at which a wait that begins now is over.

        Silence counts from the beginning of the wait, so that a slow reader of the answer is not
        taken for a silent server.
        """
        if self._answering:
            return min(self._now() + self._timeouts.idle, self._total_at)
        return min(self._first_at, self._total_at)

    def has(self, seconds: float) -> bool:
        """Whether that much time is left."""
        return self._now() + seconds < self.until()

    def what_ran_out(self) -> str:
        """Name the limit that a wait has just hit, for a message."""
        if self._now() >= self._total_at:
            return f"did not finish within {self._timeouts.total:g} s"
        if not self._answering:
            return f"sent no first token within {self._timeouts.first_token:g} s"
        return f"fell silent for {self._timeouts.idle:g} s in the middle of its answer"
