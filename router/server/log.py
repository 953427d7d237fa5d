"""The server's log: one JSON object a line on standard error, without questions or secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def server_log(stream: TextIO | None = None) -> FilteringBoundLogger:
    """Return a log that writes to a stream, standard error by default."""
    log = structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return cast("FilteringBoundLogger", log)


@contextmanager
def uvicorn_logs_to(log: FilteringBoundLogger) -> Iterator[None]:
    """Send uvicorn's warnings to our log while the block runs."""
    handler = _Forward(log)
    logger = logging.getLogger("uvicorn")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Forward(logging.Handler):
    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        # Without the exception's text, which may quote a question.
        kind = record.exc_info[0] if record.exc_info else None
        self._log.warning(
            "uvicorn", said=record.getMessage().strip(), error=kind.__qualname__ if kind else None
        )
