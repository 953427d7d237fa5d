"""The store's statements, except the search, which has a file of its own."""

from __future__ import annotations

CLAIM_SPACE = """
INSERT INTO embedding_space (model, dimension) VALUES (%(model)s, %(dimension)s)
ON CONFLICT (single) DO NOTHING
"""

SPACE = "SELECT model, dimension FROM embedding_space"

# Shared, so that publishers do not wait for one another, but the space cannot change beneath them.
SPACE_HELD = "SELECT model, dimension FROM embedding_space FOR SHARE"

# Waits for publishers under way, and keeps new ones out, until the transaction ends.
LOCK_SPACE = "LOCK TABLE embedding_space IN EXCLUSIVE MODE"

CHANGE_SPACE = """
UPDATE embedding_space SET model = %(model)s, dimension = %(dimension)s
WHERE NOT EXISTS (SELECT FROM document)
RETURNING model, dimension
"""

FINGERPRINTS = "SELECT source, fingerprint FROM document WHERE source = ANY(%s::text[])"

_COLUMNS = """
    document.id, source, live_version, title, media_type, fingerprint, acl, passages, characters,
    updated_at, metadata
"""

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
    document_id, version, ordinal, start_offset, end_offset, page, heading, text, embedding, weights
) FROM STDIN
"""

# While the old and the new passages of a document are both there: count the new ones in and the
# others out; without a version, all out. In the order of the hashes, so that two publishers that
# share terms wait for one another instead of blocking each other. Answers with the terms that
# occur nowhere any more.
COUNT_TERMS = """
WITH change AS (
    SELECT
        split_part(entry, ':', 1)::integer AS hash,
        sum(CASE WHEN version = %(version)s::integer THEN 1 ELSE -1 END) AS passages
    FROM passage
    CROSS JOIN LATERAL unnest(
        string_to_array(btrim(split_part(weights::text, '/', 1), '{}'), ',')
    ) AS entry
    WHERE document_id = %(document)s
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

DOCUMENTS = f"""
SELECT {_COLUMNS}
FROM document
WHERE source COLLATE "C" > %(after)s AND (%(everything)s OR acl && %(principals)s::text[])
ORDER BY source COLLATE "C"
LIMIT %(limit)s::bigint
"""

STORED = f"SELECT {_COLUMNS} FROM document WHERE source = %(source)s"

DOCUMENT = f"""
SELECT {_COLUMNS}, body
FROM document
JOIN document_version ON document_id = document.id AND version = live_version
WHERE source = %(source)s AND (%(everything)s OR acl && %(principals)s::text[])
"""

PASSAGE = """
SELECT
    passage.id, document_id, title, source, version, ordinal, start_offset, end_offset, text,
    heading, page
FROM passage
JOIN document ON document_id = document.id AND version = live_version
WHERE passage.id = %(id)s AND acl && %(principals)s::text[]
"""

LOCK_DOCUMENT = "SELECT id FROM document WHERE source = %s FOR UPDATE"

DELETE_DOCUMENT = "DELETE FROM document WHERE id = %s"
