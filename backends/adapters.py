"""Adapters: named, versioned LoRAs; the registry that keeps them, the host that serves them.

A version never changes. Promoting one makes it live and retires the one before it; whoever asks by
name gets the live one, and whoever asks for ``name@version`` exactly that one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

from backends.generation import Sampling

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""What an adapter may be called; also a label of a DNS name, so that it fits anywhere."""

Prompting: TypeAlias = Literal["instructed", "bare"]
"""How passages come to a model: with the rules for using them, as large models need them, or bare
and numbered behind the wish, as a small model has learnt them. Such a model that has a system
prompt has learnt to follow no other, so that a caller's does not come to it."""


class AdapterState(StrEnum):
    """Where a version stands in its life."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """Everything about an adapter but its version.

    Attributes:
        name: As `NAME` says.
        base: The base model's name, as its server lists it or as it was trained from.
        base_hash: ``sha256:…`` of the base's files (`backends.manifest.model_hash`); empty where
            only the name is known.
        folder: Where PEFT's files lie, as the router and its model servers both see it.
        weights_hash: ``sha256:…`` of ``adapter_model.safetensors``.
        rank: Of the LoRA, 1 or more.
        description: One sentence on what it is for.
        examples: Questions that it should answer; what chooses it where nobody names it.
        system_prompt: Goes in front of the conversation, as in its training; may be empty.
        sampling: Its defaults; what a caller says goes before them.
        schema: JSON schema that its answers satisfy.
        grammar: Grammar (EBNF, as vLLM takes it) that they satisfy instead.
        slots: Numbers, dates and names are held out of its sight and put back into what it says.
        prompting: How passages come to it.
        evidence_characters: So much of the passages it can read.
        report: What was measured of it (`router eval behaviour`, the gate of `router finetune`).
    """

    name: str
    base: str
    folder: Path
    weights_hash: str
    rank: int
    base_hash: str = ""
    description: str = ""
    examples: tuple[str, ...] = ()
    system_prompt: str = ""
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    grammar: str | None = None
    slots: bool = False
    prompting: Prompting = "instructed"
    evidence_characters: int = 12_000
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """One version of an adapter, as the registry keeps it."""

    spec: AdapterSpec
    version: int
    state: AdapterState
    created_at: datetime

    @property
    def served_as(self) -> str:
        """Its name on model servers, which no other version has."""
        return f"{self.spec.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """Which adapter answers, and why.

    Attributes:
        name: Of the adapter, or of a model that no registry knows.
        version: None where no registry knows it.
        chosen_by: The caller named it, it is the nearest by its examples, or it is the default.
        similarity: Probability, 0..1, that the nearest adapter's examples are the question's kind;
            None where nothing was compared.
        margin: Distance in probability to the boundary beyond which another would have answered.
    """

    name: str
    version: int | None
    chosen_by: Literal["caller", "examples", "default"]
    similarity: float | None = None
    margin: float | None = None


class AdapterRegistry(Protocol):
    """Keeps adapters. Versions count from 1 within a name."""

    async def add(self, spec: AdapterSpec) -> Adapter:
        """Keep a new version as a candidate; the same again gives the version that there is.

        Raises:
            Refused: The name is not one.
            Unavailable: The registry cannot be reached in time; nothing was kept.
        """
        ...

    async def find(self, name: str, version: int | None = None) -> Adapter | None:
        """Return a version; without one the live version, else the newest; None when unknown."""
        ...

    async def adapters(self, *, state: AdapterState | None = None) -> Sequence[Adapter]:
        """Return every version, or those in one state, by name, the newest first."""
        ...

    async def promote(self, name: str, version: int) -> Adapter | None:
        """Make a version live in one step; return the one that was, which is retired by it.

        A retired version may be promoted again: that is how one goes back.

        Raises:
            Refused: There is no such version.
        """
        ...

    async def retire(self, name: str, version: int) -> Adapter:
        """Take a version out of service; return it.

        Raises:
            Refused: There is no such version.
        """
        ...

    async def record(self, name: str, version: int, report: Mapping[str, Any]) -> Adapter:
        """Put down what was measured of a version, in place of what was known; return it.

        Raises:
            Refused: There is no such version.
        """
        ...


class AdapterHost(Protocol):
    """Serves adapters beside their base model, at one place or at several equal ones."""

    async def bases(self) -> Sequence[str]:
        """Return the names of the base models that every place serves.

        Raises:
            Unavailable: No place answers.
        """
        ...

    async def load(self, adapter: Adapter) -> None:
        """Make every place serve it as ``adapter.served_as``; nothing to do where one does.

        Where one place cannot, those that just have loaded it unload it again.

        Raises:
            Refused: Its base is another one, its rank is above what a place takes, its files are
                damaged, or a place loads nothing at run time; the hint says which flag to set.
            Unavailable: A place cannot be reached in time.
        """
        ...

    async def unload(self, served_as: str) -> None:
        """Make no place serve it any more; answers in flight end with it. Unknown ones are fine.

        Raises:
            Unavailable: A place cannot be reached in time; the others have unloaded it.
        """
        ...

    async def loaded(self) -> Mapping[str, frozenset[str] | None]:
        """Return for each place which adapters it serves; None for one that does not answer."""
        ...
