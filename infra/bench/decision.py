"""What does a decision cost in this process, from the question to the route?

    uv run python infra/bench/decision.py

Prints the median and the 99th percentile for a short question, a sentence, a paragraph and a long
paste, through the path that production takes (rules, encoder, heads, policy; no judge, nobody
answers), each beside one pass of the embedder over eleven tokens in the same run: machines differ,
that ratio less. For one core, put ``taskset -c 0`` before it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from time import perf_counter

QUESTIONS = {
    "short": "How many days of annual leave do I get?",
    "sentence": "Write a friendly reply to a customer who asks how long unworn boots may be "
    "returned and whether the box has to be whole.",
    "paragraph": "I moved here in March and work four days a week. " * 5
    + "How much leave is left for me this year?",
    "paste": "The minutes say that the gate stays closed and that nobody knows why. " * 286
    + "Summarise this in three points.",
}
"""The last has four thousand tokens."""

PASTE_TOKENS = 4_000
RUNS = 200


async def measured(home: Path) -> tuple[float, dict[str, list[float]]]:
    """Return the median of one embedder pass, and each kind's runs, sorted; milliseconds."""
    from backends.base import Message
    from backends.minilm import MiniLmEmbedder
    from router.app import open_decisions
    from router.config import Settings
    from router.evaluation.routing import decide

    async with MiniLmEmbedder.open(home / "models", workers=1) as embedder:
        assert embedder.count_tokens(QUESTIONS["paste"]) >= PASTE_TOKENS
        text = "boots " * 9
        passes = [await _timed(embedder.embed([text])) for _ in range(RUNS)]
    taken: dict[str, list[float]] = {}
    async with open_decisions(Settings(home=home)) as steps:
        for kind, question in QUESTIONS.items():
            conversation = (Message("user", question),)
            await decide(steps, conversation)
            runs = [await _timed(decide(steps, conversation)) for _ in range(RUNS)]
            taken[kind] = sorted(runs)
    return sorted(passes)[RUNS // 2], taken


async def _timed(work: Awaitable[object]) -> float:
    began = perf_counter()
    await work
    return (perf_counter() - began) * 1000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        unit, taken = asyncio.run(measured(Path(folder)))
    sys.stdout.write(f"one embedder pass over 11 tokens: p50 {unit:.2f} ms\n")
    for kind, runs in taken.items():
        middle, late = runs[RUNS // 2], runs[int(RUNS * 0.99)]
        sys.stdout.write(
            f"{kind:9}  p50 {middle:6.2f} ms  p99 {late:6.2f} ms  {middle / unit:5.1f} x\n"
        )


if __name__ == "__main__":
    main()
