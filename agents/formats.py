"""Does an answer have the form that it must have?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agents.errors import BrokenFormat, UnusableSchema

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MAX_SHOWN: Final = 200
"""Characters of a complaint about an answer that are repeated."""

_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL | re.IGNORECASE)


def check_not_empty(text: str) -> None:
    """Check that a model said anything at all.

    Raises:
        BrokenFormat: It did not.
    """
    if not text.strip():
        raise BrokenFormat("The model answered nothing.")


class SchemaCheck:
    """Holds answers to a JSON schema, whatever the model server promises about them.

    Follows the draft that the schema names, else 2020-12 (https://json-schema.org). Nothing is
    fetched for it, and its patterns are matched in bounded time.

    Raises:
        UnusableSchema: It is no schema, or refers to one that lies elsewhere.
    """

    def __init__(self, schema: Mapping[str, object]) -> None:
        self._validator = _validator(schema)

    def checked(self, text: str) -> str:
        """Return the JSON of an answer, without the fence that some models put around it.

        Raises:
            BrokenFormat: It is not JSON, or not as the schema has it.
        """
        if fenced := _FENCED.fullmatch(text):
            text = fenced[1]
        try:
            value = json.loads(text, parse_constant=_no_json)
        except json.JSONDecodeError as error:
            raise BrokenFormat(
                f"The model's answer is not the JSON that was asked for ({error.msg} at character "
                f"{error.pos}). Check that the model server supports structured output."
            ) from error
        except (RecursionError, ValueError) as error:
            raise BrokenFormat(f"The model's answer is not JSON: {error}.") from error
        complaint = next(self._validator.iter_errors(value), None)
        if complaint is not None:
            where = "/".join(str(step) for step in complaint.instance_path) or "the whole answer"
            raise BrokenFormat(
                "The model's answer is JSON, but not as its schema says: at "
                f"{where[:MAX_SHOWN]}, {complaint.message[:MAX_SHOWN]}. Check that the model "
                "server supports structured output."
            )
        return text


def _validator(schema: Mapping[str, object]) -> Validator:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(
            dict(schema),
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000),
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        problem = str(error).partition("\n")[0][:MAX_SHOWN]
        raise UnusableSchema(f"The JSON schema cannot be used: {problem}.") from error


def _no_json(constant: str) -> object:
    raise ValueError(f"{constant} is none")
