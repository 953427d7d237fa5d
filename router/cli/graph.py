"""``router graph``: the main path as Mermaid text, drawn from the graph that answers questions."""

from __future__ import annotations

import typer

from router.cli.options import Json
from router.cli.screen import put_json


def graph(as_json: Json = False) -> None:
    """Print the graph as Mermaid text. Needs no database and no model."""
    from router.graph import mermaid

    drawn = mermaid()
    if as_json:
        put_json({"mermaid": drawn})
    else:
        typer.echo(drawn)
