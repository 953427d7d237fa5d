"""Does anybody see, through any door, what they may not see?

    uv run python infra/bench/leaks.py

Ingests a canary document for each kind of principal and for look-alikes of them, asks at every door
of a whole router on the embedded defaults on behalf of many askers, and prints who saw a canary
where. Exit code 1 when anything leaked.
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
    from tests.support.leaks import Cell

COMMANDS_AS = ("everyone", "user:ana in hr", "group:HR")


async def run(home: Path) -> list[Cell]:
    """Measure everything in a folder of its own."""
    from tests.support.leaks import ASKERS, measured, measured_commands, open_house

    async with open_house(home) as house:
        chosen = [one for one in ASKERS if one.name in COMMANDS_AS]
        return [*await measured(house), *await measured_commands(house, chosen)]


def main() -> int:
    """Run it and print the matrix."""
    from tests.support.leaks import table

    with tempfile.TemporaryDirectory() as home:
        cells = asyncio.run(run(Path(home)))
    leaks = [cell for cell in cells if cell.leaked]
    sys.stdout.write(f"{table(cells)}\n\n{len(cells)} cells, {len(leaks)} leaks\n")
    for cell in leaks:
        sys.stdout.write(f"leak: {cell.asker.name} at {cell.door}: {sorted(cell.leaked)}\n")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
