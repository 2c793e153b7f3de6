"""How do many records stand now?  ``POST /v1/status``: up to 1,000 of them in one question.

One look-up for each kind of name and one for the documents, whatever the number.  A name that the
ledger does not hold is answered as unknown: silence could be taken for a clean record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from ledger import errors
from ledger.application import named
from ledger.vocabulary import Moment
from ledger.web import problems, reads, requests, urls

if TYPE_CHECKING:
    from ledger.service import Service
    from ledger.store import StoredDocument

ASKED_MAX: Final = 1_000
NAME_MAX: Final = 512
JSON: Final = "application/json"
EXAMPLE: Final[dict[str, Any]] = {"records": ["SRCH:B0E046B6", "10.5281/zenodo.21147963"]}

# Ids, handles and DOIs are printable ASCII; anything else names no record and is not looked up.
_NAME = re.compile(r"[!-~]+")

Address = Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX)]


class StatusAsked(BaseModel):
    """The records that somebody relies on, each by its id, its handle or its DOI."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"example": EXAMPLE})

    records: Annotated[list[Address], Field(min_length=1, max_length=ASKED_MAX)]


class Found(BaseModel):
    """A record as it stands now; the whole of it is its current view."""

    answer: Literal["found"] = "found"
    asked: str
    record_id: str
    handle: str
    doi: str | None
    status: str = Field(description="The verdict that the evaluations add up to.")
    tier: str
    level: int
    state: str = Field(description="CURRENT, CORRECTED or SUPERSEDED.")
    standing: str = Field(description="What notices did to it: clear, concern, withdrawn and such.")
    superseded_by: str | None
    version: int
    position: int = Field(description="Where the record's last event stands in the log.")
    recorded_at: Moment
    etag: str = Field(description="The ETag of the current view.")


class Unknown(BaseModel):
    """A name that no record of this ledger has; nothing is said about it."""

    answer: Literal["unknown"] = "unknown"
    asked: str


class StatusAnswer(BaseModel):
    """One answer for each name, in the order of the question."""

    records: list[Annotated[Found | Unknown, Field(discriminator="answer")]]


class _Verdict(BaseModel):
    status: str


class _Tier(BaseModel):
    tier: str


class _Level(BaseModel):
    level: int


class _Corrections(BaseModel):
    state: str
    standing: str


class _Document(BaseModel):
    """The parts of a stored document that are answered here; the rest is not even parsed."""

    record_id: str
    handle: str
    doi: str | None
    verdict: _Verdict
    tier: _Tier
    level: _Level
    corrections: _Corrections
    superseded_by: str | None


_ANSWER: Final = TypeAdapter(StatusAnswer)
_REFUSALS: Final = (
    errors.InvalidBody,
    errors.InvalidParameter,
    errors.MalformedJson,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.StoreUnavailable,
)


def router(service: Service) -> APIRouter:
    """Return the route over a service."""

    async def endpoint(request: Request) -> Response:
        requests.query(request, {})
        asked = (await requests.body(request, StatusAsked)).records
        answer = StatusAnswer(records=await statuses(service, asked))
        return Response(
            _ANSWER.dump_json(answer),
            media_type=JSON,
            headers={"Cache-Control": "no-store"},
        )

    routes = APIRouter()
    routes.add_api_route(
        urls.STATUS,
        endpoint,
        methods=["POST"],
        operation_id="status",
        summary="Return how up to 1,000 records stand now; an unknown name is said to be unknown.",
        tags=["reads"],
        response_class=Response,
        responses={HTTPStatus.OK: _OK, **problems.documented(_REFUSALS)},
        openapi_extra={"requestBody": _ASKED_BODY},
    )
    return routes


_OK: Final[dict[str, Any]] = {
    "description": "As of now.",
    "content": {JSON: {"schema": {"$ref": "#/components/schemas/StatusAnswer"}}},
}
_ASKED_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {JSON: {"schema": {"$ref": "#/components/schemas/StatusAsked"}, "example": EXAMPLE}},
}


async def statuses(service: Service, asked: Sequence[str]) -> list[Found | Unknown]:
    """Return an answer for each name, in order; the same name may be asked twice."""
    ids = await _ids(service, asked)
    documents = await service.store.documents_of(service.view_name, sorted(set(ids.values())))
    shown = {id_: _stands(document) for id_, document in documents.items()}
    return [
        shown[ids[name]].model_copy(update={"asked": name})
        if ids.get(name) in shown
        else Unknown(asked=name)
        for name in asked
    ]


async def _ids(service: Service, asked: Sequence[str]) -> Mapping[str, str]:
    """Return the id that each name leads to, for the names that lead anywhere."""
    kinds: dict[str, dict[str, str]] = {}
    for name in asked:
        if _NAME.fullmatch(name):
            kind, value = named(name)
            kinds.setdefault(kind, {})[name] = value
    ids = kinds.pop("id", {})
    for kind, values in kinds.items():
        owners = await service.store.owners_of(kind, sorted(set(values.values())))
        ids |= {name: owners[value] for name, value in values.items() if value in owners}
    return ids


def _stands(stored: StoredDocument) -> Found:
    document = _Document.model_validate_json(stored.body)
    return Found.model_construct(
        asked="",
        record_id=document.record_id,
        handle=document.handle,
        doi=document.doi,
        status=document.verdict.status,
        tier=document.tier.tier,
        level=document.level.level,
        state=document.corrections.state,
        standing=document.corrections.standing,
        superseded_by=document.superseded_by,
        version=stored.version,
        position=stored.position,
        recorded_at=stored.recorded_at,
        etag=reads.etag(stored),
    )
