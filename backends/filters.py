"""Conditions on the metadata of documents: what a caller adds to a search to narrow it.

Conditions are data, never SQL: every store evaluates them beneath its access control, so that they
can take documents away and never add one. Metadata is text; the type of a condition's value says
how the text is read. A number compares with metadata that is written as a number, a text with the
text itself (ISO dates thus by date). A document without the field satisfies no condition on it, not
even ``!=``.
"""

from __future__ import annotations

import operator as compare
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, cast, get_args

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "in"]
Value: TypeAlias = str | float
Conditions: TypeAlias = "tuple[Condition, ...]"

MAX_CONDITIONS: Final = 20
MAX_VALUES: Final = 100
MAX_LENGTH: Final = 500
"""Characters of a field or a text value."""

MAX_NUMBER: Final = 1e40
"""Metadata holds no larger ones, see `NUMBER`; JSON may, beyond what a float can."""

INTERNAL: Final = frozenset({"origin", "ingested_for"})
"""Metadata that the ingestion keeps for itself; no condition reaches it."""

NUMBER: Final = r"[+-]?[0-9]{1,40}([.][0-9]{1,40})?"
"""How metadata is written that counts as a number; the same in SQL."""


class InvalidCondition(ValueError):
    """A condition that cannot be read; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a document's metadata must satisfy.

    Attributes:
        field: Name of the metadata field, case-sensitive as stored (front matter is lower-case).
        operator: How the field compares with the values.
        values: One value; one or more for ``in``. All of one type.
    """

    field: str
    operator: Operator
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check(self)


def parse_condition(text: str) -> Condition:
    """Read a condition as people write it: ``country=DE``, ``price<=19.90``, ``tag in a,b``.

    A value that looks like a number is one, unless it stands in double quotes: ``zip="01067"``. So
    does a text that begins with ``=``, ``<`` or ``>``, which else is a slip (``country==DE``).

    Raises:
        InvalidCondition: It cannot be read.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None or written["value"].lstrip().startswith(("=", "<", ">")):
        raise InvalidCondition(
            f"{text[:80]!r} is no condition; write FIELD=VALUE, FIELD!=VALUE, FIELD<VALUE, "
            "FIELD<=VALUE, FIELD>VALUE, FIELD>=VALUE or FIELD in VALUE,VALUE"
        )
    how = cast("Operator", written["operator"].strip().lower())
    parts = written["value"].split(",") if how == "in" else [written["value"]]
    return Condition(written["field"].strip(), how, tuple(_value(part.strip()) for part in parts))


def parse_conditions(
    given: Mapping[str, object] | Iterable[str | Condition] | str | None,
) -> Conditions:
    """Read conditions in any form that a caller may have them in; all of them must hold.

    Args:
        given: Texts as `parse_condition` reads them, or `Condition`; or a mapping from field to a
            value (``{"country": "DE"}``), to a list of values (any of them), or to operators
            (``{"price": {">=": 10, "<": 20}}``). None is no condition.

    Raises:
        InvalidCondition: One of them cannot be read, or there are more than `MAX_CONDITIONS`.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        read = [each for field, wanted in given.items() for each in _mapped(field, wanted)]
    else:
        read = [one if isinstance(one, Condition) else parse_condition(_text(one)) for one in given]
    if len(read) > MAX_CONDITIONS:
        raise InvalidCondition(f"{len(read)} conditions; at most {MAX_CONDITIONS} are allowed")
    return tuple(read)


def holds(conditions: Sequence[Condition], metadata: Mapping[str, str]) -> bool:
    """Whether metadata satisfies every condition; as the function of that name in the database."""
    return all(_one_holds(condition, metadata) for condition in conditions)


_WRITTEN = re.compile(
    r"(?P<field>[^=!<>\"]{1,500}?)(?P<operator>!=|<=|>=|=|<|>|\s+in\s+)(?P<value>.*)",
    re.DOTALL | re.IGNORECASE,
)
_Compare: TypeAlias = Callable[[Any, Any], bool]
_COMPARED: Final[Mapping[str, _Compare]] = {
    "=": compare.eq,
    "!=": compare.ne,
    "<": compare.lt,
    "<=": compare.le,
    ">": compare.gt,
    ">=": compare.ge,
}


def _check(condition: Condition) -> None:
    field, values = condition.field, condition.values
    if not field.strip() or len(field) > MAX_LENGTH or _broken(field) or field in INTERNAL:
        raise InvalidCondition(f"{field[:80]!r} is no field that can be asked for")
    if condition.operator not in get_args(Operator):
        known = ", ".join(get_args(Operator))
        raise InvalidCondition(
            f"{str(condition.operator)[:20]!r} of {field[:80]!r} is no operator; use {known}"
        )
    if not values or (condition.operator != "in" and len(values) > 1):
        raise InvalidCondition(f"{field[:80]!r} {condition.operator} needs a value")
    if len(values) > MAX_VALUES:
        raise InvalidCondition(f"{field[:80]!r} has {len(values)} values; at most {MAX_VALUES}")
    for value in values:
        _check_value(field, value)
    if len({isinstance(value, str) for value in values}) > 1:
        raise InvalidCondition(f"the values of {field[:80]!r} are not of one type")


def _check_value(field: str, value: Value) -> None:
    if isinstance(value, str):
        if len(value) > MAX_LENGTH or _broken(value):
            raise InvalidCondition(
                f"a value of {field[:80]!r} is longer than {MAX_LENGTH} characters or holds NUL or "
                "broken Unicode"
            )
    elif not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise InvalidCondition(f"a value of {field[:80]!r} is not a finite number, or too large")


def _broken(text: str) -> bool:
    """Whether no database could hold it: a NUL character, half of a surrogate pair."""
    return "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _value(text: str) -> Value:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if not re.fullmatch(NUMBER, text):
        return text
    # Order numbers are longer than a float is exact.
    return float(text) if "." in text else int(text)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidCondition(f"{str(given)[:80]!r} is no condition; write it as a text")
    return given


def _mapped(field: object, wanted: object) -> list[Condition]:
    name = _text(field)
    if isinstance(wanted, Mapping):
        if not wanted:
            # As no condition at all it would search more than was meant.
            raise InvalidCondition(f"{name[:80]!r} needs an operator and a value")
        return [
            Condition(name, cast("Operator", str(how)), _values(name, value))
            for how, value in wanted.items()
        ]
    how: Operator = "in" if isinstance(wanted, list | tuple) else "="
    return [Condition(name, how, _values(name, wanted))]


def _values(field: str, wanted: object) -> tuple[Value, ...]:
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    return tuple(_typed(field, value) for value in values)


def _typed(field: str, value: object) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return value
    raise InvalidCondition(f"a value of {field[:80]!r} is neither a text nor a number")


def _one_holds(condition: Condition, metadata: Mapping[str, str]) -> bool:
    stored = metadata.get(condition.field)
    if stored is None:
        return False
    compared: _Compare = _COMPARED.get(condition.operator, compare.eq)
    if isinstance(condition.values[0], str):
        # Code points order as their UTF-8 bytes do, which is the database's "C" collation.
        return any(compared(stored, value) for value in condition.values)
    if not re.fullmatch(NUMBER, stored):
        return False
    return any(compared(Decimal(stored), Decimal(str(value))) for value in condition.values)
