"""What a check found, and how a check is kept from stopping the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, TypeAlias

from backends.errors import BackendError

Status: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``hint`` says what to do, empty when there is nothing to do."""

    status: Status
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A finding with the name of its check and the seconds that it took."""

    name: str
    finding: Finding
    seconds: float = 0.0


async def guarded(name: str, check: Awaitable[Finding], within_s: float) -> Check:
    """Wait for one check, turning whatever goes wrong in it into its finding."""
    began = perf_counter()
    try:
        async with asyncio.timeout(within_s):
            finding = await check
    except TimeoutError:
        finding = Finding(
            "fail", f"no answer within {within_s:g} s", "Run it again on an idle machine."
        )
    except BackendError as error:
        finding = Finding("fail", error.problem, error.hint)
    except Exception as error:  # noqa: BLE001 - one failing check must not hide the others
        finding = Finding("fail", f"{type(error).__name__}: {error}", "Please report this.")
    return Check(name, finding, perf_counter() - began)


def skipped(name: str, because: str) -> Check:
    """Return a check that could not be made."""
    return Check(name, Finding("warn", f"not checked: {because}"))
