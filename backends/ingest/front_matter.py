"""YAML front matter of a Markdown file: title, who may see it, and plain facts.

It decides who sees a document, so anything doubtful (unclosed, a key twice, merge keys) refuses the
file instead of guessing: a guess could publish it more widely than its author wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.errors import UnreadableDocument
from backends.ingest.claims import (
    MAX_CHARACTERS,
    claims_access,
    looks_like_acl,
    refuse_overlooked,
)
from backends.ingest.document import one_line
from backends.principals import InvalidPrincipal, Principals, parse_principals

if TYPE_CHECKING:
    import yaml


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stood between the ``---`` lines; ``acl`` is None where the file does not say."""

    title: str = ""
    acl: Principals | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def split_front_matter(source: str, text: str) -> tuple[FrontMatter, str]:
    """Split a Markdown text (``\\n`` newlines) into its front matter and its body.

    Keys are case-insensitive. ``title`` and ``acl`` (a list or a comma-separated string; empty
    means nobody) are meant for us, every other scalar becomes metadata, nested values are left out.

    Raises:
        UnreadableDocument: The front matter is not closed, is not a YAML mapping, repeats a key,
            names principals that are none, or what is read as the body begins with an access list.
    """
    front, body = _split(source, text)
    refuse_overlooked(source, body)
    return front, body


def split_access(source: str, text: str) -> tuple[FrontMatter, str]:
    """Split as above where front matter is not customary: it counts if it has an access list.

    Raises:
        UnreadableDocument: There seems to be an access list, but it cannot be trusted.
    """
    try:
        front, body = split_front_matter(source, text)
    except UnreadableDocument:
        if claims_access(text):
            raise
        return FrontMatter(), text
    return (FrontMatter(), text) if front.acl is None else (front, body)


def access_list(source: str, names: Iterable[str], where: str) -> Principals:
    """Return the principals of an access list that a file states.

    Raises:
        UnreadableDocument: One of them is none; the error names ``where`` the list stands.
    """
    try:
        return parse_principals(names)
    except InvalidPrincipal as error:
        raise UnreadableDocument(
            source,
            f"its access list {where} is invalid: {error}",
            hint="Correct the list; until then nothing of this version is published.",
        ) from error


# Blank lines above are forgiven: to overlook the front matter would overlook its access list.
_OPENING = re.compile(r"\s*^[ \t]*---[ \t]*\n", re.MULTILINE)


def _split(source: str, text: str) -> tuple[FrontMatter, str]:
    opening = _OPENING.match(text)
    if opening is None:
        return FrontMatter(), text
    end, body_start = _closing_line(source, text, opening.end())
    # Everything above keeps its lines, so that the line numbers of errors are the file's.
    block = "\n" * text.count("\n", 0, opening.end()) + text[opening.end() : end]
    return _read(source, _entries(source, block)), text[body_start:].lstrip("\n")


def _closing_line(source: str, text: str, position: int) -> tuple[int, int]:
    """Return where the closing line starts and where the line after it starts."""
    while position < min(len(text), MAX_CHARACTERS):
        newline = text.find("\n", position)
        end = len(text) if newline < 0 else newline
        if text[position:end].rstrip() in {"---", "..."}:
            return position, min(end + 1, len(text))
        position = end + 1
    raise UnreadableDocument(
        source,
        "the front matter that its first line opens is never closed",
        hint="Close it with a line of three dashes, or remove the three dashes on that line.",
    )


def _entries(source: str, block: str) -> dict[str, tuple[int, yaml.Node]]:
    import yaml

    try:
        # BaseLoader builds nothing: nodes keep the text as written, so 1.10 stays "1.10".
        loader = yaml.BaseLoader(block)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What is missing at the very end is missing on the last line, not on the one after it.
        line = min(mark.line if mark else 0, max(0, block.count("\n") - 1)) + 1
        raise _malformed(source, line, error.problem or "not YAML") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _malformed(source, 1, "not YAML") from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise _malformed(
            source, root.start_mark.line + 1, "expected lines such as 'title: Returns'"
        )
    entries: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        name = one_line(key.value).lower() if isinstance(key, yaml.ScalarNode) else ""
        if not name or name == "<<":
            raise _malformed(source, line, "keys must be plain words")
        if name != "acl" and looks_like_acl(name):
            raise _malformed(source, line, "a key looks like 'acl' but holds other characters")
        if name in entries:
            raise _malformed(source, line, f"the key {name!r} stands there twice")
        entries[name] = (line, value)
    return entries


def _refuse_nested_access(source: str, entries: dict[str, tuple[int, yaml.Node]]) -> None:
    import yaml

    for name, (line, value) in entries.items():
        if isinstance(value, yaml.MappingNode) and any(
            looks_like_acl(str(key.value)) for key, _ in value.value
        ):
            raise _malformed(source, line, f"'acl' stands within {name!r} instead of by itself")


def _read(source: str, entries: dict[str, tuple[int, yaml.Node]]) -> FrontMatter:
    import yaml

    _refuse_nested_access(source, entries)
    acl = _acl(source, *entries["acl"]) if "acl" in entries else None
    scalars = {
        name: one_line(value.value)
        for name, (_, value) in entries.items()
        if isinstance(value, yaml.ScalarNode)
    }
    return FrontMatter(
        title=scalars.get("title", ""),
        acl=acl,
        metadata={name: text for name, text in scalars.items() if name not in {"title", "acl"}},
    )


def _acl(source: str, line: int, value: yaml.Node) -> Principals:
    import yaml

    names: list[str]
    if isinstance(value, yaml.ScalarNode):
        names = str(value.value).split(",")
    elif isinstance(value, yaml.SequenceNode) and all(
        isinstance(item, yaml.ScalarNode) for item in value.value
    ):
        names = [str(item.value) for item in value.value]
    else:
        raise _malformed(source, line, "'acl' must be a list of principals")
    return access_list(source, names, f"on line {line}")


def _malformed(source: str, line: int, problem: str) -> UnreadableDocument:
    return UnreadableDocument(
        source,
        f"its front matter is malformed on line {line}: {problem}",
        hint="Correct the YAML between the two lines of three dashes.",
    )
