"""Adapters to rows and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psycopg.types.json import Json

from backends.adapter_fields import spec_json
from backends.adapters import Adapter, AdapterSpec, AdapterState
from backends.generation import Sampling


def values(spec: AdapterSpec) -> Mapping[str, Any]:
    """A new version as the parameters of `statements.ADD`."""
    sampling = {key: value for key, value in asdict(spec.sampling).items() if value is not None}
    return {
        "name": spec.name,
        "fingerprint": fingerprint(spec),
        "base": spec.base,
        "base_hash": spec.base_hash,
        "folder": str(spec.folder),
        "weights_hash": spec.weights_hash,
        "rank": spec.rank,
        "description": spec.description,
        "examples": list(spec.examples),
        "system_prompt": spec.system_prompt,
        "sampling": Json(sampling),
        "schema": None if spec.schema is None else Json(dict(spec.schema)),
        "grammar": spec.grammar,
        "slots": spec.slots,
        "prompting": spec.prompting,
        "evidence_characters": spec.evidence_characters,
        "report": report(spec.report),
    }


def report(measured: Mapping[str, Any] | None) -> Json | None:
    """A report as a parameter."""
    return None if measured is None else Json(dict(measured))


def fingerprint(spec: AdapterSpec) -> str:
    """SHA-256, in hexadecimal, of what a version consists of: everything but the report."""
    said = {key: value for key, value in spec_json(spec).items() if key != "report"}
    text = json.dumps(said | {"folder": str(spec.folder)}, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def adapter(row: Mapping[str, Any]) -> Adapter:
    """A row of `statements.COLUMNS` as a record."""
    sampling = row["sampling"] | {"stop": tuple(row["sampling"].get("stop", ()))}
    fields = {
        key: value for key, value in row.items() if key not in ("version", "state", "created_at")
    }
    fields |= {
        "folder": Path(row["folder"]),
        "examples": tuple(row["examples"]),
        "sampling": Sampling(**sampling),
    }
    return Adapter(
        spec=AdapterSpec(**fields),
        version=row["version"],
        state=AdapterState(row["state"]),
        created_at=row["created_at"],
    )
