"""The options that several commands share, and what they mean before a command runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

if TYPE_CHECKING:
    from router.config import Settings


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the command's name."""

    settings_file: Path | None = None

    def settings(self, *, demo: bool = False) -> Settings:
        """Read the settings, before anything starts.

        Args:
            demo: Turn them to the sample company on the embedded database.

        Raises:
            SettingsError: They are wrong.
        """
        from router.config import load_settings

        settings = load_settings(self.settings_file)
        if not demo:
            return settings
        from router.demo.company import demo_settings

        return demo_settings(settings)


def invocation(context: typer.Context) -> Invocation:
    """Return what was said before the command's name."""
    given = context.find_root().obj
    return given if isinstance(given, Invocation) else Invocation()


def _principals(value: str | None) -> str | None:
    from backends.principals import InvalidPrincipal, parse_principals

    try:
        parse_principals(value)
    except InvalidPrincipal as error:
        raise typer.BadParameter(str(error)) from error
    return value


def _conditions(value: list[str] | None) -> list[str] | None:
    from backends.filters import InvalidCondition, parse_conditions

    try:
        parse_conditions(value)
    except InvalidCondition as error:
        raise typer.BadParameter(str(error)) from error
    return value


Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object; everything else goes to stderr.")
]
Demo: TypeAlias = Annotated[
    bool, typer.Option("--demo", help="Use the sample company on the embedded database.")
]
As: TypeAlias = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="PRINCIPALS",
        help="Who asks: user:NAME, group:NAME or everyone, separated by commas.",
        callback=_principals,
    ),
]
SeenBy: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="PRINCIPALS",
        help="Only what these may see. Without it, everything.",
        callback=_principals,
    ),
]
Acl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--acl",
        metavar="PRINCIPALS",
        help="Who may see documents that do not say so themselves. Without it, new ones are for "
        "everyone and known ones keep their readers.",
        callback=_principals,
    ),
]
Where: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Search only documents whose metadata satisfies it, such as country=DE or price<20. "
        "May be given more than once; all must hold.",
        callback=_conditions,
    ),
]
RouteName: TypeAlias = Annotated[
    Literal["factual", "behavioural", "hybrid"] | None,
    typer.Option("--route", help="Insist on a route instead of letting the router decide."),
]
Adapter: TypeAlias = Annotated[
    str | None,
    typer.Option("--adapter", metavar="NAME", help="Insist on a model or adapter."),
]
