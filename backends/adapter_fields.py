"""What an adapter's record may say, field by field, and the record as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from backends.adapters import NAME, AdapterSpec
from backends.errors import Refused
from backends.generation import Sampling
from backends.lora import MAX_JSON_DEPTH, MAX_RANK, depth, refused

MAX_EXAMPLES: Final = 200
MAX_EXAMPLE: Final = 2_000
"""Characters of one example question."""
MAX_DESCRIPTION: Final = 1_000
MAX_SYSTEM_PROMPT: Final = 20_000
MAX_SCHEMA: Final = 64_000
"""Characters of the JSON schema, or of the grammar."""
MAX_REPORT: Final = 400_000
MAX_STOPS: Final = 4


def spec_json(spec: AdapterSpec) -> dict[str, Any]:
    """Return everything but the folder, as a manifest has it; what is empty is left out."""
    values = {
        field.name: getattr(spec, field.name) for field in fields(spec) if field.name != "folder"
    }
    sampling = {
        key: list(value) if key == "stop" else value
        for key, value in asdict(spec.sampling).items()
        if value not in (None, ())
    }
    values |= {"examples": list(spec.examples), "sampling": sampling or None}
    return {key: value for key, value in values.items() if value not in (None, [], "")}


def spec_from_json(
    said: Mapping[str, Any], folder: Path, *, where: str = "The adapter"
) -> AdapterSpec:
    """Return what a manifest says.

    Args:
        said: As `spec_json` returns it.
        folder: Where the adapter lies.
        where: What to call the text in complaints.

    Raises:
        Refused: A key is unknown or has an unusable value; names them all.
    """
    problems = [f"{key}: unknown key" for key in said if key not in _READERS]
    read: dict[str, Any] = {}
    for key, value in said.items():
        try:
            if key in _READERS:
                read[key] = _READERS[key](value)
        except (TypeError, ValueError) as error:
            problems.append(f"{key}: {error}")
    problems += [f"{key}: is missing" for key in ("name", "base") if not said.get(key)]
    if problems:
        raise _wrong(where, problems)
    spec = AdapterSpec(folder=folder, **read)
    check_spec(spec, where=where)
    return spec


def check_spec(spec: AdapterSpec, *, where: str = "The adapter") -> None:
    """Check that every field has a value that the registry keeps and a server understands.

    Raises:
        Refused: Some have not; names them all.
    """
    data = spec_json(spec)
    problems = []
    for key, reader in _READERS.items():
        try:
            if key in data:
                reader(data[key])
        except (TypeError, ValueError) as error:
            problems.append(f"{key}: {error}")
    problems += [
        f"{key}: is missing" for key in ("name", "base", "weights_hash") if key not in data
    ]
    if spec.schema is not None and spec.grammar is not None:
        problems.append("grammar: there is a schema already; say one of the two")
    if problems:
        raise _wrong(where, problems)


def check_report(report: Mapping[str, Any]) -> None:
    """Check that a report is one that the registry keeps.

    Raises:
        Refused: It is too large, too deep, or not JSON.
    """
    try:
        _READERS["report"](report)
    except (TypeError, ValueError) as error:
        raise refused(f"The report cannot be kept: {error}.", "Keep figures only.") from error


def is_name(text: str) -> bool:
    """Whether an adapter may be called that."""
    return NAME.fullmatch(text) is not None


def unknown_version(name: str, version: int) -> Refused:
    """Return what to raise about a version that there is not."""
    return Refused(
        f"There is no adapter {name[:80]}@{version}.",
        backend="adapters",
        hint="List what there is with: router adapters list",
        status=404,
    )


def _wrong(where: str, problems: list[str]) -> Refused:
    shown = "; ".join(problems[:10])
    return refused(f"{where} cannot be used: {shown}.", "Correct it and add the adapter again.")


_Reader = Callable[[Any], Any]


def _text(most: int) -> _Reader:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a text, got {_short(value)}")
        if len(value) > most:
            raise ValueError(f"has {len(value)} characters, at most {most} are kept")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("holds a character that is none")
        return value

    return read


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(
            f"{_short(value)} is no name; use up to 63 lower-case letters, digits and hyphens, "
            "a letter first"
        )
    return value


def _hash(value: object) -> str:
    text: str = _text(71)(value)
    if text and not (text.startswith("sha256:") and len(text) == 71):
        raise ValueError(f"expected sha256:…, got {_short(value)}")
    return text


def _whole(low: int, high: int) -> _Reader:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, got {_short(value)}")
        return value

    return read


def _number(low: float, high: float) -> _Reader:
    def read(value: object) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not low <= value <= high:  # type: ignore[operator]
            raise ValueError(f"expected a number from {low:g} to {high:g}, got {_short(value)}")
        return value  # type: ignore[return-value]

    return read


def _texts(most: int, each_most: int, *, blank: bool = False) -> _Reader:
    each = _text(each_most)

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError(f"expected at most {most} texts, got {_short(value)}")
        if any(not (each(item) if blank else each(item).strip()) for item in value):
            raise ValueError("one of them is empty")
        return tuple(value)

    return read


def _object(most: int) -> _Reader:
    def read(value: object) -> Mapping[str, Any] | None:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, got {_short(value)}")
        if depth(value) > MAX_JSON_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_JSON_DEPTH}")
        try:
            written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"is not JSON: {error}") from error
        if len(written) > most:
            raise ValueError(f"has {len(written)} characters, at most {most} are kept")
        # PostgreSQL's jsonb keeps no NUL, however it is written.
        _text(most)(written.replace("\\u0000", "\0"))
        return value

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {_short(value)}")
    return value


def _prompting(value: object) -> str:
    if value not in ("instructed", "bare"):
        raise ValueError(f'expected "instructed" or "bare", got {_short(value)}')
    return str(value)


def _optional(reader: _Reader) -> _Reader:
    return lambda value: None if value is None else reader(value)


def _sampling(value: object) -> Sampling:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, got {_short(value)}")
    read = {}
    for key, given in value.items():
        if key not in _SAMPLING:
            raise ValueError(f"{key}: unknown key")
        try:
            read[key] = _SAMPLING[key](given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key}: {error}") from error
    return Sampling(**read)


_SAMPLING: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        "max_tokens": _optional(_whole(1, 1_000_000)),
        "temperature": _optional(_number(0, 2)),
        "top_p": _optional(_number(0, 1)),
        "seed": _optional(_whole(-(2**63), 2**63 - 1)),
        "stop": _texts(MAX_STOPS, 200, blank=True),
    }
)

_READERS: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        "name": _name,
        "base": _text(1_000),
        "base_hash": _hash,
        "weights_hash": _hash,
        "rank": _whole(1, MAX_RANK),
        "description": _text(MAX_DESCRIPTION),
        "examples": _texts(MAX_EXAMPLES, MAX_EXAMPLE),
        "system_prompt": _text(MAX_SYSTEM_PROMPT),
        "sampling": _sampling,
        "schema": _optional(_object(MAX_SCHEMA)),
        "grammar": _optional(_text(MAX_SCHEMA)),
        "slots": _flag,
        "prompting": _prompting,
        "evidence_characters": _whole(1, 1_000_000),
        "report": _optional(_object(MAX_REPORT)),
    }
)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
