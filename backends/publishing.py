"""What every document store asks of a document before it stores anything. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from backends.errors import Misconfigured, Refused

if TYPE_CHECKING:
    from backends.base import NewDocument, NewPassage, Vector, Vectors

MAX_SOURCE_BYTES = 2_000
"""Longer than any path; what an index entry can still hold."""

_BACKEND: Final = "database"


def storable(text: str) -> bool:
    """Whether a database can hold the text: no NUL character, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def check_publishable(
    document: NewDocument, passages: Sequence[NewPassage], embeddings: Vectors, dimension: int
) -> None:
    """Return when the document can be stored as it is.

    Raises:
        Refused: A text holds characters that cannot be stored, the source is too long, or a passage
            is not what its offsets say.
        Misconfigured: The embeddings are not one usable vector of the right length a passage.
    """
    if not all(map(storable, _texts(document, passages))):
        raise Refused(
            f"{_shown(document.source)} holds NUL characters or broken Unicode.",
            backend=_BACKEND,
            hint="Remove them from the text, the title and the metadata.",
        )
    if not document.source or len(document.source.encode()) > MAX_SOURCE_BYTES:
        raise Refused(
            f"The source {_shown(document.source)} is empty or longer than {MAX_SOURCE_BYTES} "
            "bytes.",
            backend=_BACKEND,
            hint="Give the document a shorter name.",
        )
    for ordinal, passage in enumerate(passages):
        if document.body[passage.start : passage.end] != passage.text or passage.start < 0:
            raise Refused(
                f"Passage {ordinal} of {_shown(document.source)} is not the text between its "
                f"offsets {passage.start} and {passage.end}.",
                backend=_BACKEND,
            )
    check_vectors(embeddings, (len(passages), dimension), f"of {_shown(document.source)}")


def check_vectors(vectors: Vector | Vectors, shape: tuple[int, ...], whose: str) -> None:
    """Return when the vectors have the shape, are finite and point somewhere.

    Raises:
        Misconfigured: They do not; the message names both shapes.
    """
    import numpy as np

    if vectors.shape != shape:
        raise Misconfigured(
            f"The embeddings {whose} have the shape {vectors.shape}; the index needs {shape}.",
            backend=_BACKEND,
            hint="Use the embedding model that the documents were stored with.",
        )
    lengths = np.linalg.norm(vectors, axis=-1)
    if not bool(np.all(np.isfinite(lengths) & (lengths > 0))):
        raise Misconfigured(
            f"The embeddings {whose} are not all finite and different from zero.",
            backend=_BACKEND,
            hint="Check the embedding model.",
        )


def _texts(document: NewDocument, passages: Sequence[NewPassage]) -> Iterator[str]:
    yield from (document.source, document.title, document.body)
    yield from (document.media_type, document.fingerprint)
    yield from document.acl
    yield from document.metadata.keys()
    yield from document.metadata.values()
    for passage in passages:
        yield passage.heading


def _shown(source: str) -> str:
    return ascii(source[:120])
