"""How does an event become stored bytes and come back?  Type names and versions are pinned here.

Bytes are written once and never encoded again; an old shape is lifted by an upcast when it is read.
Only names in the registry are ever turned into classes: a row cannot name code to run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic_core import to_json

from ledger.errors import UnreadableEvent
from ledger.events import AnyEvent, Event

REGISTRY: Final[dict[str, type[Event]]] = {kind.TYPE: kind for kind in get_args(AnyEvent)}

TOLD_MAX: Final = 3
"""How many of the things that are wrong with a body are told."""

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Final[dict[tuple[str, int], Upcast]] = {}
"""(type, version) -> the function that lifts a body of that version to the next one."""


def topic_of(event: Event) -> str:
    """Return the stored type name with its schema version: ``record.submitted:1``."""
    return f"{event.TYPE}:{event.VERSION}"


def encode(event: Event) -> bytes:
    """Return the body to store: compact UTF-8 JSON without the stream id and version."""
    return event.model_dump_json(exclude_none=False).encode()


def decode(originator_id: str, originator_version: int, topic: str, body: bytes) -> Event:
    """Return the event that a row holds; raises UnreadableEvent for an unknown type or bad body."""
    try:
        kind, body = _lifted(topic, body)
        # The stream id and version are columns: they join the body for one pass of validation.
        named = to_json(originator_id)
        envelope = b',"originator_id":%b,"originator_version":%d}' % (named, originator_version)
        return kind.model_validate_json(_open(body) + envelope)
    except (ValueError, KeyError, TypeError) as trouble:
        message = (
            f"Version {originator_version} of {originator_id} ({topic}) cannot be read: "
            f"{_said(trouble)}"
        )
        raise UnreadableEvent(message) from trouble


def _said(trouble: Exception) -> str:
    """Return what is wrong with a body in one line, and nothing of what stands in it."""
    if not isinstance(trouble, ValidationError):
        return str(trouble)
    found = trouble.errors(include_url=False, include_context=False, include_input=False)
    told = [": ".join((*map(str, (error["loc"][-1:])), error["msg"])) for error in found]
    more = f" (and {len(told) - TOLD_MAX} more)" if len(told) > TOLD_MAX else ""
    return "; ".join(told[:TOLD_MAX]) + more


def _lifted(topic: str, body: bytes) -> tuple[type[Event], bytes]:
    """Return the class of a topic, and the body lifted to the version that the class has now."""
    name, _, number = topic.rpartition(":")
    kind = REGISTRY.get(name)
    if kind is None or int(number) > kind.VERSION:
        message = "this program does not know that type and schema version"
        raise ValueError(message)
    for version in range(int(number), kind.VERSION):
        body = json.dumps(UPCASTS[name, version](json.loads(body))).encode()
    return kind, body


def _open(body: bytes) -> bytes:
    """Return the body without its last brace; what else it may end in would be lost unseen."""
    if not body.endswith(b"}"):
        message = "its body does not end as a JSON object does"
        raise ValueError(message)
    return body[:-1]
