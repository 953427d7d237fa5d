"""Turns one row of a SQL query into a document; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Final

from backends.errors import UnreadableDocument
from backends.ingest.document import ReadDocument, one_line, unix_newlines
from backends.ingest.files import unfit_name
from backends.ingest.source import mark_of
from backends.principals import InvalidPrincipal, Principals, parse_principals

KEY: Final = "id"
RIGHTS: Final = ("acl", "owner")
TITLE: Final = "title"
BODIES: Final = ("body", "text")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as a document: its name within the query's, and what is stored of it.

    Attributes:
        acl: Who may see it, in order; empty means nobody.
    """

    key: str
    title: str
    body: str
    acl: tuple[str, ...]
    metadata: Mapping[str, str]

    def to_json(self) -> str:
        """Return the row on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Row:
        """Return the row that `to_json` wrote."""
        fields = json.loads(line)
        return cls(**(fields | {"acl": tuple(fields["acl"])}))

    def mark(self) -> bytes:
        """Return a hash of all of it."""
        return mark_of(json.dumps(asdict(self), sort_keys=True).encode())

    def document(self) -> ReadDocument:
        """Return what the reader of a file would: nothing in the text says who may see it."""
        return ReadDocument(
            body=self.body,
            title=self.title,
            media_type="text/plain",
            acl=parse_principals(self.acl),
            metadata=self.metadata,
        )


def missing_columns(columns: Iterable[str]) -> str:
    """Return what is wrong with the columns of a query; empty when nothing is."""
    names = list(columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"its query returns the column {twice[0]!r} twice"
    if KEY not in names:
        return f"its query returns no column {KEY!r}"
    rights = [name for name in RIGHTS if name in names]
    if not rights:
        return "its query does not say who may see a row: there is no column 'acl' or 'owner'"
    return "" if len(rights) == 1 else "its query has both a column 'acl' and a column 'owner'"


def read_row(name: str, number: int, row: Mapping[str, object]) -> Row:
    """Return the document that a row is.

    ``id`` names it. ``acl`` (an array, or text with commas) or ``owner`` (``ana`` for ``user:ana``)
    says who may see it, nobody when empty. ``title`` and ``body`` or ``text`` are what they say;
    every other column becomes metadata, and without a body part of a sentence that can be read.

    Args:
        name: What the rows are called, such as ``orders``.
        number: Of the row, from 1, for when it has no id.
        row: Values by column, checked by `missing_columns`.

    Raises:
        UnreadableDocument: It has no id, or its access list is invalid; the error names the row.
    """
    key = _shown(row[KEY])
    source = f"{name}/{key}"
    if not key.strip():
        raise UnreadableDocument(f"{name}, row {number}", "has no id", hint="Give each row one.")
    if reason := unfit_name(source):
        raise UnreadableDocument(ascii(source[:200]), reason, hint="Choose another id.")
    acl = tuple(sorted(_readers(source, row)))
    rest = {
        column: value
        for column, value in row.items()
        if column not in {KEY, TITLE, *RIGHTS, *BODIES} and value is not None
    }
    own = _called(name, key)
    title = one_line(_shown(row.get(TITLE))) or own
    body = next((_shown(row[each]) for each in BODIES if row.get(each) is not None), "")
    return Row(
        key=key,
        title=title,
        body=unix_newlines(body) if body.strip() else _told(title, own, rest),
        acl=acl,
        metadata={column: _stored(value) for column, value in rest.items()},
    )


def _readers(source: str, row: Mapping[str, object]) -> Principals:
    column = next(each for each in RIGHTS if each in row)
    value = row[column]
    try:
        if column == "owner":
            return _owner(_shown(value).strip())
        return parse_principals(value if isinstance(value, list | str) else _shown(value))
    except InvalidPrincipal as error:
        raise UnreadableDocument(
            source,
            f"its {column} is invalid: {error}",
            hint="Correct the row; until then what is known of it stays as it is.",
        ) from error


def _owner(name: str) -> Principals:
    if name.startswith(("user:", "group:")):
        raise InvalidPrincipal(f"{name[:80]!r} is a principal already; call the column 'acl'")
    return parse_principals([f"user:{name}"] if name else [])


def _called(name: str, key: str) -> str:
    """``orders`` and ``4711``: "Order 4711"."""
    words = _words(PurePosixPath(name).name)
    for ending, instead in _PLURALS:
        if words.endswith(ending):
            words = words.removesuffix(ending) + instead
            break
    return one_line(f"{words[:1].upper()}{words[1:]} {key}")


_PLURALS: Final = (
    ("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"),
    ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""),
)  # fmt: skip
"""English endings, longest first; what is wrong only reads a little oddly."""


def _told(title: str, own: str, rest: Mapping[str, object]) -> str:
    """``Order 4711: status shipped; expected delivery 2026-11-24.``

    One sentence, so that who quotes one has all that belongs together; long texts come after it.
    """
    name = title if own.casefold() in title.casefold() else f"{title}, {own}"
    short: list[str] = []
    long: list[str] = []
    for column, value in rest.items():
        words, text = _words(column), unix_newlines(_shown(value)).strip()
        if len(text) > _SHORT or _SEVERAL.search(text):
            long.append(f"{words[:1].upper()}{words[1:]}: {text}")
        elif text:
            short.append(f"{words} {text}")
    said = f"{name}: {'; '.join(short)}" if short else name
    ended = said if said.endswith((".", "!", "?")) else f"{said}."
    return "\n\n".join([ended, *long])


_SHORT: Final = 80
"""Characters; a longer value is a text of its own."""

_SEVERAL: Final = re.compile(r"\n|[.!?;]\s")


def _words(name: str) -> str:
    return " ".join(re.sub(r"[-_]+", " ", name).split())


def _shown(value: object) -> str:
    """The value as people write it; what is no text at all, such as bytes, is left out."""
    match value:
        case None | bytes() | memoryview():
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat(" ", "minutes")
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(_shown(each) for each in value)
        case dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def _stored(value: object) -> str:
    """The value as conditions compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else _shown(value)
