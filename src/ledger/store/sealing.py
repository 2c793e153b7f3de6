"""What is done to an append before it queues?  Its events are sealed: a salt and a commitment.

The same for every adapter, outside any transaction and any lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from eventsourcing.persistence import StoredEvent

from ledger.store import Append, IdempotencyKey, KeyConflict, Receipt
from ledger.vocabulary import random_bytes

COMMITMENT_PREFIX: Final = b"ledger.payload.v1\n"
SALT_BYTES: Final = 32
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Sealed = tuple[StoredEvent, bytes, bytes]
"""An event with its salt and the commitment to its exact bytes."""


def moment(microseconds: int) -> datetime:
    """Return the moment of a stored count of microseconds."""
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(at: datetime) -> int:
    """Return a moment as it is stored."""
    return (at - EPOCH) // timedelta(microseconds=1)


def sealed(event: StoredEvent) -> Sealed:
    """Return an event with a fresh salt and the commitment to its exact bytes."""
    salt = random_bytes(SALT_BYTES)
    return event, salt, hashlib.sha256(COMMITMENT_PREFIX + salt + event.state).digest()


@dataclass(frozen=True, slots=True)
class SealedAppend:
    """An append whose events are sealed: ready for the writer."""

    append: Append
    events: tuple[Sealed, ...]


def ready(append: Append) -> SealedAppend:
    """Return an append with its events sealed.

    Raises ValueError for one without events and for a name that holds a NUL.
    """
    if not append.events:
        raise ValueError("an append holds no event")
    names = [str(event.originator_id) for event in append.events]
    names += [stream for stream, _version in append.guards]
    names += [text for r in append.reservations for text in (r.kind, r.value)]
    names += [text for d in append.documents for text in (d.view, d.id)]
    names += [artifact.digest for artifact in append.artifacts]
    if append.idempotency is not None:
        names += [append.idempotency.actor, append.idempotency.key]
    if "\0" in "".join(names):
        # SQLite's JSON ends a text there and PostgreSQL takes none, so names would be confused.
        raise ValueError("a name in an append holds a NUL character")
    return SealedAppend(append, tuple(map(sealed, append.events)))


def alone(works: Sequence[Any]) -> int:
    """Return how many of the works go before the first erasure, or 1 if it is the first.

    An erasure has to be the last event of the log when its row is rewritten.
    """
    for n, work in enumerate(works):
        if isinstance(work, SealedAppend) and work.append.erasure is not None:
            return max(n, 1)
    return len(works)


def findable(name: str) -> bool:
    """Whether a name can be in a database at all: it holds no NUL and is whole Unicode."""
    return "\0" not in name and (name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name))


def made_before(at: datetime) -> str:
    """Return what sorts after every identifier (UUIDv7) made before a moment."""
    text = f"{microseconds(at) // 1_000:012x}"
    return f"{text[:8]}-{text[8:]}"


def replayed(key: IdempotencyKey, fingerprint: str, receipt: Receipt) -> Receipt:
    """Return an earlier answer to a key again; raises KeyConflict for another request."""
    if fingerprint != key.fingerprint:
        raise KeyConflict(key.key)
    return replace(receipt, replayed=True)
