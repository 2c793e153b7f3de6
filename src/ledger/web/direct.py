"""How does a request of the API reach its endpoint?  In one look, past the framework's layers.

The endpoints read requests strictly and build their own answers, so there is nothing that those
layers could add; for a point read they cost as much again as the answer itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS: Final = ("GET", "HEAD", "POST")


class Direct:
    """Answers requests for some routes, and passes everything else on."""

    def __init__(
        self, routes: Iterable[Route], handlers: Mapping[Any, Any], app: Any, onwards: ASGIApp
    ) -> None:
        """Answer ``routes``, of which an earlier one wins.

        ``handlers`` are those of ``app`` for exceptions; ``onwards`` takes what is not answered.
        """
        self.routes = tuple(routes)
        self._app = app
        self._onwards = onwards
        self._handlers = handlers
        self._tables = {
            method: _Table([route for route in self.routes if method in (route.methods or ())])
            for method in METHODS
        }
        self.answering: ASGIApp = self.answer
        """Where requests for the routes go; whoever wraps ``answer`` puts the wrapper here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        found = self.find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._onwards(scope, receive, send)
            return
        route, scope["path_params"] = found
        scope["app"], scope["endpoint"] = self._app, route.endpoint
        await self.answering(scope, receive, send)

    def find(self, scope: Scope) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a request and the parameters in its path, or None."""
        table = self._tables.get(scope["method"])
        return table.find(scope["path"]) if table else None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the endpoint in ``scope``; what it raises is answered as the application would.

        An exception that no handler knows is raised.
        """
        request = Request(scope, receive, send)
        try:
            response: Response = await scope["endpoint"](request)
        except Exception as trouble:
            handler = next(filter(None, map(self._handlers.get, type(trouble).__mro__)), None)
            if handler is None:
                raise
            response = handler(request, trouble)
        await response(scope, receive, send)


class _Table:
    """The routes of one method as one pattern, with a group for each route and parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[str, tuple[Route, dict[str, str]]] = {}
        alternatives = []
        for n, route in enumerate(routes):
            pattern, _format, parameters = compile_path(route.path)
            inner = pattern.pattern.removeprefix("^").removesuffix("$")
            for name in parameters:
                inner = inner.replace(f"(?P<{name}>", f"(?P<{name}_{n}>")
            alternatives.append(f"(?P<route_{n}>{inner})")
            self._routes[f"route_{n}"] = route, {name: f"{name}_{n}" for name in parameters}
        self._pattern = re.compile("|".join(alternatives))

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        match = self._pattern.fullmatch(path)
        if match is None or match.lastgroup is None:
            return None
        route, names = self._routes[match.lastgroup]
        return route, {name: match[group] for name, group in names.items()}
