"""``router eval behaviour``: does an adapter do what it was trained for, and better than before?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.cli.behaviour_shown import shown
from router.cli.measuring import bars
from router.cli.opening import run
from router.cli.options import Json, invocation
from router.cli.screen import err, out, plain, put_json

if TYPE_CHECKING:
    from router.config import Settings
    from router.evaluation.behaviour_run import Order

_PHASES: Final = {"asking": "asking"}


def behaviour(
    context: typer.Context,
    adapter: Annotated[
        str,
        typer.Argument(
            metavar="ADAPTER", help="A name, which means its live version, or NAME@VERSION."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="One chat a line, as router finetune reads them: messages, of which the last one "
            "is the reference; evidence (sentences) and style may stand beside. Without it, the "
            "rows that ship for the starter's adapters.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="NAME@VERSION", help="Compare with this instead of the live one."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Ask at most N rows, always the same ones."
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Put the figures into the version's report.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure an adapter beside its live version and its base.

    All of them answer as they would answer users.
    """
    from router.evaluation.behaviour_run import Order

    order = Order(adapter, data, against, limit, record)
    figures = run(_measured(order, invocation(context).settings()))
    if as_json:
        put_json(figures)
    else:
        for part in shown(figures):
            out().print(part, soft_wrap=isinstance(part, str))
    if not figures["complete"]:
        _tell_stop(figures, recorded_wanted=record)
        raise typer.Exit(1)
    if record:
        err().print(f"recorded: {plain(figures['adapter'])}", soft_wrap=True)


async def _measured(order: Order, settings: Settings) -> dict[str, Any]:
    from router.evaluation.behaviour_run import measure, opened

    async with opened(settings) as on:
        with bars(_PHASES) as after:
            return await measure(order, on, lambda done, total: after("asking", done, total))


def _tell_stop(figures: dict[str, Any], *, recorded_wanted: bool) -> None:
    left = figures["asked"] - figures["n"]
    kept = " Nothing was recorded." if recorded_wanted else ""
    err().print(
        f"Stopped after {figures['n']} of {figures['asked']} rows; {left} were not answered by "
        f"all.{kept} {plain(figures['stopped']['message'])}",
        style="red",
        soft_wrap=True,
    )
