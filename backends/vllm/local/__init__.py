"""A vLLM on this machine, in the background: found or installed, started, looked at, stopped."""

from backends.vllm.local.engines import Engine, find_engine, serve_line
from backends.vllm.local.server import Launch, LocalServer, Running

__all__ = ["Engine", "Launch", "LocalServer", "Running", "find_engine", "serve_line"]
