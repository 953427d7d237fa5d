"""Searching more passages than can all be looked at: which way is taken, and that it is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import psycopg
import pytest

from backends.base import ScoredPassage, SearchQuery
from backends.filters import parse_conditions
from backends.pgvector import PgvectorStore
from backends.principals import asker
from backends.terms import question_terms
from tests.support.stores import in_postgres

DIMENSION = 8
DOCUMENTS = 1_300
"""Ten passages each: enough for an index."""

FILL = """
INSERT INTO document (source, title, media_type, fingerprint, acl, metadata, live_version, passages,
    characters)
SELECT
    'doc' || number, 'Title', 'text/plain', '', ARRAY['group:all'] ||
        CASE WHEN number %% 100 = 0 THEN ARRAY['group:few'] ELSE '{}' END,
    jsonb_build_object('number', number::text), 1, 10, 0
FROM generate_series(1, %(documents)s) AS number;
"""
FILL_PASSAGES = """
INSERT INTO document_version (document_id, version, body) SELECT id, 1, '' FROM document;
INSERT INTO passage (document_id, version, ordinal, start_offset, end_offset, heading, text)
SELECT id, 1, ordinal, 0, 0, '', source || '/' || ordinal
FROM document CROSS JOIN generate_series(0, 9) AS ordinal;
INSERT INTO embedding_1 (passage_id, document_id, embedding)
SELECT id, document_id, l2_normalize(
    ARRAY(SELECT random() * 2 - 1 FROM generate_series(1, 8) WHERE passage.id IS NOT NULL)::vector
)::halfvec
FROM passage;
"""
FILL_TERMS = """
INSERT INTO passage_terms (passage_id, document_id, terms, weights)
SELECT id, document_id, ARRAY[common] || CASE WHEN rare THEN ARRAY[seldom] ELSE '{}' END,
    format(
        '{%%s}/1000000000', common || ':1' || CASE WHEN rare THEN ',' || seldom || ':2' ELSE '' END
    )::sparsevec
FROM (
    SELECT passage.*, ordinal = 0 AND source LIKE '%%7' AS rare,
        %(common)s::integer AS common, %(seldom)s::integer AS seldom
    FROM passage JOIN document ON document.id = document_id
) AS passage;
INSERT INTO term SELECT hash, count(*) FROM passage_terms, unnest(terms) AS hash GROUP BY hash;
UPDATE corpus SET passages = (SELECT count(*) FROM passage);
"""


@asynccontextmanager
async def many_passages(url: str) -> AsyncIterator[PgvectorStore]:
    """A store with 13,000 passages and its index; each has the word "zebra", a few "okapi"."""
    [common], [seldom] = question_terms("zebra"), question_terms("okapi")
    with psycopg.connect(
        url,
        autocommit=True,
        options="-c search_path=router,public",
        cursor_factory=psycopg.ClientCursor,
    ) as session:
        session.execute(
            "INSERT INTO embedding_space (model, dimension, state) VALUES ('words', 8, 'live')"
        )
        session.execute("SELECT create_embedding_table(1, 8), setseed(0.5)")
        session.execute(FILL, {"documents": DOCUMENTS})
        session.execute(FILL_PASSAGES)
        session.execute(FILL_TERMS, {"common": common, "seldom": seldom})
        session.execute("ANALYZE")
    async with in_postgres(url, dimension=DIMENSION) as store:
        await store.settle()
        yield store


def asked(text: str, *where: str, who: str = "group:all", limit: int = 10) -> SearchQuery:
    """A question whose embedding is one direction."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[:2] = 1
    return SearchQuery(text, vector, asker(who), limit, where=parse_conditions(where))


def names(found: Sequence[ScoredPassage]) -> Sequence[str]:
    """What was found, by the name that stands in its text."""
    return [one.passage.text for one in found]


async def test_beyond_the_threshold_both_legs_use_their_index(database_url: str) -> None:
    async with many_passages(database_url) as store:
        plan = await store.explain(asked("zebra okapi"))
    assert plan.startswith("dense: indexed, lexical: terms")
    assert "Index Scan using embedding_1_hnsw" in plan
    assert "Bitmap Index Scan on passage_terms_terms" in plan
    assert "Seq Scan" not in plan
    assert plan.count("acl &&") >= 2


async def test_below_the_threshold_every_visible_passage_is_looked_at(database_url: str) -> None:
    async with many_passages(database_url) as store:
        plan = await store.explain(asked("zebra", who="group:few"))
    assert plan.startswith("dense: exact, lexical: exact")
    assert "Bitmap Index Scan on document_acl" in plan
    assert "on embedding_1_document" in plan
    assert "on passage_terms_document" in plan
    assert "hnsw" not in plan
    assert "Seq Scan" not in plan


async def test_a_prepared_search_uses_the_index_every_time(database_url: str) -> None:
    async with many_passages(database_url) as store:
        # psycopg prepares a statement when it sees it for the sixth time.
        for _ in range(12):
            await store.search(asked("zebra okapi"))
    # Sessions report what they did when they end, a moment after they are closed here.
    await asyncio.to_thread(_wait_for_scans, database_url, 12)


async def test_the_index_finds_nearly_all_that_an_exact_search_finds(database_url: str) -> None:
    async with many_passages(database_url) as store:
        exact = names(await store.search(asked("zebra okapi"), exact=True))
        indexed = names(await store.search(asked("zebra okapi")))
    assert len(set(exact) & set(indexed)) >= 9


async def test_what_the_index_misses_for_a_narrow_condition_is_looked_for(
    database_url: str,
) -> None:
    async with many_passages(database_url) as store:
        found = await store.search(asked("zebra", "number=777", limit=50))
    assert sorted(names(found)) == [f"doc777/{ordinal}" for ordinal in range(10)]


async def test_nobody_finds_what_the_index_holds_for_others(database_url: str) -> None:
    async with many_passages(database_url) as store:
        few = names(await store.search(asked("zebra okapi", who="group:few", limit=50)))
        none = await store.search(asked("zebra okapi", who="group:others", limit=50))
    assert {name.split("/")[0][-2:] for name in few} == {"00"}
    assert list(none) == []


async def test_settling_again_builds_nothing(database_url: str) -> None:
    async with many_passages(database_url) as store:
        before = _index(database_url)
        await store.settle()
    assert before == _index(database_url)


async def test_an_index_whose_build_was_interrupted_is_built_anew(database_url: str) -> None:
    async with many_passages(database_url) as store:
        before = _index(database_url)
        with psycopg.connect(database_url) as session:
            session.execute(
                "UPDATE pg_index SET indisvalid = false "
                "WHERE indexrelid = 'router.embedding_1_hnsw'::regclass"
            )
        assert (await store.explain(asked("zebra"))).startswith("dense: exact")
        await store.settle()
        assert (await store.explain(asked("zebra"))).startswith("dense: indexed")
    assert before != _index(database_url)


async def test_a_small_store_gets_no_index(database_url: str) -> None:
    async with in_postgres(database_url, dimension=DIMENSION) as store:
        await store.settle()
    with pytest.raises(psycopg.errors.UndefinedTable):
        _index(database_url)


def _wait_for_scans(url: str, count: int) -> None:
    query = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'embedding_1_hnsw'"
    with psycopg.connect(url, autocommit=True) as session:
        while session.execute(query).fetchone() != (count,):
            pass


def _index(url: str) -> int:
    with psycopg.connect(url) as session:
        row = session.execute("SELECT 'router.embedding_1_hnsw'::regclass::oid").fetchone()
    assert row is not None
    return int(row[0])
