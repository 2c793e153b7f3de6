"""How is the past asked for over HTTP?  By ``version``, ``recorded_at`` and ``as_of``.

Every answer says what it is a view of; what is settled is sent as a memento (RFC 7089).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ledger import errors, past
from ledger.vocabulary import moment_text
from ledger.web import requests, urls

if TYPE_CHECKING:
    from ledger.past import Asked, Seen
    from ledger.service import Service

AXES: Final = {
    "version": "The version of the record that was shown.",
    "recorded_at": "A recorded moment, or a day for its end in UTC: what was shown then.",
    "as_of": "An effective moment, or a day for its end in UTC: what was in effect then, by what "
    "is known now, or was known at `version` or `recorded_at`.",
}
"""The parameters that ask for the past, and what each means."""

EXAMPLES: Final = {"day": "2026-07-02", "moment": "2026-07-02T03:48:27.951721Z"}

REFUSALS: Final[tuple[type[errors.Refusal], ...]] = (
    errors.VersionUnknown,
    errors.NotYetRecorded,
    errors.NotYetInEffect,
    errors.MomentInFuture,
    errors.MomentsContradict,
)
SETTLED: Final = "public, max-age=86400, immutable"
"""A day: what is settled changes only when texts are erased, and that must reach every cache."""

NO_CACHE: Final = "no-cache"
DESCRIBED: Final = "As of the moment that is asked for, or of now."


def parameter(name: str) -> dict[str, Any]:
    """Return the description of one of the parameters for OpenAPI."""
    shape: dict[str, Any] = {"type": "string"}
    examples: dict[str, Any] = EXAMPLES
    if name == "version":
        shape = {"type": "integer", "minimum": 1, "maximum": past.VERSION_MAX}
        examples = {"first": 1}
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": shape,
        "description": AXES[name],
        "examples": {kind: {"value": value} for kind, value in examples.items()},
    }


def asked(given: Mapping[str, list[str]]) -> Asked | None:
    """Return the past moment that query parameters ask for, None for the present."""
    return past.asked({name: given[name][0] for name in AXES if name in given})


async def found(service: Service, request: Request) -> Seen | None:
    """Return a record at the past moment that a request asks for, None when it asks for now.

    It takes no other query parameters.
    """
    question = asked(requests.query(request, dict.fromkeys(AXES, False)))
    return await service.past(request.path_params["address"], question) if question else None


async def found_of_page(service: Service, request: Request) -> Seen | None:
    """Return a record at the past moment that a page is asked for, None for now.

    A field of a form that was left empty asks nothing.
    """
    given = {name: [v for v in request.query_params.getlist(name) if v] for name in AXES}
    for name, values in given.items():
        if len(values) > 1:
            message = f"{name} was sent {len(values)} times; send it once."
            raise errors.InvalidParameter(message, parameter=name)
    question = asked({name: values for name, values in given.items() if values})
    return await service.past(request.path_params["address"], question) if question else None


def of_page(seen: Seen, present: str) -> dict[str, str]:
    """Return the headers of a page of the past, whose ETag is its own."""
    sent = {
        "Cache-Control": SETTLED if seen.settled else NO_CACHE,
        "Link": f'<{present}>; rel="original latest-version"',
    }
    return sent | moment(seen)


def view(request: Request, seen: Seen) -> Response:
    """Return the answer with the public document as it was, its place and moment in front."""
    place = {
        "position": seen.last.position,
        "recorded_at": moment_text(seen.last.recorded_at),
        "past": seen.told,
    }
    return answer(request, seen, _json(place)[:-1] + b"," + seen.body[1:])


def part(request: Request, seen: Seen, members: Mapping[str, Any]) -> Response:
    """Return the answer with a part of a record as it was."""
    return answer(request, seen, _json({"past": seen.told, **members}))


def answer(request: Request, seen: Seen, body: bytes, *links: str) -> Response:
    """Return JSON that says what was, with further links, or 304 when the reader has it."""
    sent = headers(seen, body, request.url.path)
    sent["Link"] = ", ".join((*links, sent["Link"]))
    if requests.has(request, sent["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=sent)
    return Response(body, media_type="application/json", headers=sent)


def headers(seen: Seen, body: bytes, present: str) -> dict[str, str]:
    """Return the headers of an answer about the past; ``present`` is where to ask about now.

    The ETag names the last version that was known, as that of the current view does.
    """
    page = urls.with_query(urls.record_page(seen.record_id), seen.asked.parameters)
    sent = {
        "ETag": f'"{seen.version}.{hashlib.blake2b(body, digest_size=6).hexdigest()}"',
        "Ledger-Position": str(seen.last.position),
        "Cache-Control": SETTLED if seen.settled else NO_CACHE,
        "Link": f'<{present}>; rel="original latest-version", '
        f'<{page}>; rel="alternate"; type="text/html"',
    }
    return sent | moment(seen)


def moment(seen: Seen) -> dict[str, str]:
    """Return the header that dates what is settled, to the second; none for anything else."""
    if not seen.settled:
        return {}
    cut = seen.asked.recorded_at
    at = cut.end if cut else seen.last.recorded_at
    return {"Memento-Datetime": format_datetime(at, usegmt=True)}


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
