"""One real vLLM of each kind for all tests of this folder."""

from tests.support.real_vllm import local_vllm, real_vllm

__all__ = ["local_vllm", "real_vllm"]
