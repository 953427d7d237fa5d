"""Embeds what is stored with another model while questions are answered with the old one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from backends.base import Embedder
from backends.errors import Misconfigured
from backends.ingest.budget import embedding_text, passage_context
from backends.ingest.prepare import token_limit
from backends.ingest.threads import in_thread

if TYPE_CHECKING:
    from backends.base import Vectors

BATCH: Final = 128
"""Passages embedded at a time."""


class Unembedded(Protocol):
    """A stored passage that has no vector of the new model yet."""

    @property
    def id(self) -> UUID:
        """Of the passage."""
        ...

    @property
    def title(self) -> str:
        """Of its document."""
        ...

    @property
    def heading(self) -> str:
        """Above it."""
        ...

    @property
    def text(self) -> str:
        """Of it."""
        ...


class Reindexing(Protocol):
    """What a store offers to be embedded anew; see `backends.pgvector.spaces.Reindexing`."""

    async def begin(self) -> bool:
        """Make room for new vectors; False when the model is the one in use."""
        ...

    async def next(self, most: int) -> Sequence[Unembedded]:
        """Return passages without a new vector; none at the end of a round through all of them."""
        ...

    async def add(self, ids: Sequence[UUID], vectors: Vectors) -> None:
        """Store new vectors, shape (len(ids), d)."""
        ...

    async def index(self) -> None:
        """Build what makes the new vectors fast to search."""
        ...

    async def finish(self) -> bool:
        """Search the new vectors from now on; False while a passage has none."""
        ...


async def reindex(
    work: Reindexing, embedder: Embedder, *, on_progress: Callable[[int], None] | None = None
) -> int | None:
    """Embed every stored passage with a model and let its vectors take over.

    What is published meanwhile is embedded before the new vectors take over. After an interruption
    the same call goes on where it stopped.

    Args:
        embedder: The new model.
        on_progress: Called with the passages embedded so far.

    Returns:
        How many passages were embedded; None when the model is the one in use.

    Raises:
        Misconfigured: A passage is longer than the model reads.
        BackendError: As the store and the embedder raise; the old vectors stay in use.
    """
    if not await work.begin():
        return None
    done, finished = 0, False
    while not finished:
        while batch := await work.next(BATCH):
            texts = await in_thread(partial(_texts, batch, embedder))
            await work.add([one.id for one in batch], await embedder.embed(texts))
            done += len(batch)
            if on_progress is not None:
                on_progress(done)
        await work.index()
        finished = await work.finish()
    return done


def _texts(batch: Sequence[Unembedded], embedder: Embedder) -> list[str]:
    """What is embedded for each passage: the same as when it is ingested."""
    limit = token_limit(embedder)
    texts = []
    for one in batch:
        context = passage_context(one.title, one.heading, embedder.count_tokens, limit)
        text = embedding_text(context, one.text)
        tokens = embedder.count_tokens(text)
        if tokens > embedder.max_tokens:
            raise Misconfigured(
                f"A passage of {one.title[:80]!r} takes {tokens} tokens, but {embedder.model!r} "
                f"reads {embedder.max_tokens}.",
                backend="embedder",
                hint="Delete the documents and ingest them again, so that they are cut to fit.",
            )
        texts.append(text)
    return texts
