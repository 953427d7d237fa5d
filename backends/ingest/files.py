"""Finds the files to ingest and gives each its source name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.errors import UnreadableDocument
from backends.ingest.source import Empty, Unwalked, origin_of

MAX_SOURCE_BYTES = 2_000
"""In UTF-8; what an index entry of the store can still hold."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, and the source name that identifies its document across versions.

    Attributes:
        origin: Tells folders of one name apart: a hash of the given folder's whole path, which
            itself is nobody's business; 16 hexadecimal digits.
    """

    path: Path
    source: str
    origin: str = ""


def find_files(
    paths: Sequence[Path], name: str | None = None
) -> Iterator[FoundFile | UnreadableDocument]:
    """Yield every file to ingest, and an error for whatever cannot be one; lazily, in order.

    A file's source is its POSIX path within the given folder, behind that folder's own name:
    ``docs/returns/boots.md`` below ``/srv/docs``. A file given by itself is named as if the folder
    that holds it were given, so that ``README.md`` of two folders stays two documents, and a file
    of a folder stays the document that it was. Folders are read in the order of their names.
    Hidden files and folders are passed over unless given themselves. Symbolic links are followed
    within the given folder and nowhere else: who may write into it does not choose what else of
    this machine is published. An `Unwalked` stands for a path or folder that could not be looked
    into, and for a path that holds nothing.

    Args:
        paths: Files and folders.
        name: Takes the place of the folder's own name.
    """
    for path in paths:
        for item in _find_root(path, root_name(path, name)):
            yield _from(origin(path), item)


def find_touched(
    root: Path, touched: Iterable[Path], name: str | None = None
) -> Iterator[FoundFile | UnreadableDocument]:
    """Yield what is to be ingested at or below some paths within a folder, as `find_files` would.

    Args:
        root: The folder.
        touched: Paths below it; hidden ones and those that are gone are passed over.
        name: As in `find_files`.
    """
    whole = os.path.realpath(root)
    for path in sorted(touched):
        inside = path.relative_to(root)
        if any(part.startswith(".") for part in inside.parts) or not os.path.lexists(path):
            continue
        if not _within(path.parent, whole):
            continue  # below a link out of the folder, which the link itself is reported for
        source = "/".join((root_name(root, name), *inside.parts))
        for item in _find(path, source, frozenset(), whole):
            yield _from(origin(root), item)


def unfit_name(source: str) -> str:
    """Return why a name cannot identify a document; empty when it can."""
    if not source.strip():
        return "has an empty name"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in source):
        return "has a name with control characters, or one that is not valid UTF-8"
    size = len(source.encode("utf-8"))
    if size > MAX_SOURCE_BYTES:
        return f"has a name of {size} bytes (at most {MAX_SOURCE_BYTES})"
    return ""


def origin(path: Path) -> str:
    """Return where a path comes from; a file of a folder from the same place as the folder."""
    root = path.parent if _is_file(path) else path
    whole = os.path.realpath(root)  # never raises, unlike Path.resolve
    return origin_of(os.fsencode(whole))


def root_name(path: Path, given: str | None) -> str:
    """Return the source of a given path, or what the sources of its files begin with."""
    name = _name(path)
    above = _name(path.parent) if _is_file(path) else ""
    if given is not None:
        above, name = (given, name) if _is_file(path) else ("", given)
    return "/".join(part for part in (above, name) if part) or "root"


def _from(place: str, item: FoundFile | UnreadableDocument) -> FoundFile | UnreadableDocument:
    return replace(item, origin=place) if isinstance(item, FoundFile) else item


def _name(path: Path) -> str:
    return path.name if path.name not in {"", ".."} else path.resolve().name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # reported once it is looked at for its content


def _find_root(path: Path, source: str) -> Iterator[FoundFile | UnreadableDocument]:
    found = False
    for item in _find(path, source, frozenset(), os.path.realpath(path)):
        found = True
        yield item
    if not found:
        yield Empty(
            source,
            "holds no documents",
            hint="Give a folder with Markdown, HTML, PDF or text files in it.",
        )


def _find(
    path: Path, source: str, above: frozenset[tuple[int, int]], root: str
) -> Iterator[FoundFile | UnreadableDocument]:
    if reason := unfit_name(source):
        yield UnreadableDocument(ascii(source[:200]), reason, hint="Rename it.")
        return
    if path.is_symlink() and not _within(path, root):
        yield UnreadableDocument(
            source,
            "is a symbolic link out of the folder",
            hint="Put the file itself there, or ingest it where it is.",
        )
        return
    try:
        status = path.stat()
        if not path.is_dir():
            yield FoundFile(path, source)
            return
        identity = (status.st_dev, status.st_ino)
        names = sorted(child.name for child in path.iterdir())
    except OSError as error:
        yield _unreachable(path, source, error)
        return
    if identity in above:
        yield UnreadableDocument(
            source, "is a symbolic link into a folder that holds it", hint="Remove the link."
        )
        return
    for name in names:
        if not name.startswith("."):
            yield from _find(path / name, f"{source}/{name}", above | {identity}, root)


def _within(path: Path, root: str) -> bool:
    real = os.path.realpath(path)
    # What leads nowhere is reported as that.
    return not os.path.exists(real) or os.path.commonpath([real, root]) == root


def _unreachable(path: Path, source: str, error: OSError) -> UnreadableDocument:
    if path.is_symlink():
        return UnreadableDocument(
            source, "is a symbolic link that leads nowhere or to itself", hint="Remove the link."
        )
    reason = (error.strerror or "unknown reason").lower()
    return Unwalked(
        source, f"cannot be read ({reason})", hint="Check the path and its permissions."
    )
