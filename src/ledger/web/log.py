"""How is the signed log served?  Its checkpoint and tiles as C2SP tlog-tiles says, and receipts.

What lies under ``/log`` is for tools of any log, the same bytes that an archive holds; what lies
under ``/v1`` is for people and programs without such a tool.  All of it is public.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger import errors
from ledger.transparency import merkle
from ledger.transparency.entries import entry_of
from ledger.transparency.lines import event_line
from ledger.transparency.log_status import status_of
from ledger.transparency.notes import encoded
from ledger.transparency.proofs import Proof
from ledger.web import problems, requests, urls

if TYPE_CHECKING:
    from ledger.service import Service
    from ledger.store.tree import Published

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
WAIT_S_MAX: Final = 30
POSITION_MAX: Final = 2**53
BUNDLES: Final = "entries/"
_ZIPPED: Final = partial(gzip.compress, compresslevel=6, mtime=0)
_NOT = re.compile(r"\s*q=0(?:\.0{0,3})?\s*", re.IGNORECASE)
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
_FOR_NOW: Final = _OPEN | {"Cache-Control": "no-store"}
_FOR_EVER: Final = _OPEN | {"Cache-Control": "public, max-age=604800, immutable"}
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,3})\"?\s*(?:$|[,;])", re.IGNORECASE)

PREFER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "wait=N: answer when a signed checkpoint covers the event, or after N seconds.",
    "schema": {"type": "string", "pattern": "^wait=[0-9]{1,2}$", "example": "wait=5"},
}


def plain(service: Service) -> list[Route]:
    """Return the routes under ``/log``, which the description of the API leaves to C2SP."""
    log = _Log(service)
    return [
        Route(urls.CHECKPOINT, log.checkpoint),
        Route(urls.TILE, log.tile),
        Route(urls.VKEY, log.vkey),
    ]


@dataclass(frozen=True, slots=True)
class _Read:
    """A read of the log that the API describes."""

    path: str
    name: str
    act: Callable[[Request], Awaitable[Response]]
    answers: dict[int | str, Any]
    parameters: tuple[dict[str, Any], ...] = ()
    refusals: tuple[type[errors.Refusal], ...] = ()


def router(service: Service) -> APIRouter:
    """Return the routes of the API over a service."""
    routes = APIRouter()
    for read in _table(_Log(service)):
        routes.add_api_route(
            read.path,
            read.act,
            methods=["GET"],
            operation_id=read.name,
            summary=(read.act.__doc__ or "").strip().splitlines()[0],
            tags=["log"],
            response_class=Response,
            responses={
                **read.answers,
                **problems.documented(
                    (*read.refusals, errors.InvalidParameter, errors.StoreUnavailable)
                ),
            },
            openapi_extra={"parameters": list(read.parameters)},
        )
    return routes


def _table(log: _Log) -> tuple[_Read, ...]:
    sizes = {"type": "integer", "minimum": 1}
    found = {"description": "As of now.", "content": {JSON: {"schema": {"type": "object"}}}}
    receipt = {
        "description": "Covered by a checkpoint: a C2SP tlog-proof, or JSON with the fact in it.",
        "content": {TEXT: {"schema": {"type": "string"}}, JSON: {"schema": {"type": "object"}}},
    }
    later = {"description": "Not covered yet: ask again.", "content": found["content"]}
    return (
        _Read(urls.LOG_STATUS, "log-status", log.status, {HTTPStatus.OK: found}),
        _Read(
            urls.LOG_CONSISTENCY,
            "log-consistency",
            log.consistency,
            {HTTPStatus.OK: found},
            tuple(
                {"name": name, "in": "query", "required": needed, "schema": sizes}
                for name, needed in (("from", True), ("to", False))
            ),
            (errors.LogNotSigned,),
        ),
        _Read(
            urls.RECEIPT,
            "receipt",
            log.receipt,
            {HTTPStatus.OK: receipt, HTTPStatus.ACCEPTED: later},
            (PREFER,),
            (
                errors.EventUnknown,
                errors.LogNotSigned,
                errors.LogKeyUnusable,
                errors.LogStopped,
                errors.LogRolledBack,
            ),
        ),
    )


class _Log:
    """The handlers, over one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def checkpoint(self, _request: Request) -> Response:
        """Return the latest checkpoint as it was signed."""
        latest = await self._service.aside(self._published)
        # A witness that was away may cosign it later, so its size is not all that it says.
        tag = hashlib.blake2b(latest.note, digest_size=6).hexdigest()
        headers = _FOR_NOW | {"ETag": f'"{latest.size}.{tag}"'}
        return Response(latest.note, headers=headers, media_type=TEXT)

    async def vkey(self, _request: Request) -> Response:
        """Return the public key of the log; who checks the log has to know it from elsewhere."""
        key = await self._service.aside(self._service.log.publisher.key)
        if key is None:
            raise errors.LogNotSigned
        return Response(f"{key.verifier}\n", headers=_FOR_NOW, media_type=TEXT)

    async def tile(self, request: Request) -> Response:
        """Return a tile of hashes or a bundle of entries that a published checkpoint needs."""
        requests.query(request, {})
        place = request.path_params["place"]
        data = await self._service.aside(self._tile, place)
        headers = dict(_FOR_EVER)
        if place.startswith(BUNDLES):
            # Entries become much shorter, which hashes do not.
            headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(request):
                headers["Content-Encoding"] = "gzip"
                data = await self._service.aside(_ZIPPED, data)
        return Response(data, headers=headers, media_type="application/octet-stream")

    async def status(self, request: Request) -> Response:
        """Return how far the signed log reaches, who cosigned it, and what is wrong with it."""
        requests.query(request, {})
        found = await self._service.aside(status_of, self._service.store, self._service.log)
        return _json(found)

    async def consistency(self, request: Request) -> Response:
        """Return the proof that a published tree continues an earlier one."""
        given = requests.query(request, {"from": False, "to": False})
        if "from" not in given:
            message = "Say from which size on: from is missing."
            raise errors.InvalidParameter(message, parameter="from")
        latest = await self._service.aside(self._published)
        size = requests.whole(given.get("to", [str(latest.size)])[0], "to", 1, latest.size)
        old = requests.whole(given["from"][0], "from", 1, size)
        return _json(await self._service.aside(self._consistency, old, size))

    async def receipt(self, request: Request) -> Response:
        """Return the receipt of an event: the proof that a signed checkpoint covers it."""
        requests.query(request, {})
        position = requests.whole(request.path_params["position"], "position", 1, POSITION_MAX)
        if position > await self._service.store.position():
            raise errors.EventUnknown
        limit_s = wait_s(request) or 0
        covering = await self._service.log.covered(position, limit_s)
        if covering is None:
            return _json(await self._service.aside(self._pending, position), HTTPStatus.ACCEPTED)
        as_json = JSON in request.headers.get("accept", "")
        act = self._receipt_json if as_json else self._receipt_text
        data = await self._service.aside(act, position, covering)
        return Response(data, headers=_FOR_NOW, media_type=JSON if as_json else TEXT)

    # ------------------------------------------------------------ in a thread of its own

    def _published(self) -> Published:
        found = self._service.store.tree.published()
        if found is None:
            raise errors.LogNotSigned
        return found

    def _tile(self, place: str) -> bytes:
        try:
            level, index, width = merkle.parse_tile_path(place)
        except merkle.BadTile as bad:
            raise errors.TileUnknown from bad
        if merkle.tile_width(self._published().size, level or 0, index) < width:
            raise errors.TileUnknown
        reader = self._service.log.publisher.reader
        return reader.bundle(index, width) if level is None else reader.tile(level, index, width)

    def _consistency(self, old: int, size: int) -> dict[str, Any]:
        reader = self._service.log.publisher.reader
        return {
            "from": old,
            "to": size,
            "from_root": encoded(reader.root(old)),
            "to_root": encoded(reader.root(size)),
            "proof": [*map(encoded, reader.consistency(old, size))],
        }

    def _pending(self, position: int) -> dict[str, Any]:
        """Return what there is to say of an event that is not covered; refuses if it never will."""
        log = self._service.log
        log.may_append()
        if log.standing.code == errors.LogStopped.code:
            raise errors.LogStopped(log.standing.trouble)
        covered = self._service.store.tree.published()
        if covered is None and log.publisher.key() is None:
            raise errors.LogNotSigned
        return {"position": position, "covered": covered.size if covered else 0}

    def _proof(self, position: int, covering: Published) -> Proof:
        index = position - 1
        path = self._service.log.publisher.reader.inclusion(index, covering.size)
        return Proof(index, tuple(path), covering.note)

    def _receipt_text(self, position: int, covering: Published) -> bytes:
        return bytes(self._proof(position, covering))

    def _receipt_json(self, position: int, covering: Published) -> bytes:
        proof = self._proof(position, covering)
        (row,) = self._service.store.rows(after=position - 1, upto=position, page=2)
        told = {
            "index": proof.index,
            "size": covering.size,
            "entry": entry_of(row).decode(),
            "proof": [*map(encoded, proof.path)],
            "checkpoint": covering.note.decode(),
        }
        # The fact comes last and holds the stored bytes of its event, which are not encoded again.
        return b'%b,"fact":%b}' % (_text(told).encode()[:-1], event_line(row))


def _takes_gzip(request: Request) -> bool:
    """Whether a client takes an answer in gzip, as RFC 9110 12.5.3 has it: only if it says so."""
    said = dict[str, bool]()
    for part in ",".join(request.headers.getlist("accept-encoding")).split(","):
        coding, _, weight = part.partition(";")
        said[coding.strip().lower()] = _NOT.fullmatch(weight) is None
    return said.get("gzip", said.get("*", False))


def wait_s(request: Request) -> int | None:
    """Return for how many seconds ``Prefer: wait=N`` asks to wait, at most 30; None if it does not.

    A preference that is not understood is passed over, as RFC 7240 wants it.
    """
    found = _WAIT.search(",".join(request.headers.getlist("prefer")))
    return min(int(found[1]), WAIT_S_MAX) if found else None


async def awaited(request: Request, service: Service, position: int, response: Response) -> None:
    """Hold an answer to an append back until its event is covered, if the client prefers that."""
    asked = wait_s(request)
    if asked is not None and await service.log.covered(position, asked) is not None:
        response.headers["Preference-Applied"] = f"wait={asked}"


def _json(body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = dict(_FOR_NOW)
    if status is HTTPStatus.ACCEPTED:
        headers["Retry-After"] = problems.RETRY_AFTER_S
    return Response(_text(body), status_code=status, media_type=JSON, headers=headers)


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
