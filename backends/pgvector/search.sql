-- Find the passages that fit a question best, among those that the asker may see.
--
--   principals  who asks, text[]
--   terms       hashed terms of the question, integer[]
--   most_terms  how many of them count, the rarest
--   embedding   of the question, as text of a halfvec
--   candidates  passages each leg brings along
--   most        passages to return
--   today       ISO date, by which a newer document is in effect or not
--
-- Both legs look at every visible passage, so both scores are exact, and nothing that is invisible
-- is ranked or counted. That is right up to some ten thousand visible passages; beyond, an HNSW
-- index on the embeddings and a GIN index on the rarest terms have to choose what is looked at.
WITH visible AS MATERIALIZED (
    SELECT id, live_version
    FROM document
    WHERE acl && %(principals)s::text[]
),
asked AS MATERIALIZED (
    SELECT
        term.hash,
        ln(1 + (corpus.passages - term.passages + 0.5) / (term.passages + 0.5)) AS idf
    FROM unnest(%(terms)s::integer[]) AS wanted (hash)
    JOIN term USING (hash)
    CROSS JOIN corpus
    ORDER BY term.passages, term.hash
    LIMIT %(most_terms)s
),
question AS MATERIALIZED (
    SELECT
        %(embedding)s::halfvec AS embedding,
        format('{%%s}/1000000000', string_agg(hash || ':' || idf, ',' ORDER BY hash))::sparsevec
            AS terms
    FROM asked
),
scored AS MATERIALIZED (
    SELECT
        passage.id,
        1 - (passage.embedding <=> question.embedding) AS similarity,
        0 - (passage.weights <#> question.terms) AS lexical
    FROM visible
    JOIN passage
        ON passage.document_id = visible.id
        AND passage.version = visible.live_version
    CROSS JOIN question
),
dense_leg AS (
    SELECT id, similarity, lexical
    FROM scored
    ORDER BY similarity DESC, id
    LIMIT %(candidates)s
),
-- Passages without any of the terms fill it up, so that of two that have one both rank above none.
lexical_leg AS (
    SELECT id, similarity, lexical
    FROM scored
    ORDER BY lexical DESC, similarity DESC, id
    LIMIT %(candidates)s
),
scale AS (
    SELECT
        (SELECT min(similarity) FROM dense_leg) AS similarity_low,
        (SELECT max(similarity) FROM dense_leg) AS similarity_high,
        (SELECT min(lexical) FROM lexical_leg) AS lexical_low,
        (SELECT max(lexical) FROM lexical_leg) AS lexical_high
),
-- Min-max: each score goes to 0..1 over its own leg, then both count alike.
fused AS (
    SELECT
        found.*,
        0.5 * CASE
            WHEN similarity >= similarity_high THEN 1
            ELSE greatest(
                0, (similarity - similarity_low) / nullif(similarity_high - similarity_low, 0)
            )
        END
        + 0.5 * CASE
            WHEN lexical <= 0 THEN 0
            WHEN lexical >= lexical_high THEN 1
            ELSE greatest(0, (lexical - lexical_low) / nullif(lexical_high - lexical_low, 0))
        END AS score
    FROM (SELECT * FROM dense_leg UNION SELECT * FROM lexical_leg) AS found
    CROSS JOIN scale
)
SELECT
    passage.id,
    passage.document_id,
    document.title,
    document.source,
    passage.version,
    passage.ordinal,
    passage.start_offset,
    passage.end_offset,
    passage.text,
    passage.heading,
    passage.page,
    fused.score,
    fused.similarity,
    fused.lexical,
    -- Only what the asker may see can replace what the asker found.
    (
        SELECT min(newer.source COLLATE "C")
        FROM visible
        JOIN document AS newer USING (id)
        WHERE newer.metadata ->> 'supersedes' = document.source
            AND coalesce(newer.metadata ->> 'effective', '') <= %(today)s
    ) AS superseded_by
FROM fused
JOIN passage USING (id)
JOIN document ON document.id = passage.document_id
ORDER BY fused.score DESC, fused.similarity DESC, document.source COLLATE "C", passage.ordinal
LIMIT %(most)s
