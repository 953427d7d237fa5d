"""How fast are documents taken in, and what does a larger corpus cost in memory?

    uv run python infra/bench/ingest.py [--docs FOLDER] [--json]

Prints three figures, all through the production path on an embedded database of their own:
passages a second from nothing with the MiniLM that ships, on a folder of real documents; unchanged
documents a second on a folder of small files; and how much the process grows while it takes in a
corpus, and one of ten times as many documents. Where the embedder is not what is measured, in the
second and the third, its twin takes its place, which costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.ingest import IngestReport
    from router.config import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT.parent / "shared" / "data" / "handbook" / "docs"

SMALL_FILES = 5_000
CORPUS = 200
"""Documents of the smaller corpus whose cost in memory is measured, of about 20 passages each."""

WORDS = ("boots", "rain", "return", "within", "year", "order", "size", "leather", "refund", "store")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of real documents")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--grow", nargs=2, metavar=("HOME", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.grow:
        home, folder = map(Path, asked.grow)
        sys.stdout.write(json.dumps(asyncio.run(grown(home, folder))))
        return
    if not asked.docs.is_dir():
        parser.error(f"{asked.docs} is not a folder; name one with --docs")
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as scratch:
        figures = asyncio.run(measured(Path(scratch), asked.docs))
    sys.stdout.write(json.dumps(figures) + "\n" if asked.json else _lines(figures))


async def measured(scratch: Path, docs: Path) -> dict[str, Any]:
    """Return all figures; the database lives as long as this takes."""
    from backends.postgres import embedded_server

    home = scratch / "home"
    async with embedded_server(home / "postgres"):
        cold = await from_nothing(home, docs)
        small = _folder(scratch / "small", SMALL_FILES, sentences=2)
        first = await with_twin(home, small, "small")
        again = await with_twin(home, small, "small")
        memory = {}
        for times in (1, 10):
            folder = _folder(scratch / f"times{times}", times * CORPUS, sentences=300)
            memory[times] = await asyncio.to_thread(_grown_apart, home, folder)
    return {
        "cold": _figures(cold, cold.passages, "passages"),
        "first_small": _figures(first, first.published, "documents"),
        "unchanged": _figures(again, again.unchanged, "documents"),
        "memory": {f"{times}x": figures for times, figures in memory.items()},
    }


async def from_nothing(home: Path, docs: Path) -> IngestReport:
    """Take in real documents with the real embedder."""
    from backends.ingest import ingest
    from router.adapters import open_embedder, open_store

    settings = _settings(home, "cold")
    async with open_embedder(settings) as embedder, open_store(settings, embedder) as store:
        return await ingest([docs], store=store, embedder=embedder, acl=_everyone())


async def with_twin(home: Path, folder: Path, schema: str) -> IngestReport:
    """Take a folder in as the command line does, but for the embedder."""
    from backends.ingest import ingest
    from backends.memory.embedder import HashingEmbedder
    from router.adapters import open_store

    embedder = HashingEmbedder()
    async with open_store(_settings(home, schema), embedder) as store:
        return await ingest(
            [folder], store=store, embedder=embedder, acl=_everyone(), keeping=True, prune=True
        )


async def grown(home: Path, folder: Path) -> dict[str, float]:
    """Return by how much this process has grown at most, after a first small run."""
    with tempfile.TemporaryDirectory() as scratch:
        await with_twin(home, _folder(Path(scratch) / "first", 20, sentences=300), folder.name)
    before = _peak_mib()
    report = await with_twin(home, folder, folder.name)
    return {
        "documents": report.published,
        "passages": report.passages,
        "before_mib": round(before, 1),
        "grown_mib": round(_peak_mib() - before, 1),
    }


def _grown_apart(home: Path, folder: Path) -> dict[str, float]:
    """In a process of its own: a peak is never forgotten."""
    done = subprocess.run(  # noqa: S603 - this file itself
        [sys.executable, str(Path(__file__)), "--grow", str(home), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _folder(root: Path, files: int, *, sentences: int) -> Path:
    """Write files of made-up sentences, the same each time, a thousand to a folder."""
    rng = random.Random(files)  # noqa: S311 - no secret
    for number in range(files):
        folder = root / f"{number // 1000:03}"
        folder.mkdir(parents=True, exist_ok=True)
        text = " ".join(_sentence(rng) for _ in range(sentences))
        (folder / f"{number:06}.md").write_text(f"# Page {number}\n\n{text}\n", encoding="utf-8")
    return root


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=12)).capitalize() + "."


def _settings(home: Path, schema: str) -> Settings:
    from router.config import Settings

    return Settings(home=home, database_schema=f"bench_{schema}")


def _everyone() -> Any:
    from backends.principals import EVERYONE

    return frozenset({EVERYONE})


def _peak_mib() -> float:
    """The most that this process has ever held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process held that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _figures(report: IngestReport, number: int, what: str) -> dict[str, float]:
    return {
        what: number,
        "seconds": round(report.seconds, 2),
        f"{what}_per_second": round(number / report.seconds, 1),
        "problems": len(report.problems),
    }


def _lines(figures: dict[str, Any]) -> str:
    cold, unchanged, memory = figures["cold"], figures["unchanged"], figures["memory"]
    lines = [
        f"from nothing   {cold['passages']} passages in {cold['seconds']} s:"
        f" {cold['passages_per_second']} passages/s",
        f"unchanged      {unchanged['documents']} documents in {unchanged['seconds']} s:"
        f" {unchanged['documents_per_second']} documents/s",
    ]
    for times, grown in memory.items():
        lines.append(
            f"memory {times:>4}    {grown['passages']} passages:"
            f" grown by {grown['grown_mib']} MiB at most (from {grown['before_mib']} MiB)"
        )
    return "\n".join(lines) + "\n"


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are."""


if __name__ == "__main__":
    main()
