"""Structured logs: one line an event, JSON or text, with the request id that also follows a job."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from portal.kit.settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
caller: ContextVar[str | None] = ContextVar("caller", default=None)  # the address that asks, for the audit only
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, requestId, and whatever `extra` carried."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "requestId": request_id.get(),
            **extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


class TextLines(logging.Formatter):
    """The same for eyes: time, level, message, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = {"request": request_id.get(), **extras(record)}
        tail = " ".join(f"{name}={value}" for name, value in pairs.items() if value is not None)
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = f"{clock} {record.levelname.lower():7} {record.getMessage()} {tail}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def extras(record: logging.LogRecord) -> dict[str, object]:
    """Return what the caller passed as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}


def configure(settings: Settings) -> None:
    """Send all logs to standard error and, if `log_file` is set, to a file kept for `log_retention_days` days."""
    formatter = JsonLines() if settings.log_format == "json" else TextLines()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if settings.log_file:
        handlers.append(
            logging.handlers.TimedRotatingFileHandler(
                settings.log_file, when="midnight", utc=True, backupCount=settings.log_retention_days
            )
        )
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level.upper(), handlers=handlers, force=True)
    for noisy in ("weasyprint", "fontTools", "uvicorn.access", "huey"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
