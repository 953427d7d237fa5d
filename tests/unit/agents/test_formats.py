"""Answers under a JSON schema."""

from __future__ import annotations

import pytest

from agents.errors import BrokenFormat, UnusableSchema
from agents.formats import SchemaCheck, check_not_empty

COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["beige", "pink"]}, "code": {"pattern": "^(a|a)+$"}},
    "required": ["colour"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("text", ['{"colour": "beige"}', ' {"colour":"pink","code":"aa"}\n'])
def test_an_answer_that_satisfies_its_schema_comes_back(text: str) -> None:
    assert SchemaCheck(COLOUR).checked(text) == text


def test_a_fence_around_json_is_taken_off() -> None:
    assert SchemaCheck(COLOUR).checked('```json\n{"colour": "beige"}\n```') == '{"colour": "beige"}'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("It is beige.", "Expecting value at character 0"),
        ('{"colour": "beige"', "Expecting ',' delimiter"),
        ('{"colour": "champagne"}', "at colour,"),
        ('{"colour": "pink", "size": 1}', "size"),
        ("[]", "at the whole answer,"),
        ('{"colour": NaN}', "NaN is none"),
        ("[" * 100_000, "not JSON"),
        ('{"colour": "pink", "code": "' + "a" * 60 + 'b"}', "does not match"),
    ],
)
def test_any_other_answer_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(BrokenFormat, match=complaint):
        SchemaCheck(COLOUR).checked(text)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#/nowhere"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_is_none_or_lies_elsewhere_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(UnusableSchema):
        SchemaCheck(schema)


def test_nothing_but_white_space_is_no_answer() -> None:
    with pytest.raises(BrokenFormat, match="nothing"):
        check_not_empty(" \n")
