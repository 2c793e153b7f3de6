"""Which names does a fact take, and which bytes does it make public?  Told from the fact alone.

The live ledger writes both with the append; whoever has only the log derives them here again.
"""

from __future__ import annotations

from typing import Final

from ledger.codec import decode
from ledger.events import (
    ArtifactAttached,
    Checked,
    Event,
    ExternalRecordRegistered,
    PageImported,
    RecordSubmitted,
    Stated,
)
from ledger.store import Artifact, FactRow, Reservation
from ledger.vocabulary import Visibility

TELLING: Final = frozenset(
    kind.TYPE
    for kind in (ArtifactAttached, ExternalRecordRegistered, PageImported, RecordSubmitted)
)
"""The types of event that take a name or make bytes public."""


def telling(row: FactRow) -> Event | None:
    """Return the event of a row if it may take names; raises UnreadableEvent."""
    if row.topic.rpartition(":")[0] not in TELLING:
        return None
    return decode(row.originator_id, row.originator_version, row.topic, row.state)


def reserved(event: Event | None) -> tuple[Reservation, ...]:
    """Return the names that an event takes for its stream."""
    match event:
        case RecordSubmitted():
            handle = Reservation("handle", event.handle, event.originator_id)
            if not isinstance(event.basis, Stated) or event.correlation_id is None:
                return (handle,)
            # A feed finds the record of a work again under the name that its source has for it.
            work = f"work:{event.correlation_id}"
            return handle, Reservation("source", work, event.originator_id)
        case ExternalRecordRegistered(value=str() as doi):
            return (Reservation("doi", doi, event.originator_id),)
        case PageImported():
            return (Reservation("source", event.source, event.originator_id),)
        case _:
            return ()


def published(event: Event | None) -> Artifact | None:
    """Return the bytes that an event makes public; those of which a source tells never came."""
    match event:
        case ArtifactAttached(
            digest=str() as digest,
            size_bytes=int() as size,
            visibility=Visibility.PUBLIC,
            basis=Checked(),
        ):
            return Artifact(digest, size)
        case _:
            return None
