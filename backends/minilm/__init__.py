"""The embedder that runs in this process: all-MiniLM-L6-v2 on onnxruntime, without torch."""

from backends.minilm.embedder import MiniLmEmbedder

__all__ = ["MiniLmEmbedder"]
