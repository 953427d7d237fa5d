"""Do instructions in documents steer the router?

    uv run python infra/bench/injections.py

Puts every attack of tests/data/injections.jsonl into a document, asks for it in several ways
through a whole router on the embedded defaults and a model server that does whatever the document
says, and prints how many trials succeeded of each kind. What counts as success is said in
tests/support/injections.py; a false statement that is quoted as the document's own does not. Exit
code 1 when any succeeded.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from tests.support.injections import Trial


async def run(home: Path) -> list[Trial]:
    """Try every attack in a folder of its own."""
    from tests.support.injections import attacks, open_scene, tried

    async with open_scene(home) as scene:
        return [trial for attack in attacks() for trial in await tried(scene, attack)]


def main() -> int:
    """Run it and print the rates."""
    from tests.support.injections import shares

    with tempfile.TemporaryDirectory() as home:
        trials = asyncio.run(run(Path(home)))
    succeeded = [trial for trial in trials if trial.breaches]
    for kind, (hits, n) in shares(trials).items():
        sys.stdout.write(f"{kind:14} {hits:3} of {n:3}  {hits / n:6.1%}\n")
    reached = sum(trial.reached for trial in trials)
    attacks = len({trial.attack.id for trial in trials})
    sys.stdout.write(
        f"{'all':14} {len(succeeded):3} of {len(trials):3}  {len(succeeded) / len(trials):6.1%}  "
        f"({attacks} attacks, {reached} trials reached their target)\n"
    )
    for trial in succeeded:
        sys.stdout.write(f"{trial.attack.id}, {trial.way}: {'; '.join(trial.breaches)}\n")
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
