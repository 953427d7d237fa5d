-- The whole schema as it is now, for reading; the database is made by migrations/.
-- tests/integration/test_postgres_migrations.py compares the two.

CREATE TABLE schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE document (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    source text NOT NULL UNIQUE,
    title text NOT NULL,
    media_type text NOT NULL,
    fingerprint text NOT NULL,
    -- Who may see it: on the document only, so that a change of rights touches one row.
    acl text[] NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    live_version integer NOT NULL CHECK (live_version > 0),
    passages integer NOT NULL CHECK (passages >= 0),
    characters integer NOT NULL CHECK (characters >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX document_acl ON document USING gin (acl);
CREATE INDEX document_supersedes ON document ((metadata ->> 'supersedes'))
WHERE metadata ? 'supersedes';

-- The canonical text of every version; only the live one has passages.
CREATE TABLE document_version (
    document_id uuid NOT NULL REFERENCES document ON DELETE CASCADE,
    version integer NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, version)
);

CREATE TABLE passage (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    document_id uuid NOT NULL,
    version integer NOT NULL,
    ordinal integer NOT NULL,
    start_offset integer NOT NULL CHECK (start_offset >= 0),
    end_offset integer NOT NULL CHECK (end_offset >= start_offset),
    page integer,
    heading text NOT NULL,
    text text STORAGE EXTERNAL NOT NULL,
    UNIQUE (document_id, version, ordinal),
    FOREIGN KEY (document_id, version) REFERENCES document_version ON DELETE CASCADE
);

-- What BM25 reads of a passage: the hashed terms that it has, by which it is found, and the weight
-- of each (see backends/terms.py).
CREATE TABLE passage_terms (
    passage_id uuid PRIMARY KEY REFERENCES passage ON DELETE CASCADE,
    document_id uuid NOT NULL,
    terms integer[] STORAGE MAIN NOT NULL,
    weights sparsevec(1000000000) STORAGE MAIN NOT NULL
);

CREATE INDEX passage_terms_document ON passage_terms (document_id);
-- Without a list of pending entries, which every search would have to read.
CREATE INDEX passage_terms_terms ON passage_terms USING gin (terms) WITH (fastupdate = off);

-- The sentences of a passage with their vectors, so that no question waits for these: for each two
-- offsets within the passage's text; then, a byte a number, the vector of what stands above the
-- passage and one of each sentence. Read only of the few passages that a search returns.
CREATE TABLE passage_sentences (
    passage_id uuid PRIMARY KEY REFERENCES passage ON DELETE CASCADE,
    model text NOT NULL,
    spans integer[] NOT NULL,
    vectors bytea STORAGE EXTERNAL NOT NULL
);

-- In how many passages a hashed term occurs.
CREATE TABLE term (
    hash integer PRIMARY KEY,
    passages bigint NOT NULL
) WITH (fillfactor = 70);

-- One row: how many passages there are.
CREATE TABLE corpus (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    passages bigint NOT NULL DEFAULT 0
);

INSERT INTO corpus DEFAULT VALUES;

-- Whose vectors are there: one space is live and takes what is published, one may be built beside it,
-- old ones are still searched by processes that run with their model.
CREATE TABLE embedding_space (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND 16000),
    state text NOT NULL CHECK (state IN ('building', 'live', 'old')),
    UNIQUE (model, dimension)
);
CREATE UNIQUE INDEX embedding_space_live ON embedding_space (state) WHERE state = 'live';

-- Makes the table of one embedding space; the length of its vectors is what an index has to know.
CREATE FUNCTION create_embedding_table(space integer, dimension integer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS embedding_%s (
            passage_id uuid PRIMARY KEY REFERENCES passage ON DELETE CASCADE,
            document_id uuid NOT NULL,
            embedding halfvec(%s) STORAGE MAIN NOT NULL
        )',
        space,
        dimension
    );
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS embedding_%s_document ON embedding_%s (document_id)',
        space,
        space
    );
END
$$;

-- How many passages name a principal among their readers: at most so many does an asker see, which
-- is what decides how to search.
CREATE TABLE reader (
    principal text PRIMARY KEY,
    passages bigint NOT NULL
) WITH (fillfactor = 70);

CREATE FUNCTION count_readers() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    gone text[];
BEGIN
    -- In one order, so that two publishers wait for one another instead of blocking each other.
    WITH change AS (
        SELECT principal, sum(passages) AS passages
        FROM (
            SELECT unnest(NEW.acl) AS principal, NEW.passages AS passages WHERE TG_OP <> 'DELETE'
            UNION ALL
            SELECT unnest(OLD.acl), -OLD.passages WHERE TG_OP <> 'INSERT'
        ) AS both_sides
        GROUP BY principal
        HAVING sum(passages) <> 0
        ORDER BY principal COLLATE "C"
    ),
    changed AS (
        INSERT INTO reader (principal, passages)
        SELECT principal, passages FROM change
        ON CONFLICT (principal) DO UPDATE SET passages = reader.passages + EXCLUDED.passages
        RETURNING principal, passages
    )
    SELECT array_agg(principal) INTO gone FROM changed WHERE passages = 0;
    DELETE FROM reader WHERE principal = ANY(gone);
    RETURN NULL;
END
$$;

-- At the end of the transaction, as whoever else publishes waits from here on.
CREATE CONSTRAINT TRIGGER document_count_readers
AFTER INSERT OR UPDATE OR DELETE ON document
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION count_readers();

-- Whoever reads on somebody's behalf reads through the functions below and has no right to any
-- table: no statement of the application can forget the access control list.

-- Loads pgvector, so that its settings are known below.
SELECT '[1]'::halfvec;

CREATE FUNCTION condition_holds(stored text, comparison text, wanted jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT EXISTS (
        SELECT FROM jsonb_array_elements(wanted) AS each (item)
        WHERE CASE
            WHEN jsonb_typeof(item) = 'string' THEN
                CASE comparison
                    WHEN '!=' THEN stored <> (item #>> '{}')
                    WHEN '<' THEN stored COLLATE "C" < (item #>> '{}') COLLATE "C"
                    WHEN '<=' THEN stored COLLATE "C" <= (item #>> '{}') COLLATE "C"
                    WHEN '>' THEN stored COLLATE "C" > (item #>> '{}') COLLATE "C"
                    WHEN '>=' THEN stored COLLATE "C" >= (item #>> '{}') COLLATE "C"
                    ELSE stored = (item #>> '{}')
                END
            WHEN stored ~ '^[+-]?[0-9]{1,40}([.][0-9]{1,40})?$' THEN
                CASE comparison
                    WHEN '!=' THEN stored::numeric <> item::numeric
                    WHEN '<' THEN stored::numeric < item::numeric
                    WHEN '<=' THEN stored::numeric <= item::numeric
                    WHEN '>' THEN stored::numeric > item::numeric
                    WHEN '>=' THEN stored::numeric >= item::numeric
                    ELSE stored::numeric = item::numeric
                END
            ELSE false
        END
    )
$$;

-- As holds() in backends/filters.py.
CREATE FUNCTION holds(conditions jsonb, metadata jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(
        bool_and(
            metadata ? (each ->> 'field')
            AND condition_holds(
                metadata ->> (each ->> 'field'), each ->> 'operator', each -> 'values'
            )
        ),
        true
    )
    FROM jsonb_array_elements(conditions) AS list (each)
$$;

-- The statement of a search, as text, so that it can be explained as well as run.
--
--   space    whose vectors
--   dense    'exact': look at every visible passage; 'indexed': at those that HNSW comes across
--   lexical  'exact' likewise; 'terms': at passages with one of the terms $4; 'none'
--
-- Its parameters:
--
--   $1 text[]     who asks
--   $2 halfvec    embedding of the question
--   $3 sparsevec  worth of each of its terms, null without any
--   $4 integer[]  terms by which passages are found
--   $5 jsonb      conditions on the metadata
--   $6 integer    passages that each leg brings along
--   $7 integer    passages to return
--   $8 text       today, an ISO date, by which a newer document is in effect or not
--
-- The access control list stands in both legs, beneath the conditions and before any ranking.
CREATE FUNCTION search_statement(space integer, dense text, lexical text) RETURNS text
LANGUAGE plpgsql STABLE
AS $function$
DECLARE
    allowed CONSTANT text := $$
        document.acl && $1 AND ($5 = '[]'::jsonb OR holds($5, document.metadata))
    $$;
    dense_leg CONSTANT text := CASE dense
        WHEN 'exact' THEN $$
            SELECT one.passage_id, one.document_id, 0 - one.distance
            FROM (
                -- The sum keeps an index from answering approximately.
                SELECT passage_id, document_id, (embedding <#> $2) + 0 AS distance
                FROM %1$I
                WHERE document_id = ANY((SELECT ids FROM visible)::uuid[])
                ORDER BY distance, passage_id
                LIMIT $6
            ) AS one
        $$
        ELSE $$
            SELECT one.passage_id, one.document_id, 0 - (one.embedding <#> $2) AS similarity
            FROM %1$I AS one
            JOIN document ON document.id = one.document_id
            WHERE %2$s
            ORDER BY one.embedding <#> $2
            LIMIT $6
        $$
    END;
    lexical_leg CONSTANT text := CASE lexical
        WHEN 'exact' THEN $$
            SELECT one.passage_id, one.document_id, 0 - one.distance
            FROM (
                SELECT passage_id, document_id, (weights <#> $3) + 0 AS distance
                FROM passage_terms
                WHERE document_id = ANY((SELECT ids FROM visible)::uuid[])
                ORDER BY distance, passage_id
                LIMIT $6
            ) AS one
        $$
        WHEN 'terms' THEN $$
            SELECT one.passage_id, one.document_id, one.lexical
            FROM (
                SELECT passage_id, document_id, 0 - (weights <#> $3) AS lexical
                FROM passage_terms
                WHERE terms && $4
                ORDER BY lexical DESC, passage_id
                OFFSET 0
            ) AS one
            WHERE EXISTS (SELECT FROM document WHERE document.id = one.document_id AND %2$s)
            ORDER BY lexical DESC, passage_id
            LIMIT $6
        $$
        ELSE 'SELECT null::uuid, null::uuid, null::float8 WHERE false'
    END;
BEGIN
    RETURN format(
        $$
        WITH visible AS MATERIALIZED (
            SELECT array_agg(document.id) AS ids FROM document WHERE %2$s
        ),
        dense_leg (passage_id, document_id, similarity) AS MATERIALIZED ( $$ || dense_leg || $$ ),
        every_lexical (passage_id, document_id, lexical) AS MATERIALIZED ( $$ || lexical_leg || $$ ),
        lexical_leg AS (SELECT * FROM every_lexical WHERE lexical > 0),
        found AS (
            SELECT
                passage_id,
                document_id,
                coalesce(
                    dense_leg.similarity,
                    (
                        SELECT 0 - (one.embedding <#> $2)
                        FROM %1$I AS one
                        WHERE one.passage_id = lexical_leg.passage_id
                    ),
                    0
                ) AS similarity,
                coalesce(
                    lexical_leg.lexical,
                    (
                        SELECT 0 - (one.weights <#> $3)
                        FROM passage_terms AS one
                        WHERE one.passage_id = dense_leg.passage_id
                    ),
                    0
                ) AS lexical
            FROM dense_leg
            FULL JOIN lexical_leg USING (passage_id, document_id)
        ),
        -- A leg that is not full has passages without any of the terms at its end.
        scale AS (
            SELECT
                (SELECT min(similarity) FROM dense_leg) AS similarity_low,
                max(similarity) AS similarity_high,
                CASE
                    WHEN (SELECT count(*) FROM lexical_leg) < $6 THEN 0
                    ELSE (SELECT min(lexical) FROM lexical_leg)
                END AS lexical_low,
                max(lexical) AS lexical_high
            FROM found
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
            FROM found
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
                FROM document AS newer
                WHERE newer.metadata ? 'supersedes'
                    AND newer.metadata ->> 'supersedes' = document.source
                    AND newer.acl && $1
                    AND coalesce(newer.metadata ->> 'effective', '') <= $8
            ) AS superseded_by,
            passage_sentences.model AS sentence_model,
            passage_sentences.spans AS sentence_spans,
            passage_sentences.vectors AS sentence_vectors,
            (SELECT count(*) FROM dense_leg) AS in_dense_leg
        FROM fused
        JOIN passage ON passage.id = fused.passage_id
        JOIN document ON document.id = fused.document_id
        LEFT JOIN passage_sentences ON passage_sentences.passage_id = fused.passage_id
        ORDER BY fused.score DESC, fused.similarity DESC, document.source COLLATE "C", passage.ordinal
        LIMIT $7
        $$,
        'embedding_' || space,
        allowed
    );
END
$function$;

-- Which way to search for this asker and these terms, and with what.
--
-- An exact search looks at each visible passage, which is fast up to `exact_up_to` of them. Beyond,
-- HNSW chooses for the dense leg, and for BM25 the question's rarest terms, as many as occur in
-- `terms_up_to` passages together. What is chosen by all terms of the question is exact as well.
CREATE FUNCTION search_plan(
    asked_model text,
    asked_dimension integer,
    asked_principals text[],
    asked_terms integer[],
    most_terms integer,
    exact boolean,
    OUT space integer,
    OUT dense text,
    OUT lexical text,
    OUT worth sparsevec,
    OUT chosen integer[]
)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    exact_up_to CONSTANT bigint := 12000;
    few CONSTANT bigint := 6000;
    terms_up_to CONSTANT bigint := 4000;
    too_common CONSTANT bigint := 20000;
    visible_at_most bigint;
    having_any bigint;
    having_rarest bigint;
    live record;
BEGIN
    SELECT id INTO space FROM embedding_space
    WHERE model = asked_model AND dimension = asked_dimension AND state <> 'building';
    IF space IS NULL THEN
        SELECT model, dimension INTO live FROM embedding_space WHERE state = 'live';
        IF live IS NOT NULL AND EXISTS (SELECT FROM document) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'RS001', MESSAGE = live.model, DETAIL = live.dimension::text;
        END IF;
        RETURN;
    END IF;

    SELECT coalesce(sum(passages), 0) INTO visible_at_most
    FROM reader WHERE principal = ANY(asked_principals);

    -- Robertson's BM25 with the inverse document frequency in Lucene's form, never negative.
    WITH asked AS (
        SELECT
            hash,
            term.passages,
            ln(1 + (corpus.passages - term.passages + 0.5) / (term.passages + 0.5)) AS idf
        FROM unnest(asked_terms) AS wanted (hash)
        JOIN term USING (hash)
        CROSS JOIN corpus
        ORDER BY term.passages, term.hash
        LIMIT most_terms
    ),
    counted AS (
        SELECT *, sum(passages) OVER (ORDER BY passages, hash) AS so_far FROM asked
    )
    SELECT
        format('{%s}/1000000000', string_agg(hash || ':' || idf, ',' ORDER BY hash))::sparsevec,
        array_agg(hash) FILTER (WHERE so_far <= terms_up_to OR so_far = passages),
        max(so_far),
        min(passages)
    INTO worth, chosen, having_any, having_rarest
    FROM counted
    HAVING count(*) > 0;

    dense := CASE
        WHEN exact OR visible_at_most <= exact_up_to THEN 'exact'
        WHEN EXISTS (
            SELECT FROM pg_index
            WHERE indexrelid = to_regclass(format('embedding_%s_hnsw', space)) AND indisvalid
        ) THEN 'indexed'
        ELSE 'exact'
    END;
    lexical := CASE
        WHEN worth IS NULL THEN 'none'
        WHEN visible_at_most <= least(few, 2 * having_any) THEN 'exact'
        WHEN having_any <= terms_up_to THEN 'terms'
        WHEN exact THEN 'exact'
        WHEN having_rarest <= too_common THEN 'terms'
        WHEN visible_at_most <= exact_up_to THEN 'exact'
        ELSE 'none'
    END;
END
$$;

-- The one way to passages for whoever asks.
CREATE FUNCTION search_passages(
    asked_model text,
    asked_dimension integer,
    asked_principals text[],
    asked_terms integer[],
    most_terms integer,
    asked_embedding halfvec,
    conditions jsonb,
    candidates integer,
    most integer,
    today text,
    exact boolean
) RETURNS TABLE (
    id uuid,
    document_id uuid,
    title text,
    source text,
    version integer,
    ordinal integer,
    start_offset integer,
    end_offset integer,
    text text,
    heading text,
    page integer,
    score float8,
    similarity float8,
    lexical float8,
    superseded_by text,
    sentence_model text,
    sentence_spans integer[],
    sentence_vectors bytea
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
-- Passages are fetched by the keys that the legs found; the planner cannot know how few these are.
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
SET enable_sort = off
SET hnsw.ef_search = 120
SET hnsw.iterative_scan = relaxed_order
AS $$
#variable_conflict use_column
DECLARE
    plan record;
    hit record;
    short boolean := true;
BEGIN
    SELECT * INTO plan FROM search_plan(
        asked_model, asked_dimension, asked_principals, asked_terms, most_terms, exact
    );
    IF plan.space IS NULL THEN
        RETURN;
    END IF;
    IF plan.dense = 'indexed' THEN
        FOR hit IN
            EXECUTE search_statement(plan.space, plan.dense, plan.lexical)
            USING asked_principals, asked_embedding, plan.worth, plan.chosen, conditions,
                candidates, most, today
        LOOP
            -- What may be seen is rare where the index looked: then it has to be looked for.
            short := hit.in_dense_leg < candidates;
            EXIT WHEN short;
            id := hit.id;
            document_id := hit.document_id;
            title := hit.title;
            source := hit.source;
            version := hit.version;
            ordinal := hit.ordinal;
            start_offset := hit.start_offset;
            end_offset := hit.end_offset;
            text := hit.text;
            heading := hit.heading;
            page := hit.page;
            score := hit.score;
            similarity := hit.similarity;
            lexical := hit.lexical;
            superseded_by := hit.superseded_by;
            sentence_model := hit.sentence_model;
            sentence_spans := hit.sentence_spans;
            sentence_vectors := hit.sentence_vectors;
            RETURN NEXT;
        END LOOP;
        IF NOT short THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    EXECUTE format(
        'SELECT id, document_id, title, source, version, ordinal, start_offset, end_offset, text,
            heading, page, score, similarity, lexical, superseded_by, sentence_model,
            sentence_spans, sentence_vectors
        FROM (%s) AS found',
        search_statement(plan.space, 'exact', plan.lexical)
    )
    USING asked_principals, asked_embedding, plan.worth, plan.chosen, conditions, candidates, most,
        today;
END
$$;

-- The documents that an asker may see, in the order of their sources.
CREATE FUNCTION visible_documents(asked_principals text[], after text, most bigint)
RETURNS SETOF document
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT * FROM document
    WHERE acl && asked_principals AND source COLLATE "C" > after
    ORDER BY source COLLATE "C"
    LIMIT most
$$;

-- The canonical text of one of them.
CREATE FUNCTION visible_body(asked_principals text[], asked_source text)
RETURNS TABLE (found document, body text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT document, document_version.body
    FROM document
    JOIN document_version
        ON document_version.document_id = document.id
        AND document_version.version = document.live_version
    WHERE document.source = asked_source AND document.acl && asked_principals
$$;

-- One passage, with what a citation says of its document.
CREATE FUNCTION visible_passage(asked_principals text[], asked_id uuid) RETURNS TABLE (
    id uuid,
    document_id uuid,
    title text,
    source text,
    version integer,
    ordinal integer,
    start_offset integer,
    end_offset integer,
    text text,
    heading text,
    page integer
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
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
        passage.page
    FROM passage
    JOIN document
        ON document.id = passage.document_id
        AND document.live_version = passage.version
    WHERE passage.id = asked_id AND document.acl && asked_principals
$$;

-- The metadata fields that there are in the documents that an asker may see.
CREATE FUNCTION visible_fields(asked_principals text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT field COLLATE "C"
    FROM document
    CROSS JOIN LATERAL jsonb_object_keys(metadata) AS field
    WHERE acl && asked_principals
    ORDER BY 1
$$;

DO $$
DECLARE
    door text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO router_reader', current_schema());
    FOREACH door IN ARRAY ARRAY[
        'search_passages',
        'visible_documents',
        'visible_body',
        'visible_passage',
        'visible_fields'
    ] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', door);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %I TO router_reader', door);
    END LOOP;
END
$$;

-- Every version of every adapter. JSON as it was written: the order of a schema's properties is the
-- order in which a model fills them in.
CREATE TABLE adapter (
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    version integer NOT NULL CHECK (version > 0),
    state text NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'live', 'retired')),
    -- Of everything below but the report: what adding the same again is known by.
    fingerprint text NOT NULL,
    base text NOT NULL,
    base_hash text NOT NULL,
    folder text NOT NULL,
    weights_hash text NOT NULL,
    rank integer NOT NULL CHECK (rank > 0),
    description text NOT NULL,
    examples text[] NOT NULL,
    system_prompt text NOT NULL,
    sampling json NOT NULL,
    schema json,
    grammar text,
    slots boolean NOT NULL,
    prompting text NOT NULL CHECK (prompting IN ('instructed', 'bare')),
    evidence_characters integer NOT NULL CHECK (evidence_characters > 0),
    report json,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version),
    UNIQUE (name, fingerprint),
    CHECK (schema IS NULL OR grammar IS NULL)
);

CREATE UNIQUE INDEX adapter_live ON adapter (name) WHERE state = 'live';

-- A version stays what it is: only its state and what was measured of it change, and its number is
-- never given to another.
CREATE FUNCTION keep_adapter_version() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.state <> 'candidate' OR OLD.state = 'candidate') THEN
        OLD.state := NEW.state;
        OLD.report := NEW.report;
        -- As texts, since JSON is not compared otherwise.
        IF OLD::text = NEW::text THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'version % of adapter % cannot be changed', OLD.version, OLD.name
        USING ERRCODE = 'integrity_constraint_violation',
            HINT = 'Add a new version, or retire this one.';
END
$$;

CREATE TRIGGER adapter_keep_version
BEFORE UPDATE OR DELETE ON adapter
FOR EACH ROW EXECUTE FUNCTION keep_adapter_version();
