"""The same passages and questions through langchain-postgres; run by infra/bench/retrieval.py.

It pins pgvector below 0.4, so it runs in an environment of its own and imports nothing of ours.
Reads a folder (passages.jsonl, passages.npy, questions.jsonl, questions.npy, database.json) and
prints one JSON object a question on standard output: the passages found, and the milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings  # type: ignore[import-not-found,unused-ignore]
from langchain_postgres import PGEngine, PGVectorStore  # type: ignore[import-not-found]
from langchain_postgres.v2.hybrid_search_config import (  # type: ignore[import-not-found]
    HybridSearchConfig,
    weighted_sum_ranking,
)
from sqlalchemy import URL, text  # type: ignore[import-not-found]
from sqlalchemy.ext.asyncio import create_async_engine  # type: ignore[import-not-found]

TABLE = "passages"


class Given(Embeddings):  # type: ignore[misc,unused-ignore]
    """Every vector comes with its text, so that both sides search with the same ones."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


def rows(path: Path) -> list[Any]:
    """Return the objects of a file with one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def config(depth: int, question: str = "") -> HybridSearchConfig:
    """Both legs as deep as ours, joined as the package does unless told otherwise."""
    return HybridSearchConfig(
        tsv_column="content_tsv",
        fts_query=question,
        fusion_function=weighted_sum_ranking,
        primary_top_k=depth,
        secondary_top_k=depth,
    )


async def searched(folder: Path) -> Sequence[dict[str, Any]]:
    """Load the passages into a table with the package's own index, and ask every question."""
    database = json.loads((folder / "database.json").read_text(encoding="utf-8"))
    depth, schema = database["depth"], database["schema"]
    engine = create_async_engine(URL.create("postgresql+psycopg", **database["url"]))
    wrapped = PGEngine.from_engine(engine)
    passages, vectors = rows(folder / "passages.jsonl"), np.load(folder / "passages.npy")
    await wrapped.ainit_vectorstore_table(
        TABLE, vectors.shape[1], schema_name=schema, hybrid_search_config=config(depth)
    )
    store = await PGVectorStore.create(
        wrapped, Given(), TABLE, schema_name=schema, hybrid_search_config=config(depth)
    )
    await store.aadd_embeddings(
        [one["text"] for one in passages],
        vectors.tolist(),
        metadatas=[{"document": one["document"]} for one in passages],
    )
    await store.aapply_hybrid_search_index()
    async with engine.connect() as session:
        await session.execute(text(f'ANALYZE "{schema}"."{TABLE}"'))
        await session.commit()
    try:
        return [found async for found in _asked(store, folder, depth)]
    finally:
        await wrapped.close()


async def _asked(store: PGVectorStore, folder: Path, depth: int) -> Any:
    questions, embeddings = rows(folder / "questions.jsonl"), np.load(folder / "questions.npy")
    asked = [*zip(questions, embeddings.tolist(), strict=True)]
    for number, (question, embedding) in enumerate([*asked[:10], *asked]):
        began = perf_counter()
        found = await store.asimilarity_search_by_vector(
            embedding, k=depth, hybrid_search_config=config(depth, question)
        )
        ms = (perf_counter() - began) * 1000
        if number >= len(asked[:10]):
            yield {"ranked": [one.metadata["document"] for one in found], "ms": ms}


def lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One JSON object a question."""
    for one in found:
        yield json.dumps(one) + "\n"


if __name__ == "__main__":
    sys.stdout.writelines(lines(asyncio.run(searched(Path(sys.argv[1])))))
