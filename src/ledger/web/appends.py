"""How does a request become an append, and an append an answer?  The endpoints over the table.

Every append is answered by its receipt; a retry under the same key gets the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ledger import errors
from ledger.actors import KeyHolder
from ledger.commands import Attach, Command, Evaluate
from ledger.engine import Request
from ledger.store import Receipt
from ledger.vocabulary import ArtifactRole, Gate, Moment, Scope, Visibility, moment_text
from ledger.web import log, problems, requests, urls
from ledger.web.routes import (
    ATTACH_REFUSALS,
    ATTACHMENT,
    COMMON,
    ON_A_RECORD,
    ROUTES,
    Route,
    Tell,
)

if TYPE_CHECKING:
    from ledger.service import Service


class Appended(BaseModel):
    """The receipt of an append: where its last event stands, and since when."""

    model_config = ConfigDict(frozen=True)

    record_id: str
    handle: str
    version: int = Field(description="The record's version from now on.")
    position: int = Field(description="The position of the last event in the log.")
    recorded_at: Moment


class Erased(Appended):
    """The receipt of an erasure, and what is left to do."""

    also_at: tuple[int, ...] = Field(
        description="Positions of the record's events that still held such a text then."
    )


_GATE_SCOPES: Final = {
    Gate.VERIFICATION: Scope.EVALUATE_GATE_2,
    Gate.RED_TEAM: Scope.EVALUATE_GATE_3,
}

_KEY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A name of your own for this request: the same name gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}
_MATCH_PARAMETER: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version that you saw.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,18}([.][0-9a-f]{1,18})?"$'},
    "example": '"1"',
}


def router(service: Service) -> APIRouter:
    """Return the routes of all appends over a service."""
    routes = APIRouter()
    for route in ROUTES:
        _add(routes, service, route)
    _add_attachments(routes, service)
    return routes


def _add(routes: APIRouter, service: Service, route: Route) -> None:
    # Where the gate decides the scope, a holder of either is let in, and the body looked at.
    scopes = (route.scope,) if route.scope else tuple(_GATE_SCOPES.values())

    async def endpoint(request: HttpRequest) -> Response:
        requests.query(request, {})

        async def act(who: KeyHolder) -> Receipt:
            requests.allowed(who, *scopes)
            command = await requests.body(request, route.body)
            if isinstance(command, Evaluate):
                requests.allowed(who, _GATE_SCOPES[command.gate])
            return await _append(request, service, route, who, command)

        return await _with_key(request, service, act, route.tell)

    refusals = (*COMMON, *route.refusals, *(ON_A_RECORD if "{" in route.path else ()))
    routes.add_api_route(
        route.path,
        endpoint,
        methods=["POST"],
        status_code=HTTPStatus.CREATED,
        operation_id=route.name,
        summary=_summary(route.body),
        tags=["appends"],
        response_class=Response,
        responses={
            HTTPStatus.CREATED: _created(Erased if route.tell else Appended),
            **problems.documented(refusals),
        },
        openapi_extra=_asked(route),
    )


def _summary(body: type[Command]) -> str:
    return (body.__doc__ or "").strip().splitlines()[0]


def _asked(route: Route) -> dict[str, Any]:
    return {
        "parameters": [
            _KEY_PARAMETER,
            *([_MATCH_PARAMETER] if "{" in route.path else []),
            log.PREFER,
        ],
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{route.body.__name__}"},
                    "example": route.body.EXAMPLE,
                }
            },
        },
    }


def _created(answer: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{answer.__name__}"}
    return {
        "description": "Appended, and durable.",
        "content": {"application/json": {"schema": schema}},
        "headers": {
            "ETag": {"schema": {"type": "string"}, "description": "The record's new version."},
            "Ledger-Position": {
                "schema": {"type": "integer"},
                "description": "Position in the log.",
            },
            "Location": {"schema": {"type": "string"}, "description": "The record."},
            "Link": {"schema": {"type": "string"}, "description": "The receipt of the last event."},
            "Preference-Applied": {
                "schema": {"type": "string"},
                "description": "wait=N, if a signed checkpoint came to cover the event in time.",
            },
        },
    }


async def _with_key(
    request: HttpRequest,
    service: Service,
    act: Callable[[KeyHolder], Awaitable[Receipt]],
    tell: Tell | None = None,
) -> Response:
    """Answer an append that the holder of the request's key wants.

    A new fact proves that the key holds, for it was written under guard.  Any other answer proves
    nothing, so before it is given the key is looked up again.
    """
    keys = service.ledger.keys
    who = await requests.holder(request, service.ledger)
    try:
        receipt = await act(who)
    except errors.Unavailable:
        # It tells nothing that takes a key, and the database is not asked while it is away.
        raise
    except errors.Refusal:
        await keys.confirmed(who)
        raise
    if receipt.replayed:
        await keys.confirmed(who)
    more = await tell(service.ledger, receipt) if tell else {}
    response = await answer(service, receipt, more)
    await log.awaited(request, service, receipt.position, response)
    return response


async def _append(
    request: HttpRequest, service: Service, route: Route, who: KeyHolder, command: Command
) -> Receipt:
    place = await _place(request, service)
    # Only what was sent: a default that a later program adds must not make a retry another request.
    asked = f"{route.name}\n{place}\n{command.model_dump_json(exclude_unset=True)}"
    key = requests.idempotency(request, who.actor, asked)
    expected = requests.expected_version(request) if place else None
    wanted = Request(who.actor, key, expected, who)
    async with service.patience():
        return await route.act(service.ledger, place, command, wanted)


async def _place(request: HttpRequest, service: Service) -> str:
    """Return the record or the position that a request is about, nothing for a new record."""
    given = request.path_params
    if "position" in given:
        return str(requests.whole(given["position"], "position", 1, 2**53))
    return await service.ledger.resolve(given["address"]) if "address" in given else ""


async def answer(service: Service, receipt: Receipt, more: dict[str, Any]) -> Response:
    """Return the answer to an append: the same for the first time and for every retry."""
    # The members of ``Appended``, whose instances would be made only to be written out at once.
    appended = {
        "record_id": receipt.originator_id,
        "handle": await service.ledger.handle(receipt.originator_id),
        "version": receipt.version,
        "position": receipt.position,
        "recorded_at": moment_text(receipt.recorded_at),
        **more,
    }
    return Response(
        to_json(appended),
        status_code=HTTPStatus.CREATED,
        media_type="application/json",
        headers={
            "ETag": f'"{receipt.version}"',
            "Ledger-Position": str(receipt.position),
            "Location": f"/v1/records/{receipt.originator_id}",
            "Link": f'<{urls.receipt(receipt.position)}>; rel="receipt"',
        },
    )


def _add_attachments(routes: APIRouter, service: Service) -> None:
    async def endpoint(request: HttpRequest) -> Response:
        given = requests.query(request, {"role": False, "visibility": False})
        if "visibility" in given and "role" not in given:
            message = "visibility is a member of a JSON body; beside bytes, send role as well."
            raise errors.InvalidParameter(message, parameter="visibility")

        async def act(who: KeyHolder) -> Receipt:
            requests.allowed(who, Scope.ATTACH)
            if "role" in given:
                command, size = await _uploaded(request, service, who.actor, given)
            else:
                command = await requests.body(request, Attach)
                size = await _size(service, request.path_params["address"], command)
            attach = replace(
                ATTACHMENT,
                act=lambda ledger, record, command, asked: ledger.attach(
                    record, command, size, asked
                ),
            )
            return await _append(request, service, attach, who, command)

        return await _with_key(request, service, act)

    asked = _asked(ATTACHMENT)
    asked["parameters"] += [
        {
            "name": "role",
            "in": "query",
            "description": "With a role the body is the artifact's bytes; without, it is JSON.",
            "schema": {"type": "string", "enum": [role.value for role in ArtifactRole]},
        },
        {
            "name": "visibility",
            "in": "query",
            "schema": {"type": "string", "enum": [v.value for v in Visibility]},
        },
    ]
    asked["requestBody"]["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "format": "binary"}
    }
    routes.add_api_route(
        urls.ARTIFACTS,
        endpoint,
        methods=["POST"],
        status_code=HTTPStatus.CREATED,
        operation_id="attach",
        summary="Attach an artifact: upload its bytes, or name bytes that are attached already.",
        tags=["appends"],
        response_class=Response,
        responses={
            HTTPStatus.CREATED: _created(Appended),
            **problems.documented((*COMMON, *ATTACH_REFUSALS, *ON_A_RECORD)),
        },
        openapi_extra=asked,
    )


async def _size(service: Service, address: str, command: Attach) -> int:
    """Return the size in bytes of what a bare digest may name (docs/decisions/0012).

    Bytes that are public anywhere may be named by anybody; withheld ones only by the record that
    withholds them, and only to stay withheld.  Nothing tells whether others are there.
    """
    found = await service.store.artifact(command.digest)
    if found is None and command.visibility is Visibility.WITHHELD:
        record_id = await service.ledger.resolve(address)
        view = await service.store.document(service.view_name, record_id)
        own = json.loads(view.body)["artifacts"] if view else []
        found = next((a["size_bytes"] for a in own if a["digest"] == command.digest), None)
    if found is None:
        raise errors.ArtifactMissing
    return found


async def _uploaded(
    request: HttpRequest, service: Service, actor: str, given: Mapping[str, list[str]]
) -> tuple[Attach, int]:
    """Take the bytes in, once everything that can be refused without them has been looked at."""
    media_type = request.headers.get("content-type", "application/octet-stream")
    media_type = media_type.partition(";")[0].strip().lower()
    requests.idempotency(request, actor, "")
    expected = requests.expected_version(request)
    record_id = await service.ledger.resolve(request.path_params["address"])
    view = await service.store.document(service.view_name, record_id)
    if view is None:
        raise errors.RecordUnknown
    if expected > view.version:
        raise errors.StaleVersion(version=view.version)
    form = {"role": given["role"][0], "digest": "sha256:" + "0" * 64, "media_type": media_type}
    form["visibility"] = given.get("visibility", [Visibility.PUBLIC.value])[0]
    checked = requests.fitting(form, Attach)
    digest, size = await service.artifacts.receive(
        requests.chunks(request, service.artifacts.limit_bytes),
        requests.announced_digest(request),
        # For an earlier version it is a retry, whose bytes are here, or will be refused.
        keep=expected == view.version,
    )
    return checked.model_copy(update={"digest": digest}), size
