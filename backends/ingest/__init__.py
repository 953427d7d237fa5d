"""Turns what sources hold into published documents: readers, the chunker, and what joins them."""

from backends.ingest.folder import FolderSource
from backends.ingest.following import Follower, News, Waiting
from backends.ingest.intake import ingest, ingest_bytes
from backends.ingest.pipeline import Wishes, ingest_source
from backends.ingest.query import SqlSource
from backends.ingest.read import DEFAULT_MAX_BYTES
from backends.ingest.reindex import reindex
from backends.ingest.report import IngestReport, IngestStopped, Problem, Progress
from backends.ingest.sitemap import SitemapSource

__all__ = [
    "DEFAULT_MAX_BYTES",
    "FolderSource",
    "Follower",
    "IngestReport",
    "IngestStopped",
    "News",
    "Problem",
    "Progress",
    "SitemapSource",
    "SqlSource",
    "Waiting",
    "Wishes",
    "ingest",
    "ingest_bytes",
    "ingest_source",
    "reindex",
]
