"""What does an answer of the in-process model cost: first token, tokens a second, memory?

    uv run python infra/bench/generation.py

One run opens a whole router on the embedded database with the sample company's handbook in it. It
prints the time from a question to the first token of its answer, decision and retrieval included;
first token and tokens a second of the model alone, for prompts of several lengths, with the
processor's time a token, which other programs on the machine change less than the clock's; and the
memory of this process with every shipped adapter read, which is everything but PostgreSQL. Another
process has built the graphs and ingested before, as a service finds them when it starts again.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.generation import Generator
    from router import Router, Settings

QUESTIONS = {
    "behavioural": "Write a friendly reply to a customer whose parcel came a day late.",
    "hybrid": "Write a warm reply to a customer who asks how long boots may be returned.",
}
PROMPT_TOKENS = (50, 200, 400, 800)
RUNS = 20

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Taken:
    """One answer of the model alone."""

    prompt_tokens: int
    made: int
    first_ms: float
    rest_ms: float
    processor_ms: float


async def asked(router: Router, route: str) -> float:
    """Return milliseconds from a question to the first token of its answer."""
    from router import Token

    began, first = perf_counter(), 0.0
    async for event in router.stream(QUESTIONS[route], principal="group:stores", route=route):
        if isinstance(event, Token) and not first:
            first = (perf_counter() - began) * 1000
    return first


async def made(generator: Generator, tokens: int) -> Taken:
    """Let the model alone answer a prompt of about so many tokens."""
    from backends.base import Message
    from backends.generation import GenerationRequest, Sampling, Usage

    words = "Write a friendly reply. " * tokens
    request = GenerationRequest(
        (Message("user", words[: 4 * tokens]),),
        sampling=Sampling(max_tokens=100),
        # What has no end, so that each run makes as many tokens.
        grammar="start: /[a-z ]+/",
    )
    usage, first, began, used = Usage(), 0.0, perf_counter(), process_time()
    async for chunk in generator.stream(request):
        first = first or perf_counter() - began
        usage = chunk.usage or usage
    whole, processor = perf_counter() - began, process_time() - used
    return Taken(
        usage.input_tokens,
        usage.output_tokens,
        first * 1000,
        (whole - first) * 1000,
        processor * 1000,
    )


async def prepare(home: Path) -> None:
    """Build every graph, and ingest the handbook."""
    from router import Router
    from router.demo.company import ingest_handbook

    async with Router.open(_settings(home)) as router:
        await ingest_handbook(router.documents, router.embedder)


async def measure(home: Path) -> None:
    """Measure and print."""
    from router import Router
    from router.adapters import open_generator, shipped_adapters

    settings = _settings(home)
    async with Router.open(settings) as router:
        for folder in shipped_adapters():
            await router.ask("Hello!", route="behavioural", adapter=folder.name)
        for route in QUESTIONS:
            await asked(router, route)
            runs = sorted([await asked(router, route) for _ in range(RUNS)])
            _say(f"{route:12} question to first token  {_spread(runs)}")
        _say(f"{'memory':12} {_memory()}")
    async with open_generator(settings) as generator:
        assert generator is not None
        for tokens in PROMPT_TOKENS:
            await made(generator, tokens)
            _show([await made(generator, tokens) for _ in range(RUNS)])
    _say(f"{'machine':12} {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def _settings(home: Path) -> Settings:
    from router import Settings
    from router.demo.company import demo_settings

    return demo_settings(Settings(home=home, vllm_url=()))


def _show(runs: Sequence[Taken]) -> None:
    rest = sum(run.rest_ms for run in runs) / 1000
    tokens = sum(run.made - 1 for run in runs)
    processor = sum(run.processor_ms for run in runs) / sum(run.made for run in runs)
    first = sorted(run.first_ms for run in runs)
    _say(
        f"prompt {runs[0].prompt_tokens:4}  first token {_spread(first)}  "
        f"{tokens / rest:6.0f} tokens/s  processor {processor:5.2f} ms a token"
    )


def _spread(runs: Sequence[float]) -> str:
    return f"p50 {runs[len(runs) // 2]:6.1f} ms  worst {runs[-1]:6.1f} ms"


def _memory() -> str:
    """What this process holds, and has held at most, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not _STATUS.exists():
        return f"at most {most:.0f} MiB"
    held = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return f"{int(held.split()[1]) / 1024:.0f} MiB, at most {most:.0f} MiB"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        asyncio.run(prepare(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([sys.executable, __file__, home], check=True)  # noqa: S603
        asyncio.run(measure(Path(home)))


if __name__ == "__main__":
    main()
