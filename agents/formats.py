"""Does an answer have the form that it must have?"""

from __future__ import annotations

import json
from collections.abc import Mapping

from agents.errors import BrokenFormat


def checked(text: str, schema: Mapping[str, object] | None) -> None:
    """Check that a structured answer is JSON at all.

    The model server holds the model to the schema while it writes; what can still go wrong is an
    answer cut short by its token limit.

    Raises:
        BrokenFormat: The answer is not JSON although a schema was asked for.
    """
    if schema is None:
        return
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenFormat(
            f"The model's answer is not the JSON that was asked for ({error.msg} at character "
            f"{error.pos}). It may have been cut short: raise max_tokens."
        ) from error
