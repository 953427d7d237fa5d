"""Runs the command line; whatever comes up from below ends here as one message and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from typer import Abort, TyperException, echo

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

DEBUG_VARIABLE = "ROUTER_DEBUG"


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name.

    Returns:
        The exit code. With ``--json`` a failure is one JSON object on standard output:
        ``{"error": {"code", "message", …}}``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a character shows a question mark, not a traceback.
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments, as_json=_wants_json(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return FAILED
    return code


def _run(arguments: Sequence[str], *, as_json: bool) -> int:
    from router.cli.root import build

    try:
        outcome = build()(args=list(arguments), prog_name="router", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Abort:
        return _failed({"code": "aborted", "message": "Nothing was done."}, as_json=as_json)
    except TyperException as error:
        return _misused(error, as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - nothing is above this that could tell the user
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        return _failed(_described(error), as_json=as_json)
    return outcome if isinstance(outcome, int) else 0


def _wants_json(arguments: Sequence[str]) -> bool:
    """Known before parsing, as a call that cannot be parsed is answered in JSON as well."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _misused(error: TyperException, *, as_json: bool) -> int:
    if as_json:
        message = error.format_message()
        _print_json({"error": {"code": "usage", "message": message}})
    else:
        show = getattr(error, "show", None)
        # Shows the usage line and the message; a plain TyperException has only its message.
        show(file=sys.stderr) if show else echo(error.format_message(), err=True)
    return error.exit_code


def _failed(description: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        _print_json({"error": description})
    else:
        echo(f"Error: {description['message']}", err=True)
    return FAILED


def _described(error: Exception) -> dict[str, Any]:
    """What went wrong, with a stable code; nothing of an unforeseen error's inside is shown."""
    from backends.errors import BackendError
    from router.errors import RouterError, SettingsError, router_error

    if isinstance(error, BackendError):
        # An interrupted ingestion is as unavailable as what interrupted it.
        cause = error.__cause__ if isinstance(error.__cause__, BackendError) else error
        return {"code": router_error(cause).code, "message": str(error)}
    if not isinstance(error, RouterError):
        hint = f"Set {DEBUG_VARIABLE}=1 to see where."
        return {
            "code": "unexpected",
            "message": f"Something unforeseen went wrong ({type(error).__name__}). {hint}",
        }
    description: dict[str, Any] = {"code": error.code, "message": str(error)}
    if (field := getattr(error, "field", None)) is not None:
        description["field"] = field
    if isinstance(error, SettingsError):
        description["problems"] = list(error.problems)
    return description


def _print_json(value: object) -> None:
    echo(json.dumps(value, ensure_ascii=False))


def _forget_output() -> None:
    """The reader has gone; point standard output nowhere, so that Python's exit stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
