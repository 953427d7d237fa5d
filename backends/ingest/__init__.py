"""Turns files into published documents: readers, the chunker, and the use case that joins them."""

from backends.ingest.pipeline import (
    IngestReport,
    IngestStopped,
    Problem,
    Progress,
    ingest,
    ingest_bytes,
    readers_so_far,
)
from backends.ingest.read import DEFAULT_MAX_BYTES

__all__ = [
    "DEFAULT_MAX_BYTES",
    "IngestReport",
    "IngestStopped",
    "Problem",
    "Progress",
    "ingest",
    "ingest_bytes",
    "readers_so_far",
]
