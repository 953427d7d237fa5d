"""Rerankers: cross-encoders that read question and passage together."""

from backends.rerank.http import HttpReranker

__all__ = ["HttpReranker"]
