"""Which facts does a feed of corrections state?  A record for each work, a correction each notice.

Everything is stated, with the digest of the feed and the line; the effective day is the feed's.
The source's own name of the work ties its facts together: it is their ``correlation_id``, and what
the record is found by when more is told of the work.
The recorded time is always the ledger's own: when the source recorded something stands in the note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger import errors
from ledger.content import Content
from ledger.events import (
    CorrectionIssued,
    Event,
    ExternalRecordRegistered,
    RecordSubmitted,
    Stated,
)
from ledger.importing.facts import PUBLISHER_NOT_STATED
from ledger.importing.feed import Feed, FeedLine, Happened, Told
from ledger.rules import publication_rule
from ledger.vocabulary import CorrectionType, Nature, derived_id, new_handle, new_record_id

if TYPE_CHECKING:
    from ledger.application import Ledger
    from ledger.record import ResearchRecord
    from ledger.store import Receipt

NATURES: Final = {
    Happened.REVISION: (Nature.NEW_VERSION, CorrectionType.ARTIFACT),
    Happened.ERRATUM: (Nature.ERRATUM, CorrectionType.ARTIFACT),
    Happened.RETRACTED: (Nature.RETRACTION, CorrectionType.CLAIM),
    Happened.REMOVED: (Nature.REMOVAL, CorrectionType.PROVENANCE),
}
"""What each kind of notice is here; which part of the record it concerns is this ledger's word."""

HANDLE_DIGITS: Final = (8, 10, 12, 14, 16)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one line: facts that were appended, or why there were none."""

    facts: int
    receipt: Receipt | None = None
    why_none: str | None = None


def source_of(told: Told) -> str:
    """Return the name under which the record of a work is reserved."""
    return f"work:{told.paper}"


async def take_in(ledger: Ledger, feed: Feed, line: FeedLine, actor: str) -> Taken:
    """Append what one line states; a line that was taken in before appends nothing.

    Refuses DoiTaken and DoiNotAddressable.
    """
    told, facts, receipt = line.told, 0, None
    record_id = await ledger.store.owner("source", source_of(told))
    if record_id is None:
        record_id, facts, receipt = await _submit(ledger, feed, line, actor)
    if told.event is Happened.PUBLISHED:
        return Taken(facts, receipt, None if facts else "imported before")
    if told.first_of_its_file:
        return Taken(facts, receipt, "it names the first file; nothing was corrected")
    try:
        receipt = await ledger.state(
            record_id, lambda record: correction(record, feed, line, actor)
        )
    except errors.CorrectionExists:
        return Taken(facts, receipt, "imported before")
    return Taken(facts + 1, receipt)


async def _submit(
    ledger: Ledger, feed: Feed, line: FeedLine, actor: str
) -> tuple[str, int, Receipt]:
    record_id = new_record_id()
    for digits in HANDLE_DIGITS:
        events = opening(feed, line, record_id, new_handle(digits), actor)
        try:
            receipt = await ledger.import_stated(events, source_of(line.told))
        except errors.HandleTaken:
            continue
        return record_id, len(events), receipt
    raise errors.HandleTaken


def opening(
    feed: Feed, line: FeedLine, record_id: str, handle: str, actor: str
) -> tuple[Event, ...]:
    """Return the facts that open the record of a work: its submission, and its DOI if it has one.

    It is submitted on the day of its publication, if the line is about that; nobody else says when.
    """
    told = line.told
    content = Content(title=told.named or "", publisher=told.publisher or PUBLISHER_NOT_STATED)
    basis = _basis(feed, line)
    submitted = RecordSubmitted(
        originator_id=record_id,
        originator_version=1,
        actor=actor,
        basis=basis,
        correlation_id=told.paper,
        handle=handle,
        content=content,
        content_digest=content.digest(),
        submitted_on=told.date if told.event is Happened.PUBLISHED else None,
        publication_rule=publication_rule(None, None),
    )
    if told.doi is None:
        return (submitted,)
    registered = ExternalRecordRegistered(
        originator_id=record_id,
        originator_version=2,
        actor=actor,
        basis=basis,
        correlation_id=told.paper,
        value=told.doi,
    )
    return submitted, registered


def correction(record: ResearchRecord, feed: Feed, line: FeedLine, actor: str) -> CorrectionIssued:
    """Return the correction that a line states; refuses CorrectionExists."""
    told = line.told
    about = f"{told.paper} {told.event.value} {told.n or ''} {told.date or ''}"
    correction_id = derived_id(about)
    if correction_id in record.corrections:
        raise errors.CorrectionExists
    nature, kind = NATURES[told.event]
    day = told.recorded_at.date()
    return CorrectionIssued(
        originator_id=record.record_id,
        originator_version=record.version + 1,
        actor=actor,
        basis=_basis(feed, line),
        correlation_id=told.paper,
        correction_id=correction_id,
        correction_type=kind,
        nature=nature,
        public_note=_note(told),
        asserted_by=told.publisher or PUBLISHER_NOT_STATED,
        effective_on=told.date or day,
    )


def _note(told: Told) -> str:
    what = told.note or f"{told.event.value.capitalize()}{f' {told.n}' if told.n else ''}."
    recorded = f"The source recorded this on {told.recorded_at.date().isoformat()}"
    undated = "" if told.date else " and does not say since when it holds"
    return f"{what}\n\n{recorded}{undated}."


def _basis(feed: Feed, line: FeedLine) -> Stated:
    return Stated(source=feed.source, name=feed.name, line=line.number)
