"""Reads and splits one document, ready to be embedded and published; pure work, for threads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.base import Embedder, NewDocument, NewPassage
from backends.errors import Misconfigured
from backends.ingest.budget import MIN_MAX_TOKENS, embedding_text, passage_context
from backends.ingest.chunks import CHUNKER_VERSION, split
from backends.ingest.document import one_line
from backends.ingest.source import Content
from backends.principals import Principals

READER_VERSION = "5"
"""Part of every fingerprint: raise it when the same bytes would be read differently."""


INGESTED_FOR = "ingested_for"
"""Metadata: whom the document was ingested for, should it not say itself; sorted, with commas."""

ORIGIN = "origin"
"""Metadata: `backends.ingest.files.FoundFile.origin`."""

PASSAGE_TOKENS = 256
"""Most tokens of a passage, also where the embedder reads more: one vector stands for one idea."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with its passages, and for each passage the text to embed."""

    document: NewDocument
    passages: tuple[NewPassage, ...]
    texts: tuple[str, ...]


def fingerprint(
    source: str, mark: bytes, *, acl: Principals, title: str, embedder: Embedder
) -> str:
    """Return a hash (SHA-256, hexadecimal) of everything that decides what gets stored.

    That is the mark of the content, the name (it chooses the reader and may become the title), the
    access list and title that were asked for, the versions of reader and chunker, and how much the
    embedder reads. Which embedder it is the store looks after: what is there can be embedded anew.
    """
    asked = (
        source,
        title,
        *sorted(acl),
        READER_VERSION,
        CHUNKER_VERSION,
        str(token_limit(embedder)),
    )
    digest = hashlib.sha256()
    for part in asked:
        encoded = part.encode("utf-8")
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    digest.update(mark)
    return digest.hexdigest()


def prepare(
    source: str,
    content: Content,
    *,
    acl: Principals,
    title: str,
    embedder: Embedder,
    origin: str = "",
) -> Prepared:
    """Read and split a document. Its own title gives way to ``title``, its own ACL to nothing.

    What a document itself says under the names of our metadata is left out.

    Raises:
        UnreadableDocument: It cannot become a document.
        Misconfigured: The embedder reads too few tokens for a passage.
    """
    read = content.read()
    shown = one_line(title) or read.title
    document = NewDocument(
        source=source,
        title=shown,
        body=read.body,
        media_type=read.media_type,
        fingerprint=fingerprint(source, content.mark, acl=acl, title=title, embedder=embedder),
        acl=acl if read.acl is None else read.acl,
        metadata=_metadata(read.metadata, source, acl, origin),
    )
    count, limit = embedder.count_tokens, token_limit(embedder)
    passages = split(
        read.body,
        count_tokens=count,
        max_tokens=limit,
        title=shown,
        pages=read.pages,
        rows=read.rows,
    )
    texts = [
        embedding_text(passage_context(shown, passage.heading, count, limit), passage.text)
        for passage in passages
    ]
    return Prepared(document, tuple(passages), tuple(texts))


def _metadata(
    stated: Mapping[str, str], source: str, acl: Principals, origin: str
) -> Mapping[str, str]:
    own = {name: text for name, text in stated.items() if name not in {INGESTED_FOR, ORIGIN}}
    ours = {INGESTED_FOR: ",".join(sorted(acl))} | ({ORIGIN: origin} if origin else {})
    return {**_with_whole_source(own, source), **ours}


def _with_whole_source(metadata: Mapping[str, str], source: str) -> Mapping[str, str]:
    """Complete a file name in ``supersedes`` to the source of that neighbour.

    ``supersedes: returns-2022`` in ``handbook/returns.md`` means ``handbook/returns-2022.md``.
    """
    named = metadata.get("supersedes")
    if not named:
        return metadata
    # Not a path as a whole: a source may be an address, with two slashes at its beginning.
    folder, slash, own = source.rpartition("/")
    older = PurePosixPath(named).name
    if not PurePosixPath(older).suffix:
        older += PurePosixPath(own).suffix
    return {**metadata, "supersedes": f"{folder}{slash}{older}"}


def token_limit(embedder: Embedder) -> int:
    if embedder.max_tokens < MIN_MAX_TOKENS:
        raise Misconfigured(
            f"The embedder {embedder.model!r} reads {embedder.max_tokens} tokens of a text;"
            f" passages need at least {MIN_MAX_TOKENS}.",
            backend="embedder",
            hint="Use another embedding model.",
        )
    return min(embedder.max_tokens, PASSAGE_TOKENS)
