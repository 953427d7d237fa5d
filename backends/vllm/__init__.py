"""The adapter for vLLM and other servers of OpenAI's chat API, LoRA adapters by name included."""

from backends.vllm.client import VllmGenerator
from backends.vllm.host import VllmHost
from backends.vllm.keeper import Keeper
from backends.vllm.pacing import Retries, Timeouts

__all__ = ["Keeper", "Retries", "Timeouts", "VllmGenerator", "VllmHost"]
