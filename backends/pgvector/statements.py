"""The store's statements. What is read on somebody's behalf goes through the functions of
``postgres/migrations/0003_reading.sql``, which alone know how to search."""

from __future__ import annotations

_COLUMNS = """
    document.id, source, live_version, title, media_type, fingerprint, acl, passages, characters,
    updated_at, metadata
"""

# --- on somebody's behalf ------------------------------------------------------------------------

SEARCH = """
SELECT * FROM search_passages(
    %(model)s, %(dimension)s, %(principals)s::text[], %(terms)s::integer[], %(most_terms)s,
    %(embedding)s::halfvec, %(conditions)s::jsonb, %(candidates)s, %(most)s, %(today)s, %(exact)s
)
"""

VISIBLE_FIELDS = "SELECT visible_fields(%s::text[])"

VISIBLE_DOCUMENTS = f"""
SELECT {_COLUMNS} FROM visible_documents(%(principals)s::text[], %(after)s, %(limit)s) AS document
"""

VISIBLE_BODY = """
SELECT (found).*, body FROM visible_body(%(principals)s::text[], %(source)s)
"""

VISIBLE_PASSAGE = "SELECT * FROM visible_passage(%(principals)s::text[], %(id)s)"

# --- the operator's ------------------------------------------------------------------------------

FINGERPRINTS = "SELECT source, fingerprint FROM document WHERE source = ANY(%s::text[])"

DOCUMENTS = f"""
SELECT {_COLUMNS}
FROM document
WHERE source COLLATE "C" > %(after)s
ORDER BY source COLLATE "C"
LIMIT %(limit)s::bigint
"""

STORED = f"SELECT {_COLUMNS} FROM document WHERE source = %(source)s"

DOCUMENT = f"""
SELECT {_COLUMNS}, body
FROM document
JOIN document_version ON document_id = document.id AND version = live_version
WHERE source = %(source)s
"""

# --- publishing ----------------------------------------------------------------------------------

# The row stays locked until the transaction ends: a second publisher of the source waits here, and
# gets no row when the first has published the same.
UPSERT_DOCUMENT = f"""
INSERT INTO document (
    source, title, media_type, fingerprint, acl, metadata, live_version, passages, characters
) VALUES (
    %(source)s, %(title)s, %(media_type)s, %(fingerprint)s, %(acl)s::text[], %(metadata)s, 1,
    %(passages)s, %(characters)s
)
ON CONFLICT (source) DO UPDATE SET
    title = EXCLUDED.title,
    media_type = EXCLUDED.media_type,
    fingerprint = EXCLUDED.fingerprint,
    acl = EXCLUDED.acl,
    metadata = EXCLUDED.metadata,
    live_version = document.live_version + 1,
    passages = EXCLUDED.passages,
    characters = EXCLUDED.characters,
    updated_at = clock_timestamp()
WHERE document.fingerprint <> EXCLUDED.fingerprint
RETURNING {_COLUMNS}
"""

INSERT_VERSION = "INSERT INTO document_version (document_id, version, body) VALUES (%s, %s, %s)"

COPY_PASSAGES = """
COPY passage (
    id, document_id, version, ordinal, start_offset, end_offset, page, heading, text
) FROM STDIN
"""

COPY_TERMS = "COPY passage_terms (passage_id, document_id, terms, weights) FROM STDIN"

COPY_SENTENCES = "COPY passage_sentences (passage_id, model, spans, vectors) FROM STDIN"

COPY_EMBEDDINGS = "COPY {} (passage_id, document_id, embedding) FROM STDIN"

# While the old and the new passages of a document are both there: count the new ones in and the
# others out; without a version, all out. In the order of the hashes, so that two publishers that
# share terms wait for one another instead of blocking each other. Answers with the terms that
# occur nowhere any more.
COUNT_TERMS = """
WITH change AS (
    SELECT hash, sum(CASE WHEN version = %(version)s::integer THEN 1 ELSE -1 END) AS passages
    FROM passage
    JOIN passage_terms ON passage_id = passage.id
    CROSS JOIN LATERAL unnest(terms) AS hash
    WHERE passage.document_id = %(document)s
    GROUP BY 1
    HAVING sum(CASE WHEN version = %(version)s::integer THEN 1 ELSE -1 END) <> 0
),
changed AS (
    INSERT INTO term (hash, passages)
    SELECT hash, passages FROM change ORDER BY hash
    ON CONFLICT (hash) DO UPDATE SET passages = term.passages + EXCLUDED.passages
    RETURNING hash, passages
)
SELECT array_agg(hash) FROM changed WHERE passages = 0
"""

FORGET_TERMS = "DELETE FROM term WHERE hash = ANY(%s::integer[])"

COUNT_PASSAGES = """
UPDATE corpus SET passages = passages + (
    SELECT coalesce(sum(CASE WHEN version = %(version)s::integer THEN 1 ELSE -1 END), 0)
    FROM passage
    WHERE document_id = %(document)s
)
"""

DELETE_OLD_PASSAGES = "DELETE FROM passage WHERE document_id = %s AND version <> %s"

LOCK_DOCUMENT = "SELECT id FROM document WHERE source = %s FOR UPDATE"

DELETE_DOCUMENT = "DELETE FROM document WHERE id = %s"

# --- embedding spaces ----------------------------------------------------------------------------

LIVE_SPACE = "SELECT id, model, dimension FROM embedding_space WHERE state = 'live'"

# Shared, so that publishers do not wait for one another, but the space cannot change beneath them.
LIVE_SPACE_HELD = f"{LIVE_SPACE} FOR SHARE"

SPACES = "SELECT id, model, dimension, state FROM embedding_space ORDER BY id"

ANY_DOCUMENT = "SELECT EXISTS (SELECT FROM document)"

# Waits for publishers under way, and keeps new ones out, until the transaction ends.
LOCK_SPACES = "LOCK TABLE embedding_space IN EXCLUSIVE MODE"

RETIRE_SPACE = "UPDATE embedding_space SET state = 'old' WHERE state = 'live'"

ADD_SPACE = """
INSERT INTO embedding_space (model, dimension, state)
VALUES (%(model)s, %(dimension)s, %(state)s)
ON CONFLICT (model, dimension) DO UPDATE SET state = EXCLUDED.state
RETURNING id, create_embedding_table(id, dimension)
"""

FORGET_SPACE = "DELETE FROM embedding_space WHERE id = %s"

DROP_SPACE = "DROP TABLE IF EXISTS {}"

UNEMBEDDED = """
SELECT passage.id, document.title, passage.heading, passage.text
FROM passage
JOIN document ON document.id = passage.document_id
WHERE passage.id > %(after)s
    AND NOT EXISTS (SELECT FROM {space} AS one WHERE one.passage_id = passage.id)
ORDER BY passage.id
LIMIT %(most)s
"""

# A passage may be gone by now, or be going; what is here stays until the vector is.
EMBED = """
INSERT INTO {space} (passage_id, document_id, embedding)
SELECT passage.id, passage.document_id, vector::halfvec
FROM unnest(%(ids)s::uuid[], %(vectors)s::text[]) AS given (id, vector)
JOIN passage USING (id)
FOR KEY SHARE OF passage
ON CONFLICT (passage_id) DO NOTHING
"""

COUNT_ALL = "SELECT passages FROM corpus"

# --- the index -----------------------------------------------------------------------------------

HAS_INDEX = """
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)
"""

DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS {index}"

# More links and a wider search than pgvector's defaults (16, 64), with which too many of the true
# neighbours are missed; infra/bench/scale.py prints how many are found.
BUILD_INDEX = """
CREATE INDEX CONCURRENTLY {index} ON {space}
USING hnsw (embedding halfvec_ip_ops) WITH (m = 24, ef_construction = 128)
"""

# --- explaining ----------------------------------------------------------------------------------

SEARCH_PLAN = """
SELECT plan.*, search_statement(plan.space, plan.dense, plan.lexical) AS statement
FROM search_plan(
    %(model)s, %(dimension)s, %(principals)s::text[], %(terms)s::integer[], %(most_terms)s,
    %(exact)s
) AS plan
WHERE plan.space IS NOT NULL
"""

SEARCH_SETTINGS = """
SELECT set_config(split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1), true)
FROM pg_proc
CROSS JOIN LATERAL unnest(proconfig) AS setting
WHERE pg_proc.oid = 'search_passages'::regproc
"""
