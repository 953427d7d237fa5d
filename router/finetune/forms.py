"""The form that answers must have, read from a file and asked of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Form:
    """What answers must satisfy; without a schema anything that is not empty.

    Attributes:
        fits: Says in a few words how an answer breaks the form, else "".
    """

    schema: Mapping[str, Any] | None
    fits: Callable[[str], str]


def read_form(path: Path | None) -> Form:
    """Read a JSON schema.

    Raises:
        InvalidRequest: The file cannot be read, or is no JSON schema of an object.
    """
    if path is None:
        return Form(None, lambda answer: "")
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"{path} cannot be read as a JSON schema ({type(error).__name__}).", field="schema"
        ) from error
    if not isinstance(schema, dict) or not schema:
        raise InvalidRequest(f"{path}: a JSON schema is an object.", field="schema")
    return Form(schema, lambda answer: broken(answer, schema))


def broken(answer: str, schema: Mapping[str, Any]) -> str:
    """Say how an answer breaks a schema, else ""."""
    from agents.errors import BrokenFormat
    from agents.formats import SchemaCheck

    try:
        SchemaCheck(schema).checked(answer)
    except BrokenFormat as error:
        return str(error)
    return ""
