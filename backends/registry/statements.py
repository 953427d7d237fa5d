"""The registry's statements, on the table of ``postgres/migrations/0004_adapters.sql``."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = """
    name, version, state, base, base_hash, folder, weights_hash, rank, description, examples,
    system_prompt, sampling, schema, grammar, slots, prompting, evidence_characters, report,
    created_at
"""

ALONE: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.adapter.' || %s, 0))
"""
"""Whoever else adds or promotes a version of that name waits until the transaction ends."""

SAME: Final = (
    f"SELECT {COLUMNS} FROM adapter WHERE name = %(name)s AND fingerprint = %(fingerprint)s"
)

ADD: Final = f"""
INSERT INTO adapter (
    name, version, fingerprint, base, base_hash, folder, weights_hash, rank, description, examples,
    system_prompt, sampling, schema, grammar, slots, prompting, evidence_characters, report
)
SELECT
    %(name)s,
    coalesce(max(version), 0) + 1,
    %(fingerprint)s, %(base)s, %(base_hash)s, %(folder)s, %(weights_hash)s, %(rank)s,
    %(description)s, %(examples)s, %(system_prompt)s, %(sampling)s, %(schema)s, %(grammar)s,
    %(slots)s, %(prompting)s, %(evidence_characters)s, %(report)s
FROM adapter
WHERE name = %(name)s
RETURNING {COLUMNS}
"""

FIND: Final = f"""
SELECT {COLUMNS} FROM adapter
WHERE name = %(name)s AND version = coalesce(%(version)s, version)
ORDER BY state = 'live' DESC, version DESC
LIMIT 1
"""

LIST: Final = f"""
SELECT {COLUMNS} FROM adapter
WHERE state = coalesce(%(state)s, state)
ORDER BY name COLLATE "C", version DESC
"""

RETIRE_LIVE: Final = f"""
UPDATE adapter SET state = 'retired'
WHERE name = %(name)s AND state = 'live' AND version <> %(version)s
RETURNING {COLUMNS}
"""

MAKE_LIVE: Final = f"""
UPDATE adapter SET state = 'live'
WHERE name = %(name)s AND version = %(version)s
RETURNING {COLUMNS}
"""

RETIRE: Final = f"""
UPDATE adapter SET state = 'retired'
WHERE name = %(name)s AND version = %(version)s
RETURNING {COLUMNS}
"""

RECORD: Final = f"""
UPDATE adapter SET report = %(report)s
WHERE name = %(name)s AND version = %(version)s
RETURNING {COLUMNS}
"""
