"""``router adapters``: which fine-tuned adapters there are, and which of them answer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from router.cli.opening import run, waiting
from router.cli.options import Demo, Json, invocation
from router.cli.screen import count, err, one_line, out, plain, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from backends.adapters import Adapter, AdapterRegistry, AdapterSpec
    from router.config import Settings
    from router.promotion import Promoted, Retired

_STATE_COLOURS = {"live": "green", "candidate": "yellow", "retired": "bright_black"}
_NAMED = re.compile(r"([a-z][a-z0-9-]{0,62})(?:@([1-9][0-9]{0,8}))?")


def build() -> typer.Typer:
    """Return the group with its commands."""
    app = typer.Typer(
        help="List, show, add, promote and retire fine-tuned adapters.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.command("list")(list_adapters)
    app.command("show")(show_adapter)
    app.command("add")(add_adapter)
    app.command("promote")(promote_adapter)
    app.command("retire")(retire_adapter)
    return app


def _named(value: str) -> str:
    if not _NAMED.fullmatch(value):
        raise typer.BadParameter(
            f"{value!r} is no adapter; say NAME or NAME@VERSION, such as brand-voice@2."
        )
    return value


def _new_name(value: str | None) -> str | None:
    if value is not None and ("@" in value or not _NAMED.fullmatch(value)):
        raise typer.BadParameter(
            f"{value!r} is no name; use up to 63 lower-case letters, digits and hyphens, a letter "
            "first."
        )
    return value


Which = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Such as brand-voice@2.", callback=_named)
]


def list_adapters(
    context: typer.Context,
    state: Annotated[
        Literal["candidate", "live", "retired"] | None,
        typer.Option("--state", help="Only versions in this state."),
    ] = None,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """List every version of every adapter."""
    found = run(_listed(invocation(context).settings(demo=demo), state))
    if as_json:
        from router.serialise import adapter_json

        put_json({"adapters": [adapter_json(adapter) for adapter in found]})
    elif found:
        out().print(_table(found))
        err().print(count(len(found), "version"), style="bright_black")
    else:
        err().print("There are no adapters. Add one with: router adapters add FOLDER")


def show_adapter(
    context: typer.Context, which: Which, demo: Demo = False, as_json: Json = False
) -> None:
    """Show one version with everything that is known of it; without a number the live one."""
    adapter = run(_found(invocation(context).settings(demo=demo), which))
    from router.serialise import adapter_json

    if as_json:
        put_json(adapter_json(adapter))
    else:
        out().print(_details(adapter))


def add_adapter(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="As PEFT saves it, perhaps with adapter.json.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it.", callback=_new_name)
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="The base model's name on its server.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="One sentence on what it is for.")
    ] = None,
    example: Annotated[
        list[str] | None,
        typer.Option("--example", help="A question that it should answer. May be repeated."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="JSON schema that its answers satisfy.",
        ),
    ] = None,
    system: Annotated[
        Path | None,
        typer.Option(
            "--system",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="System prompt that it was trained with.",
        ),
    ] = None,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Add an adapter as a candidate: a new version of its name."""
    settings = invocation(context).settings(demo=demo)
    said = {"description": description, "examples": tuple(example) if example else None}
    adapter = run(_added(settings, _spec(folder, name, base, said, schema, system)))
    if as_json:
        from router.serialise import adapter_json

        put_json(adapter_json(adapter))
        return
    out().print(f"{adapter.served_as} is a {adapter.state}", soft_wrap=True)
    if adapter.state != "live":
        hint = f"Let it answer with: router adapters promote {adapter.served_as}"
        err().print(hint, style="bright_black", soft_wrap=True)


def promote_adapter(
    context: typer.Context,
    which: Which,
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="QUESTION",
            help="Ask it this before it is live.  [default: its first example]",
        ),
    ] = None,
    unproven: Annotated[
        bool,
        typer.Option(
            "--unproven", help="Make it live though no model is connected that could load it."
        ),
    ] = False,
    demo: Demo = False,
    as_json: Json = False,
) -> None:
    """Load a version, ask it a question, and make it live; without a number the newest."""
    settings = invocation(context).settings(demo=demo)
    promoted = run(_promoted(settings, which, probe, unproven=unproven))
    before = promoted.previous
    if as_json:
        from router.serialise import adapter_json

        put_json(
            {
                "adapter": adapter_json(promoted.adapter),
                "previous": before.served_as if before is not None else None,
                "probe": promoted.probe or None,
                "said": promoted.said or None,
                "left": list(promoted.left),
            }
        )
        return
    instead = f", {before.served_as} is retired" if before is not None else ""
    out().print(f"{promoted.adapter.served_as} is live{instead}", soft_wrap=True)
    if promoted.probe:
        said = f"{one_line(promoted.probe, 60)} → {one_line(promoted.said, 200)}"
        err().print(said, style="bright_black", markup=False, soft_wrap=True)
    else:
        err().print("No model is connected, so it was neither loaded nor asked.", style="yellow")
    _tell_left(promoted.left)


def retire_adapter(
    context: typer.Context, which: Which, demo: Demo = False, as_json: Json = False
) -> None:
    """Take a version out of service and unload it; without a number the live one."""
    retired = run(_retired(invocation(context).settings(demo=demo), which))
    if as_json:
        from router.serialise import adapter_json

        put_json({"adapter": adapter_json(retired.adapter), "left": list(retired.left)})
        return
    out().print(f"{retired.adapter.served_as} is retired", soft_wrap=True)
    _tell_left(retired.left)


def _tell_left(left: Sequence[str]) -> None:
    for line in left:
        err().print(plain(line), style="yellow", markup=False, soft_wrap=True)


def _spec(
    folder: Path,
    name: str | None,
    base: str | None,
    said: dict[str, Any],
    schema: Path | None,
    system: Path | None,
) -> AdapterSpec:
    """What the folder says, with what was said on the command line in its place."""
    from backends.manifest import read_adapter
    from router.finetune.forms import read_form
    from router.promotion import check_name

    spec = read_adapter(folder, name=name, base=base)
    check_name(spec.name, spec.base)
    if schema is not None:
        said = said | {"schema": read_form(schema).schema}
    if system is not None:
        said = said | {"system_prompt": _text(system)}
    changes = {key: value for key, value in said.items() if value is not None}
    if "schema" in changes:
        changes["grammar"] = None
    return replace(spec, **changes)


def _text(path: Path) -> str:
    from router.errors import InvalidRequest

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read as text: {error}.", field="system") from error


async def _listed(settings: Settings, state: str | None) -> Sequence[Adapter]:
    from backends.adapters import AdapterState
    from router.adapters import open_registry

    async with open_registry(settings) as registry:
        return await registry.adapters(state=None if state is None else AdapterState(state))


async def _found(settings: Settings, which: str) -> Adapter:
    from router.adapters import open_registry

    name, version = _parts(which)
    async with open_registry(settings) as registry:
        return _known(which, await registry.find(name, version))


async def _added(settings: Settings, spec: AdapterSpec) -> Adapter:
    from router.adapters import open_registry

    async with open_registry(settings) as registry:
        return await registry.add(spec)


async def _promoted(
    settings: Settings, which: str, probe: str | None, *, unproven: bool
) -> Promoted:
    from router.adapters import host_of, open_generator, open_registry
    from router.promotion import Promoted, promote

    async with open_registry(settings) as registry, open_generator(settings) as generator:
        wanted = await _newest(registry, which)
        name, version = wanted.spec.name, wanted.version
        host = host_of(generator) if generator is not None else None
        if generator is None or host is None:
            if not unproven:
                raise _nobody_proves(wanted)
            before = await registry.promote(name, version)
            live = _known(which, await registry.find(name, version))
            return Promoted(live, before, probe="", said="")
        with waiting(f"loading {wanted.served_as} and asking it"):
            return await promote(registry, host, name, version, generator=generator, probe=probe)


def _nobody_proves(wanted: Adapter) -> Exception:
    from router.errors import ModelUnavailable

    return ModelUnavailable(
        f"No model is connected, so {wanted.served_as} can be neither loaded nor asked; nothing "
        "has changed. Set ROUTER_VLLM_URL or ROUTER_STARTER=true, or say --unproven to make it "
        "live all the same."
    )


async def _retired(settings: Settings, which: str) -> Retired:
    from router.adapters import host_of, open_generator, open_registry
    from router.promotion import Retired, retire

    name, version = _parts(which)
    async with open_registry(settings) as registry, open_generator(settings) as generator:
        wanted = _known(which, await registry.find(name, version))
        if version is None and wanted.state != "live":
            from router.errors import InvalidRequest

            raise InvalidRequest(f"No version of {name} is live.", field="adapter")
        host = host_of(generator) if generator is not None else None
        if host is None:
            return Retired(await registry.retire(name, wanted.version))
        with waiting(f"unloading {wanted.served_as}"):
            return await retire(registry, host, name, wanted.version)


async def _newest(registry: AdapterRegistry, which: str) -> Adapter:
    name, version = _parts(which)
    if version is not None:
        return _known(which, await registry.find(name, version))
    ours = [each for each in await registry.adapters() if each.spec.name == name]
    return _known(which, ours[0] if ours else None)


def _parts(which: str) -> tuple[str, int | None]:
    match = _NAMED.fullmatch(which)
    assert match is not None, "the option's callback has looked"
    return match[1], int(match[2]) if match[2] else None


def _known(which: str, adapter: Adapter | None) -> Adapter:
    from router.errors import UnknownModel

    if adapter is None:
        raise UnknownModel(
            f"There is no adapter {which}. List what there is with: router adapters list",
            field="adapter",
        )
    return adapter


def _table(adapters: Sequence[Adapter]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("adapter", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("base", overflow="ellipsis", no_wrap=True, min_width=8, max_width=30)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("examples", justify="right", no_wrap=True)
    # The one that gives way on a narrow screen.
    table.add_column("description", overflow="fold")
    for adapter in adapters:
        spec, state = adapter.spec, adapter.state.value
        table.add_row(
            adapter.served_as,
            Text(state, style=_STATE_COLOURS[state]),
            Text(plain(spec.base)),
            str(spec.rank),
            str(len(spec.examples)),
            Text(one_line(spec.description, 60)),
        )
    return table


def _details(adapter: Adapter) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from router.serialise import adapter_json

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in adapter_json(adapter).items():
        grid.add_row(key.replace("_", " "), Text(_shown(value)))
    return grid


def _shown(value: object) -> str:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return "\n".join(plain(str(each)) for each in value)
    import json

    return plain(json.dumps(value, ensure_ascii=False, indent=2))
