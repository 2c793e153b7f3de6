"""What can be asked over HTTP?  The current view, lists, history, corrections, findings.

Reads are open, answered from stored bytes, and change nothing; cursors are opaque, never offsets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ledger import errors
from ledger.vocabulary import moment_text
from ledger.web import choice, memento, problems, requests, urls
from ledger.web.audit import DIFF_REFUSALS, HISTORY_LIMIT_MAX, POINTS, Audit
from projections import catalogue, conflicts, corrections, findings
from projections.catalogue import Catalogue
from projections.conflicts import Conflicts
from projections.corrections import Corrections
from projections.cursor import LIMIT_DEFAULT, LIMIT_MAX
from projections.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.service import Service
    from ledger.store import StoredDocument

WAIT_POSITION: Final = "ledger-position"
JSON: Final = "application/json"
NO_CACHE: Final = "no-cache"

Refusals = tuple[type[errors.Refusal], ...]

_FILTERS: Final = ("status", "tier", "level", "kind", "publisher", "state", "standing", "basis")


@dataclass(frozen=True, slots=True)
class Read:
    """One read of the API: where, by what, and which query parameters and refusals it has."""

    path: str
    name: str
    act: Callable[[Request], Awaitable[Response]]
    query: dict[str, str]
    refusals: Refusals


def _table(reads: _Reads) -> tuple[Read, ...]:
    """Return every read; more exact paths stand before the record's own."""
    page = {"cursor": "string", "limit": "integer"}
    filters = dict.fromkeys(_FILTERS, "array")
    since = {"after": "integer", "limit": "integer"}
    bad = (errors.InvalidParameter,)
    late = (*bad, errors.ProjectionBehind)
    named = (*bad, errors.RecordUnknown)
    lists = (*named, errors.ProjectionBehind)
    past: Refusals = (*named, *memento.REFUSALS)
    past_lists: Refusals = (*lists, *memento.REFUSALS)
    axes = dict.fromkeys(memento.AXES, "")
    audit = Audit(reads.service)
    return (
        Read(urls.RECORDS, "list-records", reads.listing, {"q": "string"} | filters | page, late),
        Read(
            urls.CORRECTIONS,
            "list-corrections",
            reads.corrections,
            {"nature": "array", "type": "array"} | page,
            late,
        ),
        Read(urls.FINDINGS, "list-findings", reads.findings, {"rule": "array"} | page, late),
        Read(urls.CONFLICTS, "list-conflicts", reads.conflicts, {"record": "string"} | page, lists),
        Read(urls.HISTORY, "history", audit.history, since, named),
        Read(urls.DIFF, "diff", audit.diff, dict.fromkeys(POINTS, ""), (*named, *DIFF_REFUSALS)),
        Read(
            urls.RECORD_CORRECTIONS,
            "corrections-of-record",
            reads.corrections_of,
            axes,
            past_lists,
        ),
        Read(
            urls.RECORD_FINDINGS,
            "findings-of-record",
            reads.findings_of,
            axes,
            past_lists,
        ),
        Read(urls.EVALUATIONS, "evaluations-of-record", reads.evaluations_of, axes, past),
        Read(
            urls.ARTIFACT,
            "artifact",
            reads.artifact,
            {},
            (*named, errors.ArtifactUnknown),
        ),
        Read(urls.RECORD, "current-view", reads.record, axes, past),
    )


def router(service: Service) -> APIRouter:
    """Return the routes of all reads over a service."""
    routes = APIRouter()
    for read in _table(_Reads(service)):
        routes.add_api_route(
            read.path,
            read.act,
            methods=["GET"],
            operation_id=read.name,
            summary=(read.act.__doc__ or "").strip().splitlines()[0],
            tags=["reads"],
            response_class=Response,
            responses=_documented(read),
            openapi_extra={"parameters": _parameters(read)},
        )
    return routes


def _documented(read: Read) -> dict[int | str, Any]:
    media_type = "application/octet-stream" if read.name == "artifact" else JSON
    content = {media_type: {"schema": {} if read.name == "artifact" else {"type": "object"}}}
    past = memento.AXES.keys() <= read.query.keys()
    moment = memento.DESCRIBED if past else "As of now."
    ok: dict[int | str, Any] = {
        HTTPStatus.OK: {"description": moment, "content": content},
    }
    if past:
        ok[HTTPStatus.NOT_MODIFIED] = {"description": "You have this view."}
    return {**ok, **problems.documented((*read.refusals, errors.StoreUnavailable))}


def _parameters(read: Read) -> list[dict[str, Any]]:
    highest = HISTORY_LIMIT_MAX if "after" in read.query else LIMIT_MAX
    return [_parameter(name, kind, highest) for name, kind in read.query.items()]


def _parameter(name: str, kind: str, highest: int) -> dict[str, Any]:
    if name in memento.AXES:
        return memento.parameter(name)
    if name in POINTS:
        return {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": POINTS[name],
        }
    schema: dict[str, Any] = {"type": kind}
    if kind == "array":
        schema["items"] = {"type": "string"}
        if name in choice.VALUES:
            schema["items"]["enum"] = list(choice.VALUES[name])
    if kind == "integer":
        schema |= {"minimum": 0 if name == "after" else 1}
        if name == "limit":
            schema["maximum"] = highest
    return {"name": name, "in": "query", "required": False, "schema": schema}


class _Reads:
    """The handlers, over one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def record(self, request: Request) -> Response:
        """Return the public view of a record, by id, handle or DOI, now or as it was."""
        if seen := await memento.found(self.service, request):
            return memento.view(request, seen)
        stored = await self._document(request)
        tag = etag(stored)
        headers = {
            "ETag": tag,
            "Ledger-Position": str(stored.position),
            "Cache-Control": NO_CACHE,
            "Link": f'</records/{stored.id}>; rel="alternate"; type="text/html"',
        }
        if requests.has(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(_with_place(stored), media_type=JSON, headers=headers)

    async def evaluations_of(self, request: Request) -> Response:
        """Return every gate evaluation of a record, in order, with the state of each."""
        if seen := await memento.found(self.service, request):
            was = seen.document
            members = {"verdict": was["verdict"], "items": was["evaluations"]}
            return memento.part(request, seen, members)
        stored = await self._document(request)
        view = json.loads(stored.body)
        return _json({"verdict": view["verdict"], "items": view["evaluations"]})

    async def corrections_of(self, request: Request) -> Response:
        """Return a record's correction history, oldest first."""
        if seen := await memento.found(self.service, request):
            rows = await self.service.corrections_in(seen)
            return memento.part(request, seen, {"items": [*map(corrections.told, rows)]})
        record_id = await self._record_id(request)
        await self._caught_up(request, Corrections.NAME)
        rows = self.service.corrections.of(record_id)
        return _json({"items": [*map(corrections.told, rows)]})

    async def findings_of(self, request: Request) -> Response:
        """Return the contradictions that the rules find on a record."""
        if seen := await memento.found(self.service, request):
            rows = await self.service.findings_in(seen)
            return memento.part(request, seen, {"items": [*map(asdict, rows)]})
        record_id = await self._record_id(request)
        await self._caught_up(request, Findings.NAME)
        rows = self.service.findings.of(record_id)
        return _json({"items": [asdict(row) for row in rows]})

    async def artifact(self, request: Request) -> Response:
        """Return the bytes of a public artifact of a record."""
        requests.query(request, {})
        view = json.loads((await self._document(request)).body)
        digest = request.path_params["digest"]
        for attached in view["artifacts"]:
            public = attached["visibility"] == "public"
            if (
                attached["digest"] == digest
                and public
                and self.service.artifacts.size(digest) is not None
            ):
                return FileResponse(
                    self.service.artifacts.path(digest),
                    media_type=attached["media_type"] or "application/octet-stream",
                    # Somebody else's bytes: never shown as a page of this site.
                    headers={
                        "Content-Disposition": "attachment",
                        "Content-Security-Policy": "sandbox",
                        "X-Content-Type-Options": "nosniff",
                    },
                )
        raise errors.ArtifactUnknown

    async def listing(self, request: Request) -> Response:
        """Return records, newest first, by words and filters, with facet counts."""
        known = {"q": False, **dict.fromkeys(_FILTERS, True), "cursor": False, "limit": False}
        given = requests.query(request, known)
        await self._caught_up(request, Catalogue.NAME)
        filters: dict[str, Any] = {
            name: choice.known(name, given.get(name, ())) for name in _FILTERS
        }
        filters["level"] = tuple(requests.whole(level, "level", 0, 7) for level in filters["level"])
        query = catalogue.Query(text=given.get("q", [""])[0], **filters, **_page(given))
        return await self._page(urls.RECORDS, given, self.service.catalogue, query)

    async def corrections(self, request: Request) -> Response:
        """Return corrections of all records, newest first."""
        known = {"nature": True, "type": True, "cursor": False, "limit": False}
        given = requests.query(request, known)
        await self._caught_up(request, Corrections.NAME)
        query = corrections.Query(
            nature=choice.known("nature", given.get("nature", ())),
            type=choice.known("type", given.get("type", ())),
            **_page(given),
        )
        view = self.service.corrections
        return await self._page(urls.CORRECTIONS, given, view, query, corrections.told)

    async def findings(self, request: Request) -> Response:
        """Return findings on all records, newest first, with counts by rule."""
        given = requests.query(request, {"rule": True, "cursor": False, "limit": False})
        await self._caught_up(request, Findings.NAME)
        query = findings.Query(rule=choice.known("rule", given.get("rule", ())), **_page(given))
        return await self._page(urls.FINDINGS, given, self.service.findings, query)

    async def conflicts(self, request: Request) -> Response:
        """Return evidence that passes on one record and fails on another, latest first."""
        given = requests.query(request, {"record": False, "cursor": False, "limit": False})
        await self._caught_up(request, Conflicts.NAME)
        query = conflicts.Query(record_id=await self._named(given), **_page(given))
        return await self._page(urls.CONFLICTS, given, self.service.conflicts, query)

    async def _named(self, given: Mapping[str, list[str]]) -> str | None:
        """Return the id of the record that a query names, None when it names none."""
        return await self.service.ledger.resolve(given["record"][0]) if "record" in given else None

    async def _page(
        self,
        path: str,
        given: Mapping[str, list[str]],
        view: Any,
        query: Any,
        told: Callable[[Any], dict[str, Any]] = asdict,
    ) -> Response:
        try:
            # Counting what a common word matches takes a second in a long list: never on the loop.
            page = await self.service.aside(view.page, query)
        except ValueError as trouble:
            raise errors.InvalidParameter(str(trouble), parameter="cursor") from trouble
        body: dict[str, Any] = {"items": [*map(told, page.items)], "total": page.total}
        if facets := getattr(page, "facets", None):
            body |= {"exact": page.exact, "facets": facets}
        links = []
        for relation, cursor in (("next", page.next), ("prev", page.previous)):
            if cursor is not None:
                kept = {**given, "cursor": [cursor]}
                links.append(f'<{urls.with_query(path, kept)}>; rel="{relation}"')
        return _json(body | {"next": page.next}, {"Link": ", ".join(links)} if links else {})

    async def _record_id(self, request: Request) -> str:
        record_id = await self.service.ledger.resolve(request.path_params["address"])
        if await self.service.store.document(self.service.view_name, record_id) is None:
            raise errors.RecordUnknown
        return record_id

    async def _document(self, request: Request) -> StoredDocument:
        record_id = await self.service.ledger.resolve(request.path_params["address"])
        stored = await self.service.store.document(self.service.view_name, record_id)
        if stored is None:
            raise errors.RecordUnknown
        return stored

    async def _caught_up(self, request: Request, view: str) -> None:
        """Wait for the position that the reader names, so that it sees its own append."""
        named = request.headers.get(WAIT_POSITION)
        if named is None:
            return
        position = requests.whole(named, "Ledger-Position", 0, 2**53)
        if not await self.service.caught_up(position, view):
            raise errors.ProjectionBehind(position=position)


def _limit(given: Mapping[str, list[str]]) -> int:
    return requests.whole(given.get("limit", [str(LIMIT_DEFAULT)])[0], "limit", 1, LIMIT_MAX)


def _page(given: Mapping[str, list[str]]) -> dict[str, Any]:
    return {"limit": _limit(given), "cursor": given.get("cursor", [None])[0]}


def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type=JSON, headers={"Cache-Control": NO_CACHE, **(headers or {})})


def etag(stored: StoredDocument) -> str:
    """Return the strong ETag of a view: the record's version, and what these very bytes are.

    The version alone would not do: a policy that is adopted changes views without an event on them.
    """
    return f'"{stored.version}.{hashlib.blake2b(stored.body, digest_size=6).hexdigest()}"'


def _with_place(stored: StoredDocument) -> bytes:
    """Return the stored document with its place in the log spliced in front, not encoded again."""
    place = f'{{"position":{stored.position},"recorded_at":"{moment_text(stored.recorded_at)}",'
    return place.encode() + stored.body[1:]
