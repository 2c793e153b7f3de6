"""How does the ledger answer over HTTP?  The application of API and pages over one service.

Assembled here, and nowhere else; every refusal leaves as problem+json, or as a page for browsers.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from ledger import __version__, errors
from ledger.commands import Attach
from ledger.metrics import Metrics
from ledger.rules import RESERVED_WORDS
from ledger.settings import ProjectorPlace
from ledger.web import (
    appends,
    documents,
    feed,
    log,
    operations,
    pages,
    problems,
    reads,
    requests,
    routes,
    status,
    urls,
)
from ledger.web.direct import Direct
from ledger.web.guarded import Guarded
from projections.views import ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable

if TYPE_CHECKING:
    from ledger.service import Service

_log = logging.getLogger("ledger.web")

DESCRIPTION = """The public record of research outputs as an append-only log of facts.

Appends need an API key, an `Idempotency-Key`, and for an existing record `If-Match` with the ETag
that you saw. Reads are open. Every refusal is `application/problem+json` with a stable `code`."""

_HTTP_REFUSALS: dict[int, type[errors.Refusal]] = {
    HTTPStatus.NOT_FOUND: errors.NoSuchPage,
    HTTPStatus.METHOD_NOT_ALLOWED: errors.MethodNotTaken,
}


def create_app(service: Service) -> FastAPI:
    """Return the application; it opens the service when it starts and closes it when it stops."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Opening and closing wait for files and threads, which is nothing for the event loop.
        await asyncio.to_thread(service.__enter__)
        try:
            service.log.start(working=service.settings.projector is ProjectorPlace.INSIDE)
            async with service.store.reading_here():
                yield
        finally:
            await asyncio.to_thread(service.__exit__, None, None, None)

    app = _Ledger(
        title="Record ledger",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=urls.OPENAPI,
        docs_url=None,
        redoc_url=None,
    )
    service.observe = metrics = Metrics(__version__)
    app.state.service = service
    app.state.feed = following = feed.Feed(service)
    api = (
        appends.router(service),
        documents.router(service),
        reads.router(service),
        status.router(service),
        log.router(service),
        feed.router(following),
    )
    for router in api:
        app.include_router(router)
    plain = [
        *operations.router(service, metrics),
        *log.plain(service),
        *documents.schema_routes(service),
        *_plain(api),
        Route(urls.OPENAPI, _described(app)),
    ]
    app.router.routes[:0] = plain
    pages.include(app)
    failed = _refuse_well(app, metrics)
    app.add_middleware(Guarded, metrics=metrics, routes=_templates(app), failed=failed)
    app.direct = Direct(plain, app.exception_handlers, app, super(_Ledger, app).__call__)
    app.direct.answering = Guarded(app.direct.answer, metrics, _templates(app), failed)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class _Ledger(FastAPI):
    """FastAPI for the pages and for the description; the API is answered before it comes there."""

    direct: Direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.direct(scope, receive, send)


def _plain(routers: Iterable[APIRouter]) -> list[Route]:
    """Return the API's endpoints as plain routes.

    FastAPI's own routes stay behind these, where the description is made from them.
    """
    return [
        Route(route.path, route.endpoint, methods=sorted(route.methods or ()))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
    ]


def _described(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    async def described(request: Request) -> Response:
        """Return the OpenAPI description of the API."""
        requests.query(request, {})
        return JSONResponse(app.openapi())

    return described


def _templates(app: FastAPI) -> dict[Any, str]:
    """Return the template of every route by what answers it."""
    found: dict[Any, str] = {}
    for route in app.router.routes:
        match route:
            case Route():
                found.setdefault(route.endpoint, route.path.replace(":path}", "}"))
            case Mount():
                found[route.app] = route.path
    return found


def _refuse_well(app: FastAPI, metrics: Metrics) -> Callable[[Request, Exception], Response]:
    """Answer refusals and faults as problems or pages; returns what answers an unforeseen fault."""

    def refused(request: Request, trouble: Exception) -> Response:
        refusal = trouble if isinstance(trouble, errors.Refusal) else errors.InternalFault()
        metrics.refused(refusal.code)
        ours = problems.status_of(type(refusal)) >= HTTPStatus.INTERNAL_SERVER_ERROR
        if ours and not isinstance(refusal, (errors.ProjectionBehind, errors.InternalFault)):
            _log.warning("refused as %s: %s", refusal.code, refusal.detail)
        if isinstance(refusal, errors.StoreUnavailable):
            # Where the database is and what it said is for the log, not for the public.
            refusal = errors.StoreUnavailable()
        if pages.wants_html(request):
            return pages.render_refusal(request, refusal)
        return problems.respond(request, refusal)

    def unrouted(request: Request, trouble: Exception) -> Response:
        status = trouble.status_code if isinstance(trouble, HTTPException) else 0
        kind = _HTTP_REFUSALS.get(status, errors.InvalidParameter)
        response = refused(request, kind())
        if isinstance(trouble, HTTPException):
            response.headers.update(trouble.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(_methods(app, request))
        return response

    def unavailable(request: Request, trouble: Exception) -> Response:
        what = " ".join(str(trouble).split()) or type(trouble).__name__
        _log.warning("the views cannot be read: %s", what)
        return refused(request, errors.StoreUnavailable())

    app.add_exception_handler(errors.Refusal, refused)
    app.add_exception_handler(HTTPException, unrouted)
    for trouble in (ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable):
        app.add_exception_handler(trouble, unavailable)
    return refused


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return the methods that an address takes: of several routes each may take another."""
    taken = set[str]()
    for route in app.router.routes:
        if isinstance(route, Route) and (found := route.path_regex.match(request.scope["path"])):
            # A record's own address would take in those of its parts.
            *_, last = found.groupdict().get("address", "").split("/")
            taken |= set() if last in RESERVED_WORDS else route.methods or set()
    return sorted(taken)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, with the commands' schemas as components."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
        )
        bodies: list[type[BaseModel]] = [
            *(route.body for route in routes.ROUTES),
            Attach,
            status.StatusAsked,
        ]
        _, schemas = models_json_schema(
            [(body, "validation") for body in bodies],
            ref_template="#/components/schemas/{model}",
        )
        _, answers = models_json_schema(
            [
                (answer, "serialization")
                for answer in (appends.Appended, appends.Erased, status.StatusAnswer)
            ],
            ref_template="#/components/schemas/{model}",
        )
        for path, methods in described["paths"].items():
            named = [
                {"name": name, "in": "path", "required": True, **urls.IN_PATHS[name]}
                for name in re.findall(r"\{(\w+)\}", path)
            ]
            for operation in methods.values() if named else ():
                operation["parameters"] = [*named, *operation.get("parameters", ())]
        components = described.setdefault("components", {})
        components["schemas"] = {
            **components.get("schemas", {}),
            **schemas["$defs"],
            **answers["$defs"],
            **documents.components(),
            "Problem": problems.PROBLEM_SCHEMA,
        }
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = described
    return app.openapi_schema
