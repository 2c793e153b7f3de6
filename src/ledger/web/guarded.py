"""What does every answer carry, and what is noted of it?  The outermost room of the web.

Plain ASGI, so that it costs next to nothing: fixed headers, a name for the request, its counts, its
line in the log, and a decent answer to a fault that nobody foresaw.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger import logs
from ledger.metrics import Metrics

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
            b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
)
_NAMES: Final = frozenset(name for name, _value in HEADERS)

REQUEST_ID: Final = b"x-request-id"
METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
UNROUTED: Final = "unrouted"
"""What the route of a request is called that met none: its path is its sender's to choose."""

# Names come from strangers and go into logs: printable, short, and nothing that could be markup.
_GIVEN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{7,127}")

_log = logging.getLogger("ledger.web")
_access = logging.getLogger(logs.ACCESS)


class Guarded:
    """Wraps the application: headers, the request's name, counts and log line."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        routes: Mapping[Any, str],
        failed: Callable[[Request, Exception], Response],
    ) -> None:
        """Wrap ``app``; ``routes`` are its templates by endpoint, ``failed`` answers a fault."""
        self.app = app
        self._metrics = metrics
        self._routes = routes
        self._failed = failed
        self._prefix = secrets.token_hex(8)
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the headers added where an HTTP answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        name = self._name(scope)
        logs.request_id.set(name.decode())
        status = 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message["headers"], (REQUEST_ID, name)]
                present = _NAMES.intersection([given for given, _value in headers])
                headers += [each for each in HEADERS if each[0] not in present]
            await send(message)

        try:
            await self.app(scope, receive, guarded)
        except Exception as fault:
            if status:
                raise
            _log.exception("unhandled fault in %s", self._route(scope))
            await self._failed(Request(scope), fault)(scope, receive, guarded)
        finally:
            self._note(scope, status, perf_counter() - began)

    def _name(self, scope: Scope) -> bytes:
        """Return the name that the sender gave, if it is fit for a log, or a new one."""
        for header, value in scope["headers"]:
            if header == REQUEST_ID and _GIVEN.fullmatch(value):
                return bytes(value)
        return f"{self._prefix}-{next(self._count):x}".encode()

    def _route(self, scope: Scope) -> str:
        return self._routes.get(scope.get("endpoint"), UNROUTED)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = self._route(scope)
        self._metrics.answered(method, route, status, seconds)
        if _access.isEnabledFor(logging.INFO):
            path = scope.get("raw_path") or b""
            client = scope.get("client") or ("",)
            told = {
                "method": method,
                "path": path.partition(b"?")[0].decode("ascii", "backslashreplace"),
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "client": client[0],
            }
            line = "%(method)s %(path)s %(status)d %(seconds).4f s from %(client)s"
            _access.info(line, told, extra=told)
