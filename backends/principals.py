"""Who asks, and who may see: ``user:…``, ``group:…`` and ``everyone``.

An access control list is a set of principals, and so is an asker. A document is visible when the
two sets meet. An empty set meets nothing: a document without principals is visible to nobody, and
an asker without principals sees nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NewType, TypeAlias

Principal = NewType("Principal", str)
Principals: TypeAlias = frozenset[Principal]

EVERYONE = Principal("everyone")
NOBODY: Principals = frozenset()

MAX_PRINCIPALS = 2_000
"""More than any directory puts one person into; a longer list is a mistake or an attack."""

_TYPED = re.compile(r"(?:user|group):[^\s,:][^\s,]{0,199}")


class InvalidPrincipal(ValueError):
    """A principal that is neither ``user:NAME``, ``group:NAME`` nor ``everyone``."""


def parse_principals(value: str | Iterable[str] | None) -> Principals:
    """Read principals as they are written: ``"user:ana,group:hr"`` or a list of such names.

    Args:
        value: A comma-separated string, an iterable of single principals, or None for nobody.

    Returns:
        The principals, without additions.

    Raises:
        InvalidPrincipal: A name without a known type, or more than ``MAX_PRINCIPALS`` of them.
    """
    if value is None:
        return NOBODY
    names = value.split(",") if isinstance(value, str) else list(value)
    for name in names:
        if not isinstance(name, str):
            raise InvalidPrincipal(f"{name!r} is not a principal; write it as a string")
    stripped = [name.strip() for name in names]
    if len(stripped) > MAX_PRINCIPALS:
        raise InvalidPrincipal(f"{len(stripped)} principals; at most {MAX_PRINCIPALS} are allowed")
    return frozenset(_checked(name) for name in stripped if name)


def asker(value: str | Iterable[str] | None) -> Principals:
    """The principals of somebody who asks: as given, and ``everyone``, of which each asker is one.

    Nobody stays nobody: without a principal there is no asker, and nothing is visible.

    Raises:
        InvalidPrincipal: As ``parse_principals``.
    """
    given = parse_principals(value)
    return given | {EVERYONE} if given else NOBODY


def _checked(name: str) -> Principal:
    if name != EVERYONE and not _TYPED.fullmatch(name):
        raise InvalidPrincipal(
            f"{name[:80]!r} is not a principal; write user:NAME, group:NAME or everyone"
        )
    return Principal(name)
