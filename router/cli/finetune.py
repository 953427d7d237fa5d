"""``router finetune``: train an adapter on examples, prove it, and put it into service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.opening import run
from router.cli.options import Json, invocation
from router.cli.screen import err, out, plain, put_json

if TYPE_CHECKING:
    from router.config import Settings
    from router.finetune.order import Order
    from router.finetune.pipeline import Checked, Made


def finetune(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the adapter.")],
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help='One JSON object a line: {"messages": [{"role", "content"}, …]}, the last message '
            "the assistant's, which is learnt; a label beside it may say what it is.",
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="BASE",
            help="starter, a folder of a model, or a name of the hub (owner/name), which is "
            "fetched.",
        ),
    ] = "starter",
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the adapter."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            help="Rows to measure on. Without it, some of DATA are held out.",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="FILE", help="JSON schema that answers satisfy."),
    ] = None,
    system: Annotated[
        Path | None,
        typer.Option(
            "--system",
            metavar="FILE",
            help="Instructions in front of every conversation, in training and in service.",
        ),
    ] = None,
    description: Annotated[
        str,
        typer.Option("--description", metavar="TEXT", help="One sentence on what it is for."),
    ] = "",
    raft: Annotated[
        Path | None,
        typer.Option(
            "--raft",
            metavar="DIR",
            help="Learn to answer from passages: a folder of documents that answers of DATA rest "
            "on, or corpus.jsonl, queries.jsonl and qrels.tsv, which need no DATA.",
        ),
    ] = None,
    oracle: Annotated[
        float,
        typer.Option(
            "--oracle",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Share of those rows whose passages hold the answer; the others learn to refuse.",
        ),
    ] = 0.8,
    distil: Annotated[
        str | None,
        typer.Option(
            "--distil",
            metavar="URL",
            help="Learn the answers of a larger model on an OpenAI-compatible server instead.",
        ),
    ] = None,
    distil_model: Annotated[
        str | None,
        typer.Option("--distil-model", metavar="NAME", help="Its name on that server."),
    ] = None,
    rank: Annotated[int, typer.Option("--rank", min=1, max=512, help="Of the LoRA.")] = 16,
    alpha: Annotated[
        int | None,
        typer.Option("--alpha", min=1, max=4096, help="Its scale; twice the rank without it."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            max=1000,
            help="Times each row is seen; without it 3 to 10, more where rows are few.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=4096, help="Rows a step.")] = 16,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            metavar="RATE",
            min=1e-8,
            max=1.0,
            help="Without it, what suits the width of the base.",
        ),
    ] = None,
    rehearsal: Annotated[
        float,
        typer.Option(
            "--rehearsal",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="So many rows of what the base says anyway, so that it is not forgotten.",
        ),
    ] = 0.25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 7,
    qlora: Annotated[
        bool, typer.Option("--qlora", help="Keep the base in 4 bits meanwhile; needs CUDA.")
    ] = False,
    mlflow: Annotated[
        str,
        typer.Option("--mlflow", metavar="EXPERIMENT", help="Log to MLflow as well."),
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Put it into service if the gate lets it through."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the data.")] = False,
    as_json: Json = False,
) -> None:
    """Train an adapter on examples, measure it beside the live version, and register it.

    Exit code 1 where nothing was trained, and where the gate does not let it through.
    """
    from backends.finetune.recipe import Recipe
    from router.finetune.order import Order, Teacher

    recipe = Recipe(
        rank=rank,
        alpha=alpha or 2 * rank,
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        rehearsal=rehearsal,
        quantised=qlora,
        seed=seed,
    )
    if distil_model and not distil:
        raise typer.BadParameter("is for --distil", param_hint="--distil-model")
    order = Order(
        data=data,
        name=name,
        base=base,
        out=out_folder,
        test=test,
        schema=schema,
        system=system,
        description=description,
        raft=raft,
        oracle=oracle,
        teacher=Teacher(distil, distil_model) if distil else None,
        recipe=recipe,
        resume=resume,
        mlflow=mlflow,
        promote=promote,
    )
    passed = run(_done(order, invocation(context).settings(), only_check=check, as_json=as_json))
    if not passed:
        raise typer.Exit(1)


async def _done(order: Order, settings: Settings, *, only_check: bool, as_json: bool) -> bool:
    """Do it and show it; return whether all is well."""
    from functools import partial

    from backends.finetune.bases import require_extra
    from router.adapters import open_registry
    from router.cli.finetune_shown import progress, show_checked, show_made
    from router.finetune.pipeline import check, make
    from router.finetune.service import put_into_service

    if not only_check:
        require_extra()
    with progress() as told:
        checked = await check(order, settings, told)
    if not as_json:
        show_checked(checked.findings)
    if only_check or checked.findings.fatal:
        if as_json:
            put_json(_checked_json(checked))
        elif checked.findings.fatal:
            err().print("Nothing was trained.", style="red")
        return not checked.findings.fatal
    opened = partial(open_registry, settings)
    with progress() as told:
        made = await make(checked, settings, opened, told)
    promoted = made.verdict.passed and order.promote
    if promoted:
        async with opened() as registry:
            for left in await put_into_service(settings, registry, made.adapter):
                err().print(plain(left), style="yellow", soft_wrap=True)
    if as_json:
        put_json(_made_json(checked, made, promoted=promoted))
    else:
        for part in show_made(made, promoted=promoted):
            out().print(part, soft_wrap=isinstance(part, str))
    return made.verdict.passed


def _checked_json(checked: Checked) -> dict[str, Any]:
    return {"trained": False, "data": checked.findings.as_json(), **checked.made}


def _made_json(checked: Checked, made: Made, *, promoted: bool) -> dict[str, Any]:
    return {
        "trained": True,
        "adapter": made.adapter.served_as,
        "folder": str(made.adapter.spec.folder),
        "promoted": promoted,
        **made.report,
        "data": checked.findings.as_json(),
    }
