"""Documents and their search in PostgreSQL with pgvector."""

from backends.pgvector.spaces import Reindexing
from backends.pgvector.store import PgvectorStore, open_pgvector

__all__ = ["PgvectorStore", "Reindexing", "open_pgvector"]
