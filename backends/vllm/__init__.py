"""The adapter for vLLM and other servers of OpenAI's chat API, LoRA adapters by name included."""

from backends.vllm.client import VllmGenerator
from backends.vllm.pacing import Retries, Timeouts

__all__ = ["Retries", "Timeouts", "VllmGenerator"]
