"""What an answer must be - a schema, a grammar, one of some choices - in llguidance's own words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backends.errors import Refused
from backends.genai.weights import BACKEND
from backends.generation import GenerationRequest

MAX_CHARACTERS: Final = 100_000

# Where only one text is possible the runtime would take the tokens that this text has alone, which
# half a character has not: in the middle of "€" it takes a token that is not allowed, and stops.
_HEAD: Final = '%llguidance {"no_forcing": true}'

# As Python writes JSON. Were white space free, a model could write nothing else.
_WRITTEN: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}

_NAMED_PARTS: Final = frozenset({"properties", "$defs", "definitions"})
_PARTS: Final = frozenset({"items", "prefixItems", "anyOf", "oneOf"})
# Where several schemas hold for one object, each names only some of its fields.
_SHARED: Final = frozenset({"allOf", "not", "if", "dependentSchemas"})
_OPEN: Final = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})


@dataclass(frozen=True, slots=True)
class Guidance:
    """What holds an answer to its form.

    Attributes:
        grammar: In Lark's notation, as llguidance reads it.
        what: How to call it in a message.
    """

    grammar: str
    what: str


def guidance_for(request: GenerationRequest) -> Guidance | None:
    """Return what a request asks of the answer's form; None when it asks nothing.

    Raises:
        Refused: It asks for two forms at once, for one that is too long, or for a grammar in
            another notation than Lark's.
    """
    wanted = [request.schema is not None, bool(request.choices), request.grammar is not None]
    if sum(wanted) > 1:
        raise _refused("An answer can have one form: a schema, a grammar or choices.")
    guidance = None
    if request.schema is not None:
        guidance = Guidance(f"{_HEAD}\nstart: %json {_written(request.schema)}", "this schema")
    elif request.choices:
        said = " | ".join(_quoted(choice) for choice in request.choices)
        guidance = Guidance(f"{_HEAD}\nstart: {said}", "these choices")
    elif request.grammar is not None:
        if "::=" in request.grammar:
            raise _refused(
                "The in-process model reads grammars in Lark's notation only, not with ::=."
            )
        guidance = Guidance(_with_head(request.grammar), "this grammar")
    if guidance is not None and len(guidance.grammar) > MAX_CHARACTERS:
        raise _refused(f"The form of an answer may take {MAX_CHARACTERS} characters at most.")
    return guidance


def _with_head(grammar: str) -> str:
    # A grammar has this line once.
    return grammar if "%llguidance" in grammar else f"{_HEAD}\n{grammar}"


def _written(schema: Mapping[str, object]) -> str:
    closed = schema if _mentions(schema, _SHARED) else _closed(schema)
    assert isinstance(closed, Mapping)
    return json.dumps({**closed, "x-guidance": _WRITTEN})


def _closed(schema: object) -> object:
    """Return a schema whose objects have no other fields than those that it names.

    What satisfies it satisfies the schema. A field that nobody named could be anything, and after
    it could come another one, without end.
    """
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = dict(schema)
    for key in _NAMED_PARTS & schema.keys():
        named = schema[key]
        if isinstance(named, Mapping):
            closed[key] = {name: _closed(part) for name, part in named.items()}
    alternatives = {"anyOf", "oneOf", "$ref"} & schema.keys()
    if "properties" in schema and not (_OPEN & schema.keys() or alternatives):
        closed["additionalProperties"] = False
    for key in _PARTS & schema.keys():
        if "properties" not in schema or key not in alternatives:
            closed[key] = _closed(schema[key])
    return closed


def _mentions(schema: object, keys: frozenset[str]) -> bool:
    if isinstance(schema, list):
        return any(_mentions(part, keys) for part in schema)
    if not isinstance(schema, Mapping):
        return False
    return bool(keys & schema.keys()) or any(_mentions(part, keys) for part in schema.values())


def _quoted(choice: str) -> str:
    if not choice:
        raise _refused("An empty answer cannot be a choice.")
    # Lark's strings are JSON's, which leaves this one character as it is.
    return json.dumps(choice).replace("\x7f", "\\u007f")


def _refused(problem: str) -> Refused:
    hint = "Other forms need a model server (ROUTER_VLLM_URL)."
    return Refused(problem, backend=BACKEND, hint=hint, status=400)
