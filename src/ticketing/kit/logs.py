"""Log lines: JSON in production, pretty in a terminal; the request id on every one of them, never a person's data."""

import contextvars
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO, TextIO, cast

import msgspec
import structlog

from .nowhere import lead_nowhere

log = structlog.get_logger()
REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")  # of the one under way
_lines: BinaryIO | None = None  # where lines of JSON go


def configure_logs(form: str = "auto") -> None:
    """Set structlog up for this process; `form` is `json`, `pretty` or `auto`."""
    global _lines
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))
    _lines = None if pretty else sys.stderr.buffer
    shared: list[Any] = [_add_request_id, structlog.processors.add_log_level]
    if pretty:
        structlog.configure(
            processors=[
                *shared,
                structlog.processors.TimeStamper("%H:%M:%S"),
                # Not rich's tracebacks: they show the values of variables, a request's card among them.
                structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stream(sys.stderr))),
            cache_logger_on_first_use=True,
        )
        return
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.format_exc_info,
            _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", _Stream(sys.stderr.buffer))),
        cache_logger_on_first_use=True,
    )


def write_request(
    request_id: str, method: str, operation: str | None, caller: str | None, status: int, milliseconds: float
) -> None:
    """The line about one request, which as JSON is written at a third of what a logger with processors costs."""
    line = {
        "method": method,
        "operation": operation,
        "caller": caller,
        "status": status,
        "ms": milliseconds,
        "event": "request",
    }
    if _lines is None:
        log.info(**line)
        return
    line |= {"request": request_id, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
    try:
        _lines.write(msgspec.json.encode(line) + b"\n")
        _lines.flush()
    except OSError:  # nobody reads the log any more; who asked gets the answer all the same
        lead_nowhere(2)


class _Stream:
    """Standard error for loggers, of whom none ends because nobody reads it any more."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, line: Any) -> None:
        self._try(self._file.write, line)

    def flush(self) -> None:
        self._try(self._file.flush)

    def _try(self, do: Callable[..., Any], *values: Any) -> None:
        try:
            do(*values)
        except OSError:
            lead_nowhere(2)


class _Libraries(logging.Handler):
    """What libraries warn of, as lines like ours: an error with its traceback, a warning with its reason alone."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        line: dict[str, Any] = {"logger": record.name, "said": record.getMessage()[:500]}
        if record.levelno >= logging.ERROR:
            log.error("library.failed", **line, exc_info=error)
        elif error is not None:
            log.warning("library.warned", **line, reason=type(error).__name__)
        else:
            log.warning("library.warned", **line)


def _add_request_id(_logger: Any, _method: str, event: Any) -> Any:
    if request_id := REQUEST_ID.get():
        event["request"] = request_id
    return event


def _as_json(_logger: Any, _method: str, event: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)
