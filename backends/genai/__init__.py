"""A small language model in this process on onnxruntime-genai, LoRA adapters included."""

from backends.genai.generator import GenaiGenerator
from backends.genai.host import GenaiHost
from backends.genai.merging import MAX_RANK

__all__ = ["MAX_RANK", "GenaiGenerator", "GenaiHost"]
