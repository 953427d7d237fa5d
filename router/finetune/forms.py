"""The form that answers must have, read from a file and asked of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agents.errors import BrokenFormat, UnusableSchema
from agents.formats import SchemaCheck
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
        InvalidRequest: The file cannot be read, or is no JSON schema that can be used.
    """
    if path is None:
        return Form(None, lambda answer: "")
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be read as a JSON schema: {error.strerror}.", field="schema"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is not JSON: {error}.", field="schema") from error
    if not isinstance(schema, dict) or not schema:
        raise InvalidRequest(f"{path}: a JSON schema is an object.", field="schema")
    try:
        check = SchemaCheck(schema)
    except UnusableSchema as error:
        raise InvalidRequest(f"{path}: {error}", field="schema") from error
    return Form(schema, partial(_broken, check))


def _broken(check: SchemaCheck, answer: str) -> str:
    try:
        bare = check.checked(answer)
    except BrokenFormat as error:
        problem = str(error).removeprefix("The model's answer is ")
        return problem.partition(" Check that")[0]
    return "" if bare == answer else "in a fence, and bare JSON is what the schema means"
