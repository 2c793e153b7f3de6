"""Which documents of a record are served?  One under each public contract, and its schema.

Each is made of the record's public view when it is asked for, and names the schema that it fits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger import errors
from ledger.web import memento, problems, requests, urls
from ledger.web.links import links, schemas
from projections.contracts import CONTRACTS, Contract, not_applicable

if TYPE_CHECKING:
    from ledger.past import Seen
    from ledger.service import Service

JSON: Final = "application/json"
SCHEMA_JSON: Final = "application/schema+json"
FOR_EVER: Final = "public, max-age=31536000, immutable"
COMPONENT: Final = "Contract.{model}"
"""How the shapes of contracts are named in the API's description, apart from those of commands."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The public view that a document is made of, and the past that was asked for, if any."""

    view: dict[str, Any]
    position: int
    asked: dict[str, str] = field(default_factory=dict)
    seen: Seen | None = None


def router(service: Service) -> APIRouter:
    """Return the routes of all documents over a service."""
    routes = APIRouter()
    documents = Documents(service)
    for contract in CONTRACTS.values():
        routes.add_api_route(
            urls.DOCUMENTS[contract.name],
            documents.handler(contract),
            methods=["GET"],
            operation_id=contract.file.removesuffix(".json"),
            summary=f"Return the record's document under the contract {contract.name}.",
            tags=["contracts"],
            response_class=Response,
            responses=_documented(contract),
            openapi_extra={"parameters": [*map(memento.parameter, memento.AXES)]},
        )
    return routes


def _documented(contract: Contract) -> dict[int | str, Any]:
    model = COMPONENT.format(model=contract.model.__name__)
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
    refusals: tuple[type[errors.Refusal], ...] = (
        errors.InvalidParameter,
        errors.RecordUnknown,
        *memento.REFUSALS,
        errors.ContractNotApplicable,
        errors.StoreUnavailable,
    )
    return {
        HTTPStatus.OK: {"description": memento.DESCRIBED, "content": content},
        HTTPStatus.NOT_MODIFIED: {"description": "You have this document."},
        **problems.documented(refusals),
    }


def components() -> dict[str, Any]:
    """Return the shapes of all documents for the API's description, by their names there."""
    _, described = models_json_schema(
        [(contract.model, "serialization") for contract in CONTRACTS.values()],
        ref_template=f"#/components/schemas/{COMPONENT}",
    )
    return {COMPONENT.format(model=name): shape for name, shape in described["$defs"].items()}


class Documents:
    """The handlers of all documents, over one service."""

    def __init__(self, service: Service) -> None:
        """Answer from ``service``."""
        self.service = service

    def handler(self, contract: Contract) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers a request for the document of one contract."""

        async def act(request: Request) -> Response:
            return answer(contract, await self.shown(request), self._base_url, request)

        return act

    @property
    def _base_url(self) -> str:
        return self.service.settings.base_url

    async def shown(self, request: Request) -> Shown:
        """Return the view that a request asks about, now or as it was; refuses RecordUnknown."""
        if seen := await memento.found(self.service, request):
            return Shown(seen.document, seen.last.position, seen.asked.parameters, seen)
        record_id = await self.service.ledger.resolve(request.path_params["address"])
        stored = await self.service.store.document(self.service.view_name, record_id)
        if stored is None:
            raise errors.RecordUnknown
        return Shown(json.loads(stored.body), stored.position)


def made(
    contract: Contract, view: Mapping[str, Any], base_url: str, asked: Mapping[str, str]
) -> bytes:
    """Return the bytes of a document; refuses ContractNotApplicable where there is none."""
    if why_not := not_applicable(contract.name, view):
        message = f"There is no {contract.name} of this record. {why_not}"
        raise errors.ContractNotApplicable(message, contract=contract.name)
    return contract.make(view, links(base_url, view, asked)).encoded()


def answer(contract: Contract, shown: Shown, base_url: str, request: Request) -> Response:
    """Return a document with its version, schema and page, or 304 to a reader who has it."""
    body = made(contract, shown.view, base_url, shown.asked)
    named = links(base_url, shown.view, shown.asked)
    described = f'<{named.schemas[contract.name]}>; rel="describedby"; type="{SCHEMA_JSON}"'
    if shown.seen is not None:
        return memento.answer(request, shown.seen, body, described)
    tag = f'"{shown.view["version"]}.{hashlib.blake2b(body, digest_size=6).hexdigest()}"'
    headers = {
        "ETag": tag,
        "Ledger-Position": str(shown.position),
        "Cache-Control": "no-cache",
        "Link": f'{described}, <{named.page}>; rel="alternate"; type="text/html"',
    }
    if requests.has(request, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


# ---------------------------------------------------------------- schemas


def schema_routes(service: Service) -> list[Route]:
    """Return the route of the schemas; they stay as they are for ever."""
    return [Route(urls.SCHEMA, partial(_schema, service.settings.base_url))]


async def _schema(base_url: str, request: Request) -> Response:
    """Return the JSON Schema of a contract."""
    contract = CONTRACTS.get(request.path_params["name"])
    if contract is None:
        raise errors.NoSuchPage
    schema = contract.schema(schemas(base_url)[contract.name])
    body = json.dumps(schema, ensure_ascii=False, indent=2).encode()
    tag = f'"{hashlib.blake2b(body, digest_size=6).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": FOR_EVER}
    if requests.has(request, tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type=SCHEMA_JSON, headers=headers)
