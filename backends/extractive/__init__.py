"""A generator without a model: it quotes the sentences of the evidence that answer best."""

from backends.extractive.generator import ExtractiveGenerator

__all__ = ["ExtractiveGenerator"]
