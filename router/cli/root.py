"""Joins the commands into one application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.cli import (
    adapters,
    ask,
    chat,
    demo,
    doctor,
    documents,
    evaluate,
    finetune,
    graph,
    ingest,
    search,
    serve,
    vllm,
)
from router.cli.options import Invocation

_ABOUT = (
    "Answer questions from documents, from a fine-tuned model, or from both, and say why. "
    "New here? Start with: router demo"
)


def build() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        help=_ABOUT,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_begin)
    app.command("demo")(demo.demo)
    app.command("ask")(ask.ask)
    app.command("chat")(chat.chat)
    app.command("search")(search.search)
    app.command("ingest")(ingest.ingest)
    app.add_typer(documents.build(), name="documents")
    app.add_typer(adapters.build(), name="adapters")
    app.command("serve")(serve.serve)
    app.add_typer(vllm.build(), name="vllm")
    app.command("graph")(graph.graph)
    app.add_typer(evaluate.build(), name="eval")
    app.command("finetune")(finetune.finetune)
    app.command("doctor")(doctor.doctor)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"router {version('agentic-query-router')}")
        raise typer.Exit


def _begin(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="TOML file with settings, instead of $ROUTER_SETTINGS.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    context.obj = Invocation(settings)
