"""A small language model in this process on onnxruntime-genai, LoRA adapters included."""

from backends.genai.generator import GenaiGenerator
from backends.genai.host import GenaiHost

__all__ = ["GenaiGenerator", "GenaiHost"]
