"""What does an embedding cost in this process?

    uv run python infra/bench/embedder.py

Prints the median and the 99th percentile for texts of a question's, a sentence's and a passage's
length with one thread and with two, each beside the shortest text with one thread in the same run.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from time import perf_counter

WORD = "boots "
TOKENS = (11, 43, 250)
RUNS = 60


async def measured(cache: Path, threads: int) -> dict[int, list[float]]:
    """Return milliseconds of each run, sorted, by number of tokens."""
    from backends.minilm import MiniLmEmbedder

    async with MiniLmEmbedder.open(cache, threads=threads) as embedder:
        taken: dict[int, list[float]] = {}
        for tokens in TOKENS:
            text = WORD * (tokens - 2)  # two are special
            assert embedder.count_tokens(text) == tokens
            await embedder.embed([text])
            taken[tokens] = []
            for _ in range(RUNS):
                began = perf_counter()
                await embedder.embed([text])
                taken[tokens].append((perf_counter() - began) * 1000)
        return {tokens: sorted(runs) for tokens, runs in taken.items()}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        results = {threads: asyncio.run(measured(Path(folder), threads)) for threads in (1, 2)}
    unit = results[1][TOKENS[0]][RUNS // 2]
    for threads, by_tokens in results.items():
        for tokens, runs in by_tokens.items():
            middle, late = runs[RUNS // 2], runs[int(RUNS * 0.99)]
            sys.stdout.write(
                f"threads {threads}  tokens {tokens:3}  p50 {middle:6.2f} ms  p99 {late:6.2f} ms"
                f"  {middle / unit:5.1f} x\n"
            )


if __name__ == "__main__":
    main()
