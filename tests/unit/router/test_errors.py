"""Whose fault a failure is, and what may be said about it to whoever asked."""

from __future__ import annotations

import pytest

from backends.errors import (
    BackendError,
    CallsNoTools,
    Misconfigured,
    OtherModel,
    Refused,
    TimedOut,
    Unavailable,
)
from router.errors import (
    ConfigurationFault,
    DecisionUnavailable,
    InvalidRequest,
    ModelUnavailable,
    RetrievalUnavailable,
    RouterError,
    UnknownModel,
    router_error,
)

SECRET = "db.internal:5432"


@pytest.mark.parametrize(
    ("beneath", "seen"),
    [
        (Refused("x", backend="model server", status=400), InvalidRequest),
        (Refused("x", backend="model server", status=413), InvalidRequest),
        (CallsNoTools("x", backend="model server", status=400), ConfigurationFault),
        (Refused("x", backend="model server", status=404), UnknownModel),
        (Refused("x", backend="model server", status=401), ConfigurationFault),
        (Refused("x", backend="model server", status=301), ConfigurationFault),
        (Refused("x", backend="embedder", status=401), ConfigurationFault),
        (Refused("x", backend="embedder", status=404), ConfigurationFault),
        (Refused("x", backend="database"), ConfigurationFault),
        (Unavailable("x", backend="embedder"), RetrievalUnavailable),
        (Unavailable("x", backend="model server"), ModelUnavailable),
        (Unavailable("x", backend="classifier"), DecisionUnavailable),
        (TimedOut("x", backend="classifier"), DecisionUnavailable),
        (Misconfigured("x", backend="database"), ConfigurationFault),
        (Misconfigured("x", backend="classifier"), ConfigurationFault),
        (OtherModel("x", backend="database"), RetrievalUnavailable),
    ],
)
def test_a_failure_is_laid_at_the_right_door(
    beneath: BackendError, seen: type[RouterError]
) -> None:
    assert type(router_error(beneath)) is seen


@pytest.mark.parametrize(
    "beneath",
    [
        Unavailable(f"{SECRET} does not answer.", backend="database"),
        Unavailable(f"{SECRET} does not answer.", backend="model server"),
        Unavailable(f"{SECRET} does not answer.", backend="classifier"),
        Misconfigured(f"{SECRET} is too old.", backend="database"),
        OtherModel(f"{SECRET} sent other vectors.", backend="embedder"),
        Refused(f"{SECRET} wants a key.", backend="embedder", status=401),
        Refused(f"{SECRET} answered 400.", backend="model server", status=400),
        CallsNoTools(f"{SECRET} answered 400.", backend="model server", status=400),
    ],
)
def test_addresses_stay_with_those_who_run_the_router(beneath: BackendError) -> None:
    error = router_error(beneath)

    assert SECRET in str(error)
    assert SECRET not in error.public


def test_a_busy_classifier_is_not_said_to_be_a_search_that_failed() -> None:
    error = router_error(TimedOut("The classifier was busy.", backend="classifier"))

    assert "decided" in error.public
    assert "documents" not in error.public
