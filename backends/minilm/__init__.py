"""Models that run in this process on onnxruntime, without torch: all-MiniLM-L6-v2 and its like."""

from backends.minilm.embedder import MiniLmEmbedder
from backends.minilm.exits import EarlyExitEncoder
from backends.minilm.weights import MODEL

__all__ = ["MODEL", "EarlyExitEncoder", "MiniLmEmbedder"]
