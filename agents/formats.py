"""Does an answer have the form that it must have?"""

from __future__ import annotations

import json

from agents.errors import BrokenFormat


def check_not_empty(text: str) -> None:
    """Check that a model said anything at all.

    Raises:
        BrokenFormat: It did not.
    """
    if not text.strip():
        raise BrokenFormat("The model answered nothing.")


def check_json(text: str) -> None:
    """Check that a structured answer is JSON at all.

    The model server holds the model to the schema while it writes; this catches a server that
    does not.

    Raises:
        BrokenFormat: The answer is not JSON although a schema was asked for.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenFormat(
            f"The model's answer is not the JSON that was asked for ({error.msg} at character "
            f"{error.pos}). Check that the model server supports structured output."
        ) from error
