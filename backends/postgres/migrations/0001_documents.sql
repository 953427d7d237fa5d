-- Documents, their versions, their passages, and what BM25 has to know of them all.

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

-- The canonical text of every version; only the live one has passages.
CREATE TABLE document_version (
    document_id uuid NOT NULL REFERENCES document ON DELETE CASCADE,
    version integer NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, version)
);

-- Vectors stay within the row (STORAGE MAIN), since every search reads them; the text moves out
-- when the row gets long. The embedding has no fixed length because the model is a setting; the
-- table embedding_space holds all of them to one.
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
    embedding halfvec STORAGE MAIN NOT NULL,
    -- BM25 weight of each hashed term, see backends/terms.py.
    weights sparsevec(1000000000) STORAGE MAIN NOT NULL,
    UNIQUE (document_id, version, ordinal),
    FOREIGN KEY (document_id, version) REFERENCES document_version ON DELETE CASCADE
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

-- One row: the model that every stored embedding comes from.
CREATE TABLE embedding_space (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    model text NOT NULL,
    dimension integer NOT NULL CHECK (dimension BETWEEN 1 AND 16000)
);
