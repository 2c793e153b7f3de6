"""What did a record say, and what was true of it, at a past moment?  One resolver for every door.

Two axes that are never merged.  *Recorded time* chooses what was known: the log up to a version or
a moment, with the gates and policies of that prefix.  *Effective time* chooses, of what was known,
what had taken effect; without a recorded moment, everything known today counts as known.

It reads the log and folds it; the fold of the public view is handed in, as it is to the writer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from ledger import errors, governance
from ledger.codec import decode
from ledger.events import Event, PayloadErased, RecordSubmitted
from ledger.in_force import InForce
from ledger.rules import CLOCK_SKEW
from ledger.store import FactRow, Store
from ledger.vocabulary import Day, Moment, moment_text, now

VERSION_MAX: Final = 2**53
_WHOLE: Final = re.compile(r"[0-9]{1,16}\Z")
_DAY: Final = TypeAdapter[date](Day)
_MOMENT: Final = TypeAdapter[datetime](Moment)


class Fold(Protocol):
    """The fold of a public view from a selection of a record's events."""

    @property
    def folded(self) -> Callable[[Iterable[Event]], Any]:
        """Return the page that events make, in order."""

    @property
    def body(self) -> Callable[[Any, InForce], bytes]:
        """Return the document of a page as bytes."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment up to which something counts: as written, when it begins, and its last instant.

    A moment begins and ends in itself; a day begins and ends with the day in UTC.
    """

    text: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the past: a version or a recorded moment, an effective moment, or both."""

    version: int | None = None
    recorded_at: Cut | None = None
    as_of: Cut | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The question as query parameters, in their one form."""
        told = {"version": None if self.version is None else str(self.version)}
        for name, cut in (("recorded_at", self.recorded_at), ("as_of", self.as_of)):
            told[name] = cut.text if cut else None
        return {name: value for name, value in told.items() if value is not None}


def asked(given: Mapping[str, str]) -> Asked | None:
    """Return the question in ``version``, ``recorded_at`` and ``as_of``; None when none is given.

    Refuses InvalidParameter for what is no version, moment or day.
    """
    if not given:
        return None
    version = given.get("version")
    if version is not None and not (_WHOLE.match(version) and 1 <= int(version) <= VERSION_MAX):
        message = f"version is a whole number from 1 to {VERSION_MAX}."
        raise errors.InvalidParameter(message, parameter="version")
    return Asked(
        None if version is None else int(version),
        cut(given, "recorded_at"),
        cut(given, "as_of"),
    )


def cut(given: Mapping[str, str], name: str, number: str = "") -> Cut | None:
    """Return the moment or day that a parameter gives, None without it; refuses any other text.

    ``number`` is what a number would have been, for the sentence of the refusal.
    """
    text = given.get(name)
    if text is None:
        return None
    try:
        if "T" in text.upper():
            moment = _MOMENT.validate_python(text)
            return Cut(moment_text(moment), moment, moment)
        day = _DAY.validate_python(text)
    except ValidationError as misfit:
        message = (
            f"{name} is {f'a {number}, ' if number else ''}a moment such as "
            "2026-07-02T03:48:27.951721Z, or a day such as 2026-07-02, which stands for its end in "
            "UTC."
        )
        raise errors.InvalidParameter(message, parameter=name) from misfit
    first, last = (datetime.combine(day, edge, UTC) for edge in (time.min, time.max))
    return Cut(day.isoformat(), first, last)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in the log, since when it holds, and whether it counts."""

    position: int
    recorded_at: datetime
    event: Event
    effective: datetime
    counts: bool


@dataclass(frozen=True)
class Seen:
    """A record as it was seen, or held true, at what was asked.

    ``known`` are its events up to the recorded moment, in order.  ``settled`` says that nothing
    can be added to what was known: the log has been written up to it.  ``erased_since`` are the
    versions that took texts away from what counts, and do not count themselves.
    """

    record_id: str
    asked: Asked
    known: tuple[Entry, ...]
    in_force: InForce
    body: bytes
    settled: bool
    erased_since: tuple[int, ...] = ()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The public document."""
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def shown(self) -> dict[str, Any]:
        """The public document with its place in the log, and which past this is."""
        place = {
            "position": self.last.position,
            "recorded_at": moment_text(self.last.recorded_at),
            "past": self.told,
        }
        return place | self.document

    @property
    def counted(self) -> tuple[Entry, ...]:
        """The known events that had taken effect."""
        return tuple(entry for entry in self.known if entry.counts)

    @property
    def last(self) -> Entry:
        """The last event that was known."""
        return self.known[-1]

    @property
    def version(self) -> int:
        """The last version that was known."""
        return self.last.event.originator_version

    @property
    def told(self) -> dict[str, Any]:
        """What this is a view of, as the answer's member ``past`` tells it."""
        question, known = self.asked, self.known
        return {
            "version": question.version,
            "recorded_at": question.recorded_at.text if question.recorded_at else None,
            "as_of": question.as_of.text if question.as_of else None,
            "known_version": self.version,
            "not_in_effect": [e.event.originator_version for e in known if not e.counts],
            "erased_since": list(self.erased_since),
        }


def seen(store: Store, fold: Fold, record_id: str, question: Asked) -> Seen:
    """Return a record at what is asked; may be called in any thread.

    Refuses RecordUnknown, VersionUnknown, NotYetRecorded, NotYetInEffect, MomentInFuture and
    MomentsContradict.
    """
    # First, so that whatever was recorded before the last event is in the rows that follow.
    present = latest(store)
    rows = store.rows_of(record_id)
    if not rows or rows[0].topic.rpartition(":")[0] != RecordSubmitted.TYPE:
        raise errors.RecordUnknown
    not_future(
        {"recorded_at": question.recorded_at, "as_of": question.as_of},
        max(present, rows[-1].recorded_at),
    )
    until = _known_until(rows, question)
    known_rows = [row for row in rows if until(row)]
    governing = [row for row in store.rows_of(governance.STREAM) if until(row)]
    known = _entries(known_rows, question.as_of)
    if not known[0].counts:
        raise too_early(errors.NotYetInEffect, question.as_of, "in effect", known[0].effective)
    in_force = InForce()
    for entry in _entries(governing, question.as_of):
        if entry.counts:
            in_force = in_force.after(entry.event)
    page = fold.folded(entry.event for entry in known if entry.counts)
    return Seen(
        record_id=record_id,
        asked=question,
        known=known,
        in_force=in_force,
        body=fold.body(page, in_force),
        settled=_settled(question, present),
        erased_since=_erased_since(rows, known),
    )


def latest(store: Store) -> datetime:
    """Return when the last event of the log was recorded; long ago for an empty log."""
    head = store.head()
    rows = list(store.rows(head - 1, head, 1)) if head else []
    return rows[0].recorded_at if rows else datetime.min.replace(tzinfo=UTC)


def position_at(store: Store, given: Mapping[str, str], name: str) -> int:
    """Return how far the log had been written at a position, or by a moment or day.

    Refuses EventUnknown for a position beyond the log, NotYetRecorded for a moment before it,
    MomentInFuture, and InvalidParameter for any other text.
    """
    text, head = given[name], store.head()
    if _WHOLE.match(text):
        if int(text) > head:
            message = f"The log ends at position {head}, and has no position {text}."
            raise errors.EventUnknown(message, last=head)
        return int(text)
    moment = cut(given, name, "position")
    not_future({name: moment}, latest(store))
    # Recorded times increase with the position, so that the last one in time is soon found.
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        (row,) = store.rows(after=middle - 1, upto=middle, page=2)
        if moment is not None and row.recorded_at <= moment.end:
            low = middle
        else:
            high = middle - 1
    if head and not low:
        message = f"Nothing was recorded at {text} yet: the log begins later."
        raise errors.NotYetRecorded(message)
    return low


def not_future(cuts: Mapping[str, Cut | None], recorded: datetime) -> None:
    """Refuse MomentInFuture for what begins after now and after what was recorded last."""
    present = max(now(), recorded)
    for name, moment in cuts.items():
        if moment is not None and moment.begin > present + CLOCK_SKEW:
            message = f"{name} lies in the future: it is {moment_text(present)} now."
            raise errors.MomentInFuture(message, parameter=name, now=moment_text(present))


def _known_until(rows: Sequence[FactRow], question: Asked) -> Callable[[FactRow], bool]:
    """Return whether a row of the log was known; ``rows`` are all of the record."""
    cut, version = question.recorded_at, question.version
    if cut is not None and rows[0].recorded_at > cut.end:
        raise too_early(errors.NotYetRecorded, cut, "recorded", rows[0].recorded_at)
    if version is not None and version > len(rows):
        message = f"The record has {len(rows)} versions, and no version {version}."
        raise errors.VersionUnknown(message, last=len(rows))
    if cut is not None:
        at_cut = sum(row.recorded_at <= cut.end for row in rows)
        if version not in (None, at_cut):
            message = f"At {cut.text} the record was at version {at_cut}, not {version}."
            raise errors.MomentsContradict(message, version=at_cut)
        return lambda row: row.recorded_at <= cut.end
    if version is not None:
        position = rows[version - 1].position
        return lambda row: row.position <= position
    return lambda _row: True


def too_early(
    kind: type[errors.NotFound], cut: Cut | None, word: str, first: datetime
) -> errors.NotFound:
    """Return the refusal of a moment before the first event of a record."""
    asked_text = cut.text if cut else "that moment"
    message = (
        f"Nothing of the record was {word} at {asked_text} yet: the first of it is of "
        f"{moment_text(first)}."
    )
    return kind(message, first=moment_text(first))


def _entries(rows: Iterable[FactRow], as_of: Cut | None) -> tuple[Entry, ...]:
    entries = []
    for row in rows:
        event = decode(row.originator_id, row.originator_version, row.topic, row.state)
        since = event.effective(row.recorded_at)
        counts = as_of is None or since <= as_of.end
        entries.append(Entry(row.position, row.recorded_at, event, since, counts))
    return tuple(entries)


def _erased_since(rows: Iterable[FactRow], known: Sequence[Entry]) -> tuple[int, ...]:
    """Return the erasures that reach into what counts without counting themselves."""
    counted = {entry.event.originator_version for entry in known if entry.counts}
    erasures = (
        decode(row.originator_id, row.originator_version, row.topic, row.state)
        for row in rows
        if row.topic.rpartition(":")[0] == PayloadErased.TYPE
    )
    return tuple(
        erased.originator_version
        for erased in erasures
        if isinstance(erased, PayloadErased)
        and erased.version in counted
        and erased.originator_version not in counted
    )


def _settled(question: Asked, latest: datetime) -> bool:
    if question.recorded_at is not None:
        return question.recorded_at.end <= latest
    return question.version is not None
