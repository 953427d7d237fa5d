"""Documents and their search in PostgreSQL with pgvector."""

from backends.pgvector.store import PgvectorStore

__all__ = ["PgvectorStore"]
