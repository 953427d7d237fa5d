-- What a search reads gets narrow tables of its own, and what it has to know gets counted: the text
-- of a passage is read only once it is found.

-- The temporary schema last, which functions would otherwise look into first.
DO $$
BEGIN
    PERFORM set_config('search_path', current_setting('search_path') || ',pg_temp', true);
END
$$;

CREATE TABLE passage_terms (
    passage_id uuid PRIMARY KEY REFERENCES passage ON DELETE CASCADE,
    document_id uuid NOT NULL,
    terms integer[] STORAGE MAIN NOT NULL,
    weights sparsevec(1000000000) STORAGE MAIN NOT NULL
);

INSERT INTO passage_terms (passage_id, document_id, terms, weights)
SELECT
    id,
    document_id,
    ARRAY(
        SELECT split_part(entry, ':', 1)::integer
        FROM unnest(
            string_to_array(nullif(btrim(split_part(weights::text, '/', 1), '{}'), ''), ',')
        ) AS entry
    ),
    weights
FROM passage;

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

CREATE TEMPORARY TABLE embedded_with ON COMMIT DROP AS
SELECT model, dimension FROM embedding_space;

DROP TABLE embedding_space;

CREATE TABLE embedding_space (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND 16000),
    state text NOT NULL CHECK (state IN ('building', 'live', 'old')),
    UNIQUE (model, dimension)
);

INSERT INTO embedding_space (model, dimension, state)
SELECT model, dimension, 'live' FROM embedded_with;

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

DO $$
DECLARE
    live record;
BEGIN
    FOR live IN SELECT id, dimension FROM embedding_space LOOP
        PERFORM create_embedding_table(live.id, live.dimension);
        EXECUTE format(
            'INSERT INTO embedding_%s
            SELECT id, document_id, l2_normalize(embedding) FROM passage',
            live.id
        );
    END LOOP;
END
$$;

ALTER TABLE passage DROP COLUMN embedding, DROP COLUMN weights;

CREATE INDEX document_supersedes ON document ((metadata ->> 'supersedes'))
WHERE metadata ? 'supersedes';

-- How many passages name a principal among their readers: at most so many does an asker see, which
-- is what decides how to search.
CREATE TABLE reader (
    principal text PRIMARY KEY,
    passages bigint NOT NULL
) WITH (fillfactor = 70);

INSERT INTO reader (principal, passages)
SELECT principal, sum(passages)
FROM document
CROSS JOIN LATERAL unnest(acl) AS principal
WHERE passages > 0
GROUP BY principal;

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
