"""``router search``: the passages that an answer would rest on, without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.ask import prepare, readable
from router.cli.opening import opened_router, run, waiting
from router.cli.options import As, Demo, Json, Where, invocation
from router.cli.screen import err, one_line, out, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from backends.base import ScoredPassage
    from router.answer import Found
    from router.config import Settings

_SHOWN = 240
"""Characters of a passage; --json has the rest."""


def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What to search for.")],
    principal: As = "everyone",
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", help="Most passages to show, 1 to 50.")] = 10,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Find passages without answering."""
    settings = invocation(context).settings(demo=demo)
    conditions = tuple(where or ())
    found = run(_search(settings, readable(query), principal, conditions, limit, demo=demo))
    if as_json:
        from router.serialise import found_json

        put_json(found_json(found))
    elif found.passages:
        for hit in found.passages:
            out().print(_shown(hit), end="\n\n")
    else:
        err().print("Nothing was found among the documents that you may see.")


async def _search(
    settings: Settings,
    query: str,
    principal: str,
    where: Sequence[str],
    limit: int,
    *,
    demo: bool,
) -> Found:
    with waiting("opening") as ready:
        async with opened_router(settings) as router:
            if demo:
                ready()
                await prepare(router)
            return await router.search(query, principal=principal, where=where, limit=limit)


def _shown(hit: ScoredPassage) -> Text:
    from rich.text import Text

    passage = hit.passage
    heading = f" › {passage.heading}" if passage.heading else ""
    page = f", page {passage.page}" if passage.page is not None else ""
    return Text.assemble(
        (f"{hit.score:.2f}  ", "bold"),
        (one_line(f"{passage.title}{heading}{page}", 80), "green"),
        (f"\n{one_line(f'{passage.source}, passage {passage.id}', 200)}", "bright_black"),
        f"\n{one_line(passage.text, _SHOWN)}",
    )
