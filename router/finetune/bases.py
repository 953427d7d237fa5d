"""Finds the folder of the base that an adapter is to be trained from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backends.errors import Misconfigured
from backends.finetune.lengths import context_of, control_tokens, open_counter
from backends.finetune.process import Event, fetch_base
from router.errors import InvalidRequest
from router.finetune.order import STARTER

if TYPE_CHECKING:
    from backends.finetune.lengths import CountTokens

_ON_HUB: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this machine.

    Attributes:
        name: What people and servers call it.
        hash: ``sha256:…`` of its files.
        context: Tokens that it reads.
        control: What its tokenizer reads as marks between turns.
    """

    folder: Path
    name: str
    hash: str
    context: int
    count_tokens: CountTokens
    control: tuple[str, ...] = ()


async def find_base(named: str, home: Path, told: Callable[[Event], None]) -> Base:
    """Return the base; only one of the hub is fetched, and only when it was named.

    Raises:
        InvalidRequest: Nothing has that name.
        BackendError: It cannot be fetched or read.
    """
    folder = _here(named, home)
    if folder is None and _ON_HUB.fullmatch(named):
        return read_base(await fetch_base(named, home / "finetune", told), named)
    if folder is None:
        raise InvalidRequest(
            f"There is no base {named!r}: neither a folder, nor a name of the hub (owner/name), "
            f"nor {STARTER!r}.",
            field="base",
        )
    return read_base(folder, named if named == STARTER else folder.name)


def read_base(folder: Path, name: str) -> Base:
    """Return what there is to know about the model in a folder.

    Raises:
        BackendError: It is no model that can be read.
    """
    from backends.manifest import model_hash

    counter, context = open_counter(folder), context_of(folder)
    return Base(folder, name, model_hash(folder), context, counter, control_tokens(folder))


def _here(named: str, home: Path) -> Path | None:
    if named == STARTER:
        from backends.starter.folder import starter_folder

        try:
            return starter_folder(home / "models")
        except FileNotFoundError as error:
            raise Misconfigured(
                f"The starter model is not whole: {error.filename} is missing.",
                backend="fine-tuning",
                hint="Install the package again, or name another base with --base.",
            ) from error
    return Path(named).resolve() if Path(named).is_dir() else None
