"""Which pages can a reader open?  HTML: route, query, view model, template.

Reads only, and whole without scripts; the templates escape every text that a publisher wrote.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ledger import errors
from ledger.events import RecordEvent
from ledger.transparency.log_status import status_of
from ledger.web import (
    about_page,
    choice,
    conflicts_page,
    corrections_page,
    diff_page,
    document_rows,
    findings_page,
    history_page,
    index_page,
    memento,
    past_banner,
    problems,
    record_page,
    requests,
    urls,
    verification_page,
    wording,
)
from ledger.web.audit import POINTS
from projections import catalogue, conflicts, corrections, findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.past import Seen
    from ledger.service import Service

HERE: Final = Path(__file__).parent
STATIC_FILES: Final = HERE / "static"
MACHINE_PATHS: Final = ("/v1/", "/log/", "/schemas/", "/healthz", "/readyz", "/metrics")
POSITION_MAX: Final = 2**53
SEARCH_LENGTH_MAX: Final = 400


def _fingerprint(file: str) -> str:
    return hashlib.sha256((STATIC_FILES / file).read_bytes()).hexdigest()[:12]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = {f.name: _fingerprint(f.name) for f in STATIC_FILES.iterdir() if f.is_file()}
    environment.globals |= {"urls": urls, "static": lambda file: urls.static(file, files[file])}
    environment.filters |= {"plain": wording.plain, "day": wording.day}
    return environment


templates: Final = _environment()


def routes() -> list[BaseRoute]:
    """Return the routes of all pages and of the static files, the longer patterns first."""
    return [
        Route(urls.INDEX, index),
        Route(urls.RECORD_CORRECTIONS_PAGE, record_corrections),
        Route(urls.RECORD_DIFF_PAGE, record_diff),
        Route(urls.RECORD_HISTORY_PAGE, record_history),
        Route(urls.RECORD_PAGE, record),
        Route(urls.CORRECTIONS_PAGE, all_corrections),
        Route(urls.FINDINGS_PAGE, all_findings),
        Route(urls.CONFLICTS_PAGE, all_conflicts),
        Route(urls.ABOUT_PAGE, about),
        Route(urls.VERIFICATION_PAGE, verification),
        Route(urls.PROBLEMS, all_problems),
        Route(urls.PROBLEM, problem),
        Route(urls.SCHEMAS, all_schemas),
        Mount(urls.STATIC, StaticFiles(directory=STATIC_FILES), name="static"),
    ]


def include(app: FastAPI) -> None:
    """Add the pages to an application whose ``state.service`` they read from."""
    app.router.routes.extend(routes())


def render(template: str, **context: Any) -> str:
    """Return a page's HTML."""
    return templates.get_template(template).render(**context)


def wants_html(request: Request) -> bool:
    """Whether a refusal of this request is best answered with a page."""
    if request.url.path.startswith(MACHINE_PATHS):
        return False
    accepted = request.headers.get("accept", "*/*")
    return "text/html" in accepted or "*/*" in accepted


def render_refusal(request: Request, refusal: errors.Refusal) -> Response:
    """Return the page that says what was refused and why."""
    kind = type(refusal)
    response = render_problem(
        request,
        int(problems.status_of(kind)),
        problems.title_of(kind),
        refusal.detail,
        kind.code,
    )
    response.headers.update(problems.headers_of(refusal))
    return response


def render_problem(
    request: Request, status: int, title: str, detail: str, code: str
) -> HTMLResponse:
    """Return an error page with a status in the dress of all pages."""
    phrase = HTTPStatus(status).phrase
    html = render(
        "problem.html",
        status=status,
        phrase=phrase,
        title=title,
        # The general sentence is not said twice.
        detail=None if detail == title else detail,
        code=code,
        search_again=request.url.path.startswith("/records/"),
    )
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def _page(
    request: Request,
    html: str,
    links: tuple[str, ...] = (),
    further: Mapping[str, str] | None = None,
) -> Response:
    """Return the page, or 304 when the reader has these very bytes; ``further`` are headers."""
    # Weak, because a proxy may compress; over the bytes, because a page has several views in it.
    etag = f'W/"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    headers |= further or {}
    if links:
        headers["Link"] = ", ".join(filter(None, (*links, headers.get("Link"))))
    if requests.has(request, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return HTMLResponse(html, headers=headers)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _queried(request: Request, view: Any, query: Any) -> Any:
    """Ask a view for a page; refuses InvalidParameter for a cursor that it did not give out."""
    try:
        return await _service(request).aside(view.page, query)
    except ValueError as trouble:
        raise errors.InvalidParameter(str(trouble), parameter="cursor") from trouble


def _many(request: Request, name: str) -> tuple[str, ...]:
    return choice.known(name, dict.fromkeys(v for v in request.query_params.getlist(name) if v))


async def _behind(request: Request) -> int | None:
    """Return the position that the reader names if the views do not reach it in time, else None."""
    named = request.query_params.get("position")
    if named is None:
        return None
    position = requests.whole(named, "position", 0, POSITION_MAX)
    return None if await _service(request).caught_up(position) else position


def _before(request: Request) -> int | None:
    """Return the version before which the reader asks for a part of a list, None for the newest."""
    named = request.query_params.get("before")
    return None if named is None else requests.whole(named, "before", 1, POSITION_MAX)


async def _document(request: Request) -> dict[str, Any]:
    document = await _service(request).record(request.path_params["address"])
    if document is None:
        raise errors.RecordUnknown
    return document


# ---------------------------------------------------------------- the pages


async def index(request: Request) -> Response:
    """Search, facets and the list of records."""
    behind = await _behind(request)
    filters: dict[str, Any] = {name: _many(request, name) for name in catalogue.FILTERS}
    filters["level"] = tuple(requests.whole(each, "level", 0, 7) for each in filters["level"])
    query = catalogue.Query(
        text=request.query_params.get("q", "").strip()[:SEARCH_LENGTH_MAX],
        cursor=request.query_params.get("cursor"),
        **filters,
    )
    found = await _queried(request, _service(request).catalogue, query)
    shown = index_page.index(query, found)
    return _page(request, render("index.html", page=shown, behind=behind))


async def record(request: Request) -> Response:
    """One record, whole."""
    service = _service(request)
    if seen := await memento.found_of_page(service, request):
        return await _past_record(request, service, seen)
    behind = await _behind(request)
    document = await _document(request)
    successor = document["superseded_by"]
    given = record_page.Given(
        document,
        await service.history(document["record_id"]),
        await service.aside(service.findings.of, document["record_id"]),
        await service.in_force(),
        await service.record(successor) if successor else None,
        behind,
        conflicts=await service.aside(service.conflicts.count, document["record_id"]),
    )
    page = record_page.build(given)
    return _page(request, render("record.html", page=page), _record_links(page))


def _record_links(page: record_page.RecordPage) -> tuple[str, ...]:
    links = [
        f'<{page.head.address}>; rel="canonical"',
        f'<{page.head.document_href}>; rel="alternate"; type="application/json"',
    ]
    if page.head.doi_href:
        links.append(f'<{page.head.doi_href}>; rel="cite-as"')
    return tuple(links)


async def _past_record(request: Request, service: Service, seen: Seen) -> Response:
    history = await service.history(seen.record_id)
    given = record_page.Given(
        seen.document,
        history[: seen.version],
        await service.findings_in(seen),
        seen.in_force,
        past=past_banner.build(seen),
    )
    page = record_page.build(given)
    html = render("record.html", page=page)
    return _page(request, html, _record_links(page), memento.of_page(seen, page.head.address))


async def record_corrections(request: Request) -> Response:
    """The correction history of one record, oldest first, a part at a time."""
    service = _service(request)
    if seen := await memento.found_of_page(service, request):
        rows = await service.corrections_in(seen)
        past = past_banner.build(seen)
        page = corrections_page.record_corrections(seen.document, rows, past, _before(request))
        html = render("record_corrections.html", page=page, behind=None)
        return _page(request, html, (), memento.of_page(seen, request.url.path))
    behind = await _behind(request)
    document = await _document(request)
    history = await service.aside(service.corrections.of, document["record_id"])
    page = corrections_page.record_corrections(document, history, before=_before(request))
    return _page(request, render("record_corrections.html", page=page, behind=behind))


async def record_history(request: Request) -> Response:
    """The timeline of one record, oldest first, a part at a time."""
    document = await _document(request)
    shown = history_page.of(document, _before(request))
    rows = await _service(request).history(document["record_id"], shown.start, shown.stop)
    page = history_page.build(document, shown, rows)
    return _page(request, render("record_history.html", page=page))


async def record_diff(request: Request) -> Response:
    """What changed on one record between two points of its past."""
    # A field of the form that was left empty asks for nothing.
    points = {name: request.query_params[name] for name in POINTS if request.query_params.get(name)}
    document = await _document(request)
    found = await _service(request).difference(document["record_id"], points)
    page = diff_page.build(document, found, points)
    return _page(request, render("record_diff.html", page=page))


async def all_corrections(request: Request) -> Response:
    """The corrections of all records, latest first."""
    service, behind = _service(request), await _behind(request)
    view = service.corrections
    query = corrections.Query(
        nature=_many(request, "nature"),
        type=_many(request, "type"),
        cursor=request.query_params.get("cursor"),
    )
    found = await _queried(request, view, query)
    page = corrections_page.all_corrections(query, found, await service.aside(view.counts))
    return _page(request, render("corrections.html", page=page, behind=behind))


async def all_findings(request: Request) -> Response:
    """The findings by rule, and those of the rules that were asked for."""
    service, behind = _service(request), await _behind(request)
    view = service.findings
    query = findings.Query(rule=_many(request, "rule"), cursor=request.query_params.get("cursor"))
    found = await _queried(request, view, query)
    page = findings_page.all_findings(query, found, await service.aside(view.counts))
    return _page(request, render("findings.html", page=page, behind=behind))


async def all_conflicts(request: Request) -> Response:
    """The conflicts of evidence, of all records or of one."""
    service, behind = _service(request), await _behind(request)
    of = request.query_params.get("record")
    record_id = None if of is None else await service.ledger.resolve(of)
    query = conflicts.Query(record_id, cursor=request.query_params.get("cursor"))
    page = conflicts_page.build(await _queried(request, service.conflicts, query), of)
    return _page(request, render("conflicts.html", page=page, behind=behind))


async def about(request: Request) -> Response:
    """What this is, what it promises and what it does not."""
    page = about_page.build(await _service(request).in_force(), get_args(RecordEvent))
    return _page(request, render("about.html", page=page))


async def verification(request: Request) -> Response:
    """How to check the log: what is signed, the latest checkpoint, the key, and the commands."""
    service = _service(request)
    status = await service.aside(status_of, service.store, service.log)
    page = verification_page.build(status, service.settings.base_url)
    return _page(request, render("verification.html", page=page))


async def all_problems(request: Request) -> Response:
    """Every refusal with its code, status and sentence."""
    kinds = sorted(problems.every_refusal(), key=lambda kind: (problems.status_of(kind), kind.code))
    return _page(request, render("problems.html", kinds=[_problem(kind) for kind in kinds]))


async def all_schemas(request: Request) -> Response:
    """Every public contract with its schema: a page, or JSON for a reader who takes no page."""
    rows = document_rows.contracts()
    if wants_html(request):
        response = _page(request, render("schemas.html", rows=rows))
    else:
        items = [
            {"contract": row.contract, "document": row.file, "schema": row.schema_href}
            for row in rows
        ]
        response = JSONResponse({"items": items}, headers={"Cache-Control": "no-cache"})
    response.headers["Vary"] = "Accept"
    return response


async def problem(request: Request) -> Response:
    """What one code of a refusal means."""
    kind = problems.by_code(request.path_params["code"])
    if kind is None:
        raise errors.NoSuchPage
    return _page(request, render("problem_type.html", problem=_problem(kind)))


def _problem(kind: type[errors.Refusal]) -> dict[str, Any]:
    status = problems.status_of(kind)
    return {
        "code": kind.code,
        "status": int(status),
        "phrase": status.phrase,
        "title": problems.title_of(kind),
        "href": urls.problem(kind.code),
    }
