"""How database errors and connection strings come out, without a database."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from backends.errors import (
    BackendError,
    Garbled,
    Misconfigured,
    Refused,
    TimedOut,
    Unavailable,
)
from backends.postgres import Limits, translated
from backends.postgres.pool import connection_string

PLACE = "postgresql://ana:open-sesame@db.example:6432/answers"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (PoolTimeout("late"), TimedOut),
        (TimeoutError(), TimedOut),
        (errors.QueryCanceled("late"), TimedOut),
        (PoolClosed("closed"), Unavailable),
        (TooManyRequests("full"), Unavailable),
        (errors.DeadlockDetected("locked"), Unavailable),
        (errors.DiskFull("full"), Unavailable),
        (errors.AdminShutdown("bye"), Unavailable),
        (errors.TooManyConnections("full"), Unavailable),
        (errors.ReadOnlySqlTransaction("replica"), Unavailable),
        (psycopg.OperationalError("gone"), Unavailable),
        (errors.InvalidPassword("no"), Misconfigured),
        (psycopg.OperationalError("FATAL:  password authentication failed"), Misconfigured),
        (errors.InsufficientPrivilege("no"), Misconfigured),
        (errors.UndefinedTable("no"), Misconfigured),
        (errors.UniqueViolation("twice"), Refused),
        (errors.InvalidTextRepresentation("odd"), Refused),
        (errors.InternalError_("broken"), Garbled),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_becomes_one_of_ours(raised: Exception, kind: type[BackendError]) -> None:
    with pytest.raises(BackendError) as caught, translated(PLACE, "look"):
        raise raised
    assert type(caught.value) is kind
    assert caught.value.__cause__ is raised


def test_an_error_names_the_place_and_what_was_wanted() -> None:
    with pytest.raises(Unavailable, match=r"Could not look .*db\.example:6432/answers"):  # noqa: SIM117 - reads better
        with translated(PLACE, "look"):
            raise psycopg.OperationalError("gone")


def test_an_error_never_shows_the_password() -> None:
    with pytest.raises(Unavailable) as caught, translated(PLACE, "look"):
        raise psycopg.OperationalError("tried open-sesame")
    assert "open-sesame" not in str(caught.value)


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), translated(PLACE, "look"):
        raise ZeroDivisionError


def test_the_urls_own_settings_win() -> None:
    given = f"{PLACE}?connect_timeout=7&application_name=mine"
    made = conninfo_to_dict(connection_string(given))
    assert (made["connect_timeout"], made["application_name"]) == ("7", "mine")


def test_the_urls_own_options_are_kept() -> None:
    made = conninfo_to_dict(connection_string(f"{PLACE}?options=-c%20work_mem%3D64MB"))
    assert str(made["options"]).startswith("-c work_mem=64MB -c search_path=router,")


def test_the_limits_reach_the_server() -> None:
    made = connection_string(PLACE, limits=Limits(statement_s=2.5))
    assert "statement_timeout=2500" in made


@pytest.mark.parametrize("schema", ["", "Router", "a b", 'x"', "x;", "1x", "x" * 64, "x\n"])
def test_an_odd_schema_is_turned_down(schema: str) -> None:
    with pytest.raises(Misconfigured):
        connection_string(PLACE, schema=schema)
