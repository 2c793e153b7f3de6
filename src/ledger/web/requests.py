"""What does a request really ask?  Strict readers for bodies, headers and query parameters.

Each returns a checked value or raises a refusal; nothing here appends or queries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from ledger import errors
from ledger.actors import KeyHolder
from ledger.store import IdempotencyKey
from ledger.web import misfit

if TYPE_CHECKING:
    from ledger.application import Ledger
    from ledger.vocabulary import Scope

BODY_BYTES_MAX: Final = 1_048_576
ERRORS_SHOWN: Final = 20
NAME_SHOWN_MAX: Final = 100
"""Characters of a strange parameter's name that an answer repeats."""
_ETAG = re.compile(r'"(\d{1,18})(?:\.[0-9a-f]{1,18})?"\Z')
_KEY = re.compile(r"[!-~]{1,255}\Z")
_WHOLE = re.compile(r"[0-9]{1,18}\Z")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):\Z")

Shape = TypeVar("Shape", bound=BaseModel)


async def chunks(request: Request, limit: int = BODY_BYTES_MAX) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; refuses BodyTooLarge past ``limit`` bytes."""
    size = 0
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    more = True
    while more:
        # From the server itself: the framework's stream would do the same once more around it.
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> errors.Refusal:
    return errors.BodyTooLarge(f"A body may have {limit} bytes at most.")


async def body(request: Request, shape: type[Shape]) -> Shape:
    """Return the JSON body as ``shape``; refuses what is not JSON or does not fit."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = "Send the body as application/json."
        raise errors.UnsupportedMediaType(message)
    raw = b"".join([chunk async for chunk in chunks(request)])
    try:
        return shape.model_validate_json(raw)
    except ValidationError as trouble:
        raise _refused(trouble, raw) from trouble


def fitting(form: Mapping[str, str], shape: type[Shape]) -> Shape:
    """Return parameters as ``shape``; refuses InvalidParameter naming the first misfit."""
    try:
        return shape.model_validate_json(json.dumps(form))
    except ValidationError as trouble:
        name = str(trouble.errors()[0]["loc"][0])
        message = f"The parameter {name} does not fit: {misfit.sentence(trouble.errors()[0])}"
        raise errors.InvalidParameter(_plain(message), parameter=name) from trouble


def _refused(trouble: ValidationError, raw: bytes) -> errors.Refusal:
    if trouble.errors(include_url=False, include_context=False)[0]["type"] == "json_invalid":
        return errors.MalformedJson()
    told = misfit.told(trouble, json.loads(raw), ERRORS_SHOWN)
    where = f" at {told[0]['pointer']}" if told[0]["pointer"] else ""
    message = f"The body does not fit{where}: {told[0]['message']}"
    return errors.InvalidBody(
        _plain(message), errors=[{k: _plain(v) for k, v in t.items()} for t in told]
    )


def _plain(text: str) -> str:
    """Return a text without lone surrogates, which cannot be sent."""
    return text.encode("utf-8", "backslashreplace").decode()


async def holder(request: Request, ledger: Ledger) -> KeyHolder:
    """Return who sent the request, as remembered; refuses NotAuthenticated."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise errors.NotAuthenticated
    return await ledger.keys.holder(key.strip())


def allowed(holder: KeyHolder, *scopes: Scope) -> None:
    """Refuse NotAllowed to a key that has none of the scopes."""
    if not any(holder.allows(scope) for scope in scopes):
        message = f"The API key does not have the scope {' or '.join(scopes)}."
        raise errors.NotAllowed(message)


def idempotency(request: Request, actor: str, asked: str) -> IdempotencyKey:
    """Return the request's idempotency key with the fingerprint of ``asked``.

    The header is a structured-field string (with quotes); a bare token is taken too.
    """
    given = _only(request, "Idempotency-Key")
    if given is None:
        raise errors.IdempotencyKeyMissing
    key = given.strip()
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if not _KEY.match(key):
        message = "An Idempotency-Key is 1 to 255 visible ASCII characters."
        raise errors.InvalidParameter(message, parameter="Idempotency-Key")
    fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    return IdempotencyKey(actor, key, fingerprint)


def _only(request: Request, name: str) -> str | None:
    """Return the one value of a header, or None; refuses InvalidParameter if it was sent twice."""
    given = request.headers.getlist(name)
    if len(given) > 1:
        message = f"The header {name} was sent {len(given)} times; send it once."
        raise errors.InvalidParameter(message, parameter=name)
    return given[0] if given else None


def expected_version(request: Request) -> int:
    """Return the record version named by If-Match; refuses PreconditionMissing."""
    given = _only(request, "If-Match")
    if given is None:
        raise errors.PreconditionMissing
    named = _ETAG.match(given.strip())
    if named is None:
        message = 'If-Match names one strong ETag of the record, such as "3".'
        raise errors.InvalidParameter(message, parameter="If-Match")
    return int(named[1])


def has(request: Request, tag: str) -> bool:
    """Whether If-None-Match names an ETag: by weak comparison, as RFC 9110 (13.1.2) wants it."""
    given = ",".join(request.headers.getlist("If-None-Match")).split(",")
    held = {each.strip().removeprefix("W/") for each in given}
    return "*" in held or tag.removeprefix("W/") in held


def announced_digest(request: Request) -> str | None:
    """Return the SHA-256 that Content-Digest (RFC 9530) announces, in our form, or None."""
    given = _only(request, "Content-Digest")
    if given is None:
        return None
    named = _DIGEST.match(given.strip())
    try:
        raw = base64.b64decode(named[1], validate=True) if named else b""
    except binascii.Error:
        raw = b""
    if len(raw) != hashlib.sha256().digest_size:
        message = "Content-Digest takes the form sha-256=:BASE64:."
        raise errors.InvalidParameter(message, parameter="Content-Digest")
    return "sha256:" + raw.hex()


def query(request: Request, known: Mapping[str, bool]) -> dict[str, list[str]]:
    """Return the query parameters by name; ``known`` says for each whether it may be repeated.

    An unknown name is refused, so that a misspelled filter never looks like an unfiltered answer.
    """
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name in known and (name not in found or known[name]):
            found.setdefault(name, []).append(value)
            continue
        shown = _plain(name)[:NAME_SHOWN_MAX]
        if name in known:
            message = f"The query parameter {shown} was sent more than once; send it once."
        else:
            taken = ", ".join(known) or "no query parameters"
            message = f'There is no query parameter "{shown}" here; this address takes {taken}.'
        raise errors.InvalidParameter(message, parameter=shown)
    return found


def whole(value: str, name: str, lowest: int, highest: int) -> int:
    """Return a whole number within bounds; refuses InvalidParameter."""
    if not _WHOLE.match(value) or not lowest <= int(value) <= highest:
        message = f"{name} is a whole number from {lowest} to {highest}."
        raise errors.InvalidParameter(message, parameter=name)
    return int(value)
