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
