"""``router doctor``: is everything there, does it work, and what to do where it does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from router.cli.opening import run, waiting
from router.cli.options import Invocation, Json, invocation
from router.cli.screen import out, plain, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.cli.findings import Check

_LOOKS = {"ok": ("✓ ok", "green"), "warn": ("! warn", "yellow"), "fail": ("✗ fail", "red")}


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check the installation, part by part."""
    with waiting("checking"):
        checks = _examined(invocation(context))
    failed = sum(check.finding.status == "fail" for check in checks)
    if as_json:
        put_json({"ok": not failed, "checks": [_json(check) for check in checks]})
    else:
        _show(checks)
    if failed:
        raise typer.Exit(1)


def _examined(said: Invocation) -> list[Check]:
    from router.cli.checks import examine
    from router.cli.findings import Check, Finding, skipped
    from router.errors import SettingsError

    try:
        settings = said.settings()
    except SettingsError as error:
        problems = "\n".join(error.problems)
        hint = "Correct these lines; every other check depends on them."
        wrong = Check("settings", Finding("fail", problems, hint))
        return [wrong, skipped("everything else", "the settings are not valid")]
    return [Check("settings", Finding("ok", _origin(said))), *run(examine(settings))]


def _origin(said: Invocation) -> str:
    """Where settings come from; names only, as values may be secrets."""
    file = said.settings_file or os.environ.get("ROUTER_SETTINGS")
    variables = sorted(
        name for name in os.environ if name.startswith("ROUTER_") and name != "ROUTER_SETTINGS"
    )
    parts = [str(file)] if file else []
    parts += [f"the variables {', '.join(variables)}"] if variables else []
    return f"from {' and '.join(parts)}" if parts else "the defaults, nothing else is set"


def _show(checks: Sequence[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = out()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for check in checks:
        look, colour = _LOOKS[check.finding.status]
        told = Text(plain(check.finding.detail))
        if check.finding.hint:
            told.append(f"\n→ {plain(check.finding.hint)}", "bright_black")
        grid.add_row(Text(look, colour), check.name, told)
    console.print(grid)
    counts = {status: sum(c.finding.status == status for c in checks) for status in _LOOKS}
    console.print(
        f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed", style="bold"
    )


def _json(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "status": check.finding.status,
        "detail": check.finding.detail,
        "hint": check.finding.hint,
        "seconds": round(check.seconds, 3),
    }
