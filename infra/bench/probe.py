"""Does a look into the documents help where the classifier doubts whether facts are needed?

    uv run python infra/bench/probe.py [--json] [--wide HALF_WIDTH] [--doubts]

Ingests the sample company and looks into it for every question, as the router does for doubtful
ones: the questions about the company (tests/data/sample_company_questions.jsonl, all of which need
facts, held by a document or not) and rows of our own examples that train nothing, those of the
company's walks of life ("near") and all others ("elsewhere", on which the documents are silent
whatever is needed). Each is asked as written and disturbed in four ways
(`router.evaluation.perturb`), because the classifier doubts few of them as written; n counts all
forms, `questions` counts each once.

For the doubtful ones it prints AUROC, Brier score and log loss of needing facts and the share of
right routes, without the probe, with the policy's, and with the weight and centre of least log loss
on all questions but the one that is scored. The doubtful ones are those inside the policy's
uncertain band, and those inside a wider one. `table` is log loss and the share of right routes by
weight and centre, in sample.

Weight and centre were chosen on these very questions, and what judges the evidence was fitted on
those about the company: the figures flatter the probe.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.evidence import EvidenceFinder
    from router.policy import Policy, Route
    from router.probe import Probe
    from router.steps import Steps

ROOT = Path(__file__).parents[2]
QUESTIONS = ROOT / "tests" / "data" / "sample_company_questions.jsonl"
OWN = ("held_out_triples", "golden", "held_out_domains")
WALKS_OF_LIFE = frozenset({"hr", "it", "retail"})
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
CENTRES = (-4.0, -3.0, -2.5, -2.0, -1.5, -1.0, 0.0)
WIDE = 0.35
SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Asked:
    """A labelled question; `number` is the same for its disturbed forms."""

    number: int
    text: str
    needs_facts: bool
    needs_manner: bool
    principal: str
    group: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What the classifier says of a question, and how far the documents support an answer."""

    asked: Asked
    facts: float
    manner: float
    support: float

    def route(self) -> Route:
        """The right one."""
        from router.policy import Policy

        return (
            Policy(uncertain_band=0.0)
            .decide(float(self.asked.needs_facts), float(self.asked.needs_manner))
            .route
        )

    def decided(self, policy: Policy, probe: Probe) -> tuple[float, Route]:
        """Probability of needing facts and route, had this been probed."""
        facts = probe.moved(self.facts, self.support) if probe.weight else self.facts
        return facts, replace(policy, uncertain_band=0.0).decide(facts, self.manner).route


def questions() -> Iterator[Asked]:
    """Every question as written and disturbed."""
    from router.evaluation.perturb import KINDS, perturbed

    for asked in _written():
        yield asked
        texts = {perturbed(kind, asked.text) for kind in KINDS} - {asked.text}
        yield from (replace(asked, text=text) for text in sorted(texts))


def _written() -> Iterator[Asked]:
    from router.tuning.rows import own_rows

    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    company = [json.loads(line) for line in lines]
    for number, row in enumerate(company):
        yield Asked(number, row["question"], True, False, row["principal"], "company")
    own = [row for name in OWN for row in own_rows(name)]
    for number, row in enumerate(own, len(company)):
        # Golden and the triples have these walks of life in common; the domains have others.
        group = "near" if row.domain in WALKS_OF_LIFE else "elsewhere"
        yield Asked(number, row.text, row.needs_facts, row.needs_manner, "everyone", group)


async def look_up(home: Path) -> tuple[Policy, list[Looked]]:
    """Classify every question and look into the documents for it."""
    from router import Settings
    from router.app import open_decisions, open_retrieval
    from router.demo.company import demo_settings, ingest_handbook

    settings = demo_settings(Settings(home=home))
    async with open_retrieval(settings) as retrieval, open_decisions(settings) as steps:
        await ingest_handbook(retrieval.store, retrieval.embedder)
        finder, policy = retrieval.finder(settings.passages), retrieval.policy
        return policy, [await _looked(asked, policy, steps, finder) for asked in questions()]


async def _looked(asked: Asked, policy: Policy, steps: Steps, finder: EvidenceFinder) -> Looked:
    from agents.base import Task
    from router.evaluation.routing import decide
    from router.request import read_request

    request = read_request(asked.text, principal=asked.principal)
    decision = await decide(steps, request.conversation)
    evidence = await finder.find(
        Task(asked.text, request.conversation, request.principals),
        hybrid=decision.needs_manner >= policy.manner_threshold,
    )
    return Looked(asked, decision.needs_facts, decision.needs_manner, evidence.support)


def doubtful(looks: Sequence[Looked], policy: Policy, half_width: float) -> list[Looked]:
    """Those that a policy with such a band would probe."""
    return [one for one in looks if abs(one.facts - policy.facts_threshold) < half_width]


def report(policy: Policy, looks: Sequence[Looked], wide: float) -> dict[str, Any]:
    """Return every figure, by band and by where the questions come from."""
    from router.probe import Probe

    groups = {"company and near": ("company", "near"), "elsewhere": ("elsewhere",)}
    bands: dict[str, Any] = {}
    for name, half_width in (("uncertain band", policy.uncertain_band), ("wide band", wide)):
        for group, members in groups.items():
            inside = [
                one for one in doubtful(looks, policy, half_width) if one.asked.group in members
            ]
            without = [Probe(weight=0.0)] * len(inside)
            bands[f"{name}, {group}"] = {
                "n": len(inside),
                "questions": len({one.asked.number for one in inside}),
                "needing facts": sum(one.asked.needs_facts for one in inside),
                "without": figures(policy, inside, without),
                "with": figures(policy, inside, [policy.probe] * len(inside)),
                "chosen without it": figures(policy, inside, chosen_without(inside)),
                "support alone": auroc(inside, [one.support for one in inside]),
                "table": table(policy, inside),
            }
    return {
        "policy": policy.name,
        "heads": policy.heads,
        "half-widths": {"uncertain band": policy.uncertain_band, "wide band": wide},
        "probe": {"weight": policy.probe.weight, "centre": policy.probe.centre},
        "n": len(looks),
        "bands": bands,
    }


def figures(
    policy: Policy, looks: Sequence[Looked], probes: Sequence[Probe]
) -> Mapping[str, float | None]:
    """How well facts are told, and the share of right routes; None where it cannot be said."""
    from router.tuning.metrics import brier

    if not looks:
        return {}
    decided = [one.decided(policy, probe) for one, probe in zip(looks, probes, strict=True)]
    facts = [probability for probability, _ in decided]
    needed = [one.asked.needs_facts for one in looks]
    right = [route is one.route() for one, (_, route) in zip(looks, decided, strict=True)]
    return {
        "auroc": auroc(looks, facts),
        "brier": brier(facts, needed),
        "log loss": sum(map(surprise, facts, needed)) / len(looks),
        "routes right": sum(right) / len(looks),
    }


def auroc(looks: Sequence[Looked], scores: Sequence[float]) -> float | None:
    """Chance that a question that needs facts scores higher than one that does not."""
    pairs = list(zip(looks, scores, strict=True))
    positive = [score for one, score in pairs if one.asked.needs_facts]
    negative = [score for one, score in pairs if not one.asked.needs_facts]
    if not positive or not negative:
        return None
    wins = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return sum(wins) / len(wins)


def surprise(facts: float, needed: bool) -> float:
    """Log loss of one question, in nats."""
    return -math.log(max(facts if needed else 1 - facts, SMALLEST))


def table(policy: Policy, looks: Sequence[Looked]) -> dict[str, dict[str, float | None]]:
    """Figures by weight and centre, as ``"0.2 -3"``."""
    return {
        f"{probe.weight:g} {probe.centre:g}": {
            key: value
            for key, value in figures(policy, looks, [probe] * len(looks)).items()
            if key in ("log loss", "routes right")
        }
        for probe in _choices()
    }


def chosen_without(looks: Sequence[Looked]) -> list[Probe]:
    """For each question the probe of least log loss on all others."""
    losses = {probe: _surprises(looks, probe) for probe in _choices()}
    chosen = []
    for one in looks:
        others = [at for at, other in enumerate(looks) if other.asked.number != one.asked.number]
        chosen.append(min(losses, key=lambda probe: sum(losses[probe][at] for at in others)))
    return chosen


def _surprises(looks: Sequence[Looked], probe: Probe) -> list[float]:
    return [surprise(probe.moved(one.facts, one.support), one.asked.needs_facts) for one in looks]


def _choices() -> list[Probe]:
    from router.probe import Probe

    centres = {weight: CENTRES if weight else (0.0,) for weight in WEIGHTS}
    return [Probe(weight, centre) for weight in WEIGHTS for centre in centres[weight]]


def main() -> None:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wide", type=float, default=WIDE, help="half-width of the wider band")
    parser.add_argument("--doubts", action="store_true", help="also print the doubtful questions")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        policy, looks = asyncio.run(look_up(Path(home)))
    found = report(policy, looks, arguments.wide)
    if arguments.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    sys.stdout.writelines(shown(found))
    for one in doubtful(looks, policy, policy.uncertain_band) if arguments.doubts else ():
        needs = "facts" if one.asked.needs_facts else "-"
        sys.stdout.write(f"{one.facts:.2f} {one.support:.2f} {needs:6}{one.asked.text[:80]!r}\n")


def shown(found: Mapping[str, Any]) -> Iterator[str]:
    """The report as lines of text."""
    probe = found["probe"]
    yield f"{found['policy']}, heads {found['heads']}, n={found['n']}, "
    yield f"probe weight {probe['weight']:g}, centre {probe['centre']:g}\n"
    for name, band in found["bands"].items():
        yield f"\n{name}: n={band['n']} of {band['questions']} questions, "
        yield f"{band['needing facts']} need facts, AUROC of support "
        yield f"{_figure(band['support alone'])}\n"
        for way in ("without", "with", "chosen without it"):
            values = ", ".join(f"{key} {_figure(value)}" for key, value in band[way].items())
            yield f"  {way:18} {values}\n"
        yield from _table(band["table"]) if band["n"] else ()


def _table(cells: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "  log loss / routes right\n"
    yield f"  {'weight':8}" + "".join(f"{f'centre {centre:g}':>14}" for centre in CENTRES) + "\n"
    for weight in WEIGHTS[1:]:
        row = [cells[f"{weight:g} {centre:g}"] for centre in CENTRES]
        shares = [(cell["log loss"], cell["routes right"]) for cell in row]
        told = "".join(f"{f'{loss:.3f} / {right:.2f}':>14}" for loss, right in shares)
        yield f"  {weight:<8g}{told}\n"


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
