"""One real vLLM for all tests of this folder."""

from tests.support.real_vllm import real_vllm

__all__ = ["real_vllm"]
