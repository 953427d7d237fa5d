"""How well does the whole main path answer questions about the sample company?

    uv run python infra/bench/sample_company.py [--json]

Ingests the handbook, asks tests/data/sample_company_questions.jsonl through the production path on
the embedded defaults, and prints what was found, what was answered rightly, and what was answered
although no document holds it for that asker; shares with n and a 95 % Wilson interval.

The weights of the extractive ranking were chosen on these very questions, and they take part in
fitting what judges the evidence: the figures guard against getting worse and say little about
questions of strangers, for which there is `python -m router.tuning.fit_evidence`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
QUESTIONS = ROOT / "tests" / "data" / "sample_company_questions.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question and what came of it."""

    row: dict[str, Any]
    text: str
    abstained: bool
    found: tuple[str, ...]
    cited: tuple[str, ...]
    support: float
    total_ms: float

    @property
    def right(self) -> bool:
        """The answer quotes the right document and holds the words that it must hold."""
        return self.row["source"] in self.cited and self.row["answer"] in self.text


async def ask_all(rows: Sequence[dict[str, Any]], home: Path) -> list[Outcome]:
    """Ask every question on behalf of its principal, on the factual route."""
    from router import Router, Settings
    from router.demo.company import demo_settings, ingest_handbook

    settings = demo_settings(Settings(home=home))
    async with Router.open(settings) as router:
        await ingest_handbook(router.documents, router.embedder, lambda _: None)
        outcomes = []
        for row in rows:
            answer = await router.ask(row["question"], principal=row["principal"], route="factual")
            evidence = answer.evidence
            assert evidence is not None
            outcomes.append(
                Outcome(
                    row=row,
                    text=answer.text,
                    abstained=answer.abstained,
                    found=tuple(Path(hit.passage.source).name for hit in evidence.passages),
                    cited=tuple(Path(citation.source).name for citation in answer.citations),
                    support=evidence.support,
                    total_ms=answer.timings_ms["total"],
                )
            )
    return outcomes


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return every figure, shares as {share, n, low, high}."""
    answerable = [one for one in outcomes if one.row["source"]]
    unanswerable = [one for one in outcomes if not one.row["source"]]
    answered = [one for one in answerable if not one.abstained]
    times = sorted(one.total_ms for one in outcomes)
    return {
        "hit_at_1": share([one.row["source"] in one.found[:1] for one in answerable]),
        "hit_at_6": share([one.row["source"] in one.found for one in answerable]),
        "coverage": share([not one.abstained for one in answerable]),
        "right_of_answered": share([one.right for one in answered]),
        "false_answers": share([not one.abstained for one in unanswerable]),
        "false_answers_by_reason": {
            why: share([not one.abstained for one in unanswerable if one.row["why"] == why])
            for why in sorted({one.row["why"] for one in unanswerable})
        },
        "auroc": auroc([one.support for one in answerable], [one.support for one in unanswerable]),
        "answer_ms": {"p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)]},
    }


def share(hits: Sequence[bool]) -> dict[str, float]:
    """A share with its 95 % interval (Wilson 1927, score interval)."""
    n, z = len(hits), 1.96
    p = sum(hits) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"share": p, "n": n, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Chance that an answerable question has more support than one that is not."""
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return sum(pairs) / len(pairs)


def main() -> None:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wrong", action="store_true", help="also print what went wrong")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as home:
        outcomes = asyncio.run(ask_all(rows, Path(home)))
    figures = report(outcomes)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name:24} {shown(value)}\n")
    for one in outcomes if arguments.wrong else ():
        if one.abstained == bool(one.row["source"]) or (one.row["source"] and not one.right):
            sys.stdout.write(f"{one.support:.2f} {one.row['why']:10} {one.row['question']}\n")
            sys.stdout.write(f"     wanted {one.row['answer']!r}, said {one.text!r}\n")


def shown(value: Any) -> str:
    """One figure as text."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if "share" in value:
        return f"{value['share']:.3f} [{value['low']:.3f}, {value['high']:.3f}] n={value['n']}"
    return ", ".join(f"{name} {shown(each)}" for name, each in value.items())


if __name__ == "__main__":
    main()
