"""Files and folders as a source, and the parts of a folder that have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from backends.errors import UnreadableDocument
from backends.ingest.files import FoundFile, find_files, find_touched, origin, root_name
from backends.ingest.read import DEFAULT_MAX_BYTES, read_bytes, read_document
from backends.ingest.source import Content, Empty, Item, Offer, Scope, mark_of
from backends.ingest.threads import in_thread

FILE_BATCH = 256
"""Files that are hashed, and whose fingerprints are asked for, at once; their contents are not kept
meanwhile."""


class FolderSource:
    """Every file in the given files and folders, named as `backends.ingest.files` says.

    What came from another folder of the same name is not replaced, unless ``name`` is given.

    Args:
        paths: Files and folders.
        name: Takes the place of the only path's name in sources.
        max_bytes: Largest file; larger ones are reported without being read.
        allow_empty: A folder without documents is no error, but says that all of them are gone.

    Raises:
        ValueError: There is a name, but it is empty or there is not exactly one path.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        name: str | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        allow_empty: bool = False,
    ) -> None:
        if name is not None and (len(paths) != 1 or not name.strip("/ ")):
            raise ValueError("a name is for one path, and not empty")
        self._paths = paths
        self._name = None if name is None else name.strip("/")
        self._max_bytes = max_bytes
        self._allow_empty = allow_empty

    @property
    def replaces(self) -> bool:
        """A given name says what is meant, wherever it came from before."""
        return self._name is not None

    @property
    def scopes(self) -> Sequence[Scope]:
        """All below the folders; of a file given by itself, nothing can be gone."""
        return [
            Scope(root_name(path, self._name), "" if self._name else origin(path))
            for path in self._paths
            if not path.is_file()
        ]

    @property
    def whole(self) -> bool:
        """All of it is walked."""
        return True

    async def batches(self) -> AsyncGenerator[Sequence[Offer], None]:
        """Yield the files, as `backends.ingest.source.Source` says."""
        found = find_files(self._paths, self._name)
        while batch := await in_thread(partial(_offers, found, self._max_bytes)):
            yield [one for one in batch if not (self._allow_empty and isinstance(one, Empty))]


class TouchedFiles:
    """The paths within a folder that somebody says have changed or gone.

    Args:
        root: The folder.
        touched: Paths below it.
        name, max_bytes: As of the `FolderSource` that took the folder in.
    """

    def __init__(
        self,
        root: Path,
        touched: Iterable[Path],
        *,
        name: str | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self._root = root
        self._touched = sorted(touched)
        self._name = None if name is None else name.strip("/")
        self._max_bytes = max_bytes

    @property
    def replaces(self) -> bool:
        """As of the whole folder."""
        return self._name is not None

    @property
    def scopes(self) -> Sequence[Scope]:
        """What is at or below the touched paths, of which some may be gone."""
        base = root_name(self._root, self._name)
        return [
            Scope(
                "/".join((base, *path.relative_to(self._root).parts)),
                "" if self._name else origin(self._root),
            )
            for path in self._touched
        ]

    @property
    def whole(self) -> bool:
        """Nothing but deletions may have happened to them."""
        return False

    async def batches(self) -> AsyncGenerator[Sequence[Offer], None]:
        """Yield the files that are still there, as `backends.ingest.source.Source` says."""
        found = find_touched(self._root, self._touched, self._name)
        while batch := await in_thread(partial(_offers, found, self._max_bytes)):
            yield batch


def _offers(found: Iterator[FoundFile | UnreadableDocument], max_bytes: int) -> list[Offer]:
    return [_offer(item, max_bytes) for item in islice(found, FILE_BATCH)]


def _offer(item: FoundFile | UnreadableDocument, max_bytes: int) -> Offer:
    if isinstance(item, UnreadableDocument):
        return item
    try:
        mark = mark_of(read_bytes(item.path, item.source, max_bytes))
    except UnreadableDocument as error:
        return error
    return Item(item.source, item.origin, mark, partial(_content, item, max_bytes))


async def _content(item: FoundFile, max_bytes: int) -> Content:
    # Read anew rather than kept: a batch of large files would not fit into memory.
    data = await in_thread(partial(read_bytes, item.path, item.source, max_bytes))
    mark = await asyncio.to_thread(mark_of, data)
    return Content(mark, partial(read_document, item.source, data))
