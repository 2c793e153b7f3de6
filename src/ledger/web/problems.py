"""How does a refusal look over HTTP?  One table to statuses, and problem+json (RFC 9457).

Nothing else in the house knows an HTTP status of a refusal; no traceback ever leaves here.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ledger import errors
from ledger.errors import Refusal

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "1"

# The first match wins: exceptions of a family stand before it.
_STATUSES: Final[tuple[tuple[type[Refusal], HTTPStatus], ...]] = (
    (errors.InvalidBody, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.ArtifactTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (errors.NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.NotAllowed, HTTPStatus.FORBIDDEN),
    (errors.MethodNotTaken, HTTPStatus.METHOD_NOT_ALLOWED),
    (errors.PreconditionMissing, HTTPStatus.PRECONDITION_REQUIRED),
    (errors.StaleVersion, HTTPStatus.PRECONDITION_FAILED),
    (errors.Malformed, HTTPStatus.BAD_REQUEST),
    (errors.RuleBroken, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.NotInitialised, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.WrongSchema, HTTPStatus.SERVICE_UNAVAILABLE),
    (Refusal, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def status_of(refusal: type[Refusal]) -> HTTPStatus:
    """Return the HTTP status of a kind of refusal."""
    return next(status for family, status in _STATUSES if issubclass(refusal, family))


def title_of(refusal: type[Refusal]) -> str:
    """Return the general sentence of a kind of refusal."""
    return " ".join((inspect.getdoc(refusal) or "").split())


def every_refusal() -> Iterator[type[Refusal]]:
    """Yield each refusal that has a code of its own."""
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        family = waiting.pop(0)
        waiting += family.__subclasses__()
        if "code" in vars(family) and family is not Refusal:
            yield family


def by_code(code: str) -> type[Refusal] | None:
    """Return the kind of refusal with a code, or None."""
    return next((refusal for refusal in every_refusal() if refusal.code == code), None)


def body_of(refusal: Refusal, instance: str) -> dict[str, Any]:
    """Return the problem document of a refusal; what it carries for machines stands beside."""
    kind = type(refusal)
    return {
        "type": f"/problems/{kind.code}",
        "title": title_of(kind),
        "status": int(status_of(kind)),
        "detail": refusal.detail,
        "instance": instance,
        "code": kind.code,
        **refusal.context,
    }


def headers_of(refusal: Refusal) -> dict[str, str]:
    """Return the headers that go with a refusal."""
    if isinstance(refusal, errors.NotAuthenticated):
        return {"WWW-Authenticate": 'Bearer realm="ledger"'}
    if isinstance(refusal, (errors.Unavailable, errors.RequestInFlight)):
        return {"Retry-After": RETRY_AFTER_S}
    return {}


def respond(request: Request, refusal: Refusal) -> Response:
    """Return the problem+json response of a refusal."""
    document = body_of(refusal, request.url.path)
    return Response(
        # Escaped JSON: whatever a path or a text held, the answer is plain ASCII and well formed.
        json.dumps(document, ensure_ascii=True),
        status_code=document["status"],
        media_type=MEDIA_TYPE,
        headers=headers_of(refusal),
    )


def documented(refusals: Iterable[type[Refusal]]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of some refusals: one per status, every code named."""
    grouped: dict[HTTPStatus, list[type[Refusal]]] = {}
    for refusal in dict.fromkeys(refusals):
        grouped.setdefault(status_of(refusal), []).append(refusal)
    return {
        int(status): {
            "description": "; ".join(f"`{kind.code}`: {title_of(kind)}" for kind in kinds),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        kind.code: {"value": body_of(kind(), "/v1/records")} for kind in kinds
                    },
                }
            },
        }
        for status, kinds in sorted(grouped.items())
    }


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "A refusal (RFC 9457); further members depend on the code.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string", "description": "Where this kind of problem is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence on what was refused and why."},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable; made for programs."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
