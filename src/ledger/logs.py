"""What does a running ledger say of itself?  One log on stderr: lines for people, or JSON objects.

It is silent while all is well.  No body, no key and no query string is ever written to it.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from pythonjsonlogger.json import JsonFormatter

ACCESS: Final = "ledger.access"
"""The logger of one line for each request."""

SILENT: Final = ("psycopg.pool",)
"""Loggers of libraries whose complaints are made in words of our own by whoever asked for more."""

REPEAT_S: Final = 10.0
"""The same complaint is written once in this many seconds, with the number of those left out."""
REMEMBERED_MAX: Final = 1_000

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The name of the request that is being answered."""

_DIGITS = re.compile(r"\d+")


class Sparing(logging.Filter):
    """Lets a complaint through once in a while, however often it is made; figures are ignored."""

    def __init__(
        self, repeat_s: float = REPEAT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Leave out repetitions within ``repeat_s`` seconds by ``clock``."""
        super().__init__()
        self._repeat_s = repeat_s
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record; one that is written says how many were left out."""
        if record.levelno < logging.WARNING:
            return True
        text = " ".join(record.getMessage().split())
        key = (record.name, _DIGITS.sub("#", text))
        with self._lock:
            now = self._clock()
            last, left_out = self._said.get(key, (-self._repeat_s, 0))
            if now - last < self._repeat_s:
                self._said[key] = (last, left_out + 1)
                return False
            if len(self._said) >= REMEMBERED_MAX:
                self._said.clear()
            self._said[key] = (now, 0)
        # Of several lines, as a database says some things, one is made.
        more = f" (and {left_out} more like it)" if left_out else ""
        record.msg, record.args = f"{text}{more}", None
        return True


class _Named(logging.Filter):
    """Puts the name of the request at hand on each record that has none."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = request_id.get()
        return True


class _Text(logging.Formatter):
    """Lines for people: when, how grave, who, what, in which request."""

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        named = getattr(record, "request_id", None)
        return f"{said} [{named}]" if named else said

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - the library's signature
        return moment(record)


class _Json(JsonFormatter):
    """One JSON object a line."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - the library's signature
        return moment(record)


def moment(record: logging.LogRecord) -> str:
    """Return when a record was made: RFC 3339 in UTC with milliseconds."""
    made = datetime.fromtimestamp(record.created, UTC)
    return made.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up(*, as_json: bool, access: bool = False) -> None:
    """Send the log of this process to stderr; ``access`` adds one line for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if as_json else _text())
    handler.addFilter(_Named())
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ACCESS).setLevel(logging.INFO if access else logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


def _text() -> logging.Formatter:
    return _Text("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _json() -> logging.Formatter:
    return _Json(
        "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )
