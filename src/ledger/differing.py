"""What changed on a record between two points?  Every field, with the events that changed it.

A point is a version, 0 for before the first submission, or a moment of recorded time.  The record
is folded step by step, so that every change names the events that made it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final, Protocol

from ledger import errors, governance, past
from ledger.codec import decode
from ledger.comparing import changes
from ledger.events import Event, RecordSubmitted
from ledger.in_force import InForce
from ledger.store import LogRow, Store
from ledger.vocabulary import moment_text

CAUSES_MAX: Final = 500
"""Up to so many events between the points, each change is traced to its events."""
CAUSES_BYTES_MAX: Final = 4_000_000
"""And over so many bytes of documents, which are made anew after each event."""
UNTOLD: Final = frozenset({"version"})
"""Members of the document that every event changes, and that say nothing of the record."""


class Fold(Protocol):
    """The fold of a public view, one event at a time."""

    def evolve(self, page: Any, event: Event) -> Any:
        """Return the page after one more event; None is before the first."""

    def body(self, page: Any, in_force: InForce) -> bytes:
        """Return the document of a page as bytes."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a record's past: its version there, 0 before the first, and its last event."""

    version: int
    position: int
    recorded_at: datetime | None

    @property
    def told(self) -> dict[str, Any]:
        """The point as an answer tells it."""
        at = moment_text(self.recorded_at) if self.recorded_at else None
        return {"version": self.version, "position": self.position, "recorded_at": at}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the public document, by JSON pointer, with what it said and says.

    ``kind`` is added, removed or changed.  ``events`` is None where there were too many to trace.
    """

    path: str
    kind: str
    before: Any
    after: Any
    events: tuple[dict[str, Any], ...] | None

    @property
    def told(self) -> dict[str, Any]:
        """The change as an answer tells it."""
        told = {"path": self.path, "change": self.kind, "from": self.before, "to": self.after}
        return told | {"events": None if self.events is None else list(self.events)}


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed on a record between two points, over how many events."""

    record_id: str
    before: Point
    after: Point
    events: int
    changes: tuple[Change, ...]

    @property
    def told(self) -> dict[str, Any]:
        """The difference as an answer tells it."""
        return {
            "record_id": self.record_id,
            "from": self.before.told,
            "to": self.after.told,
            "events": self.events,
            "changes": [change.told for change in self.changes],
        }


def difference(  # noqa: PLR0913 - the last two are for who may take longer
    store: Store,
    fold: Fold,
    record_id: str,
    points: Mapping[str, str],
    *,
    causes_max: int = CAUSES_MAX,
    bytes_max: int = CAUSES_BYTES_MAX,
) -> Difference:
    """Return what changed between ``points["from"]`` and ``points["to"]``; for any thread.

    Each is a version, a moment or a day, which stands for its end.  Without the first, everything
    since before the submission counts; without the second, everything until now.  Refuses
    RecordUnknown, VersionUnknown, NotYetRecorded, MomentInFuture and InvalidParameter.
    """
    recorded = past.latest(store)
    rows = store.rows_of(record_id)
    if not rows or rows[0].topic.rpartition(":")[0] != RecordSubmitted.TYPE:
        raise errors.RecordUnknown
    log = sorted([*rows, *store.rows_of(governance.STREAM)], key=attrgetter("position"))
    start = _until(log, rows, points, "from", recorded)
    end = _until(log, rows, points, "to", recorded)
    if start > end:
        message = "from lies after to."
        raise errors.InvalidParameter(message, parameter="from")
    folded = _Folded(fold, record_id)
    for row in log[:start]:
        folded.take(row)
    first = folded.document()
    steps = log[start:end]
    causes = _Causes() if len(steps) <= causes_max else None
    before = first
    for row in steps:
        event = folded.take(row)
        if folded.bytes_made > bytes_max:
            causes = None
        if causes is not None:
            after = folded.document()
            causes.note(_event(row, event), before, after)
            before = after
    return Difference(
        record_id=record_id,
        before=_point(rows, log[:start]),
        after=_point(rows, log[:end]),
        events=sum(row.originator_id == record_id for row in steps),
        changes=tuple(
            Change(*each, causes.of(each[0]) if causes else None)
            for each in changes(first, folded.document())
        ),
    )


def _until(
    log: list[LogRow],
    rows: list[LogRow],
    points: Mapping[str, str],
    name: str,
    recorded: datetime,
) -> int:
    """Return how many rows of ``log`` had been written at a point."""
    text = points.get(name)
    if text is None:
        return 0 if name == "from" else len(log)
    if text.isascii() and text.isdigit():
        version = int(text[:16])
        if version > len(rows):
            message = f"The record has {len(rows)} versions, and no version {version}."
            raise errors.VersionUnknown(message, last=len(rows))
        position = rows[version - 1].position if version else 0
        return sum(row.position <= position for row in log)
    cut = past.cut(points, name, "version")
    past.not_future({name: cut}, max(recorded, rows[-1].recorded_at))
    if cut is None or (name == "to" and rows[0].recorded_at > cut.end):
        raise past.too_early(errors.NotYetRecorded, cut, "recorded", rows[0].recorded_at)
    return sum(row.recorded_at <= cut.end for row in log)


def _point(rows: list[LogRow], log: list[LogRow]) -> Point:
    record_id = rows[0].originator_id
    there = [row for row in log if row.originator_id == record_id]
    if not there:
        return Point(0, 0, None)
    return Point(there[-1].originator_version, there[-1].position, there[-1].recorded_at)


class _Folded:
    """A record and the facts in force, row by row."""

    def __init__(self, fold: Fold, record_id: str) -> None:
        self._fold = fold
        self._record_id = record_id
        self._page: Any = None
        self._in_force = InForce()
        self.bytes_made = 0
        """How long the documents were that it has given out, together."""

    def take(self, row: LogRow) -> Event:
        event = decode(row.originator_id, row.originator_version, row.topic, row.state)
        if row.originator_id == self._record_id:
            self._page = self._fold.evolve(self._page, event)
        else:
            self._in_force = self._in_force.after(event)
        return event

    def document(self) -> dict[str, Any]:
        """Return the document as it would be served, empty before the submission."""
        if self._page is None:
            return {}
        body = self._fold.body(self._page, self._in_force)
        self.bytes_made += len(body)
        document: dict[str, Any] = json.loads(body)
        return {name: value for name, value in document.items() if name not in UNTOLD}


def _event(row: LogRow, event: Event) -> dict[str, Any]:
    """Return who did what, when and why."""
    named = getattr(event, event.EFFECTIVE) if event.EFFECTIVE else None
    if isinstance(named, datetime):
        named = moment_text(named)
    elif isinstance(named, date):
        named = named.isoformat()
    reasons = (getattr(event, name, None) for name in ("reason", "public_note", "note"))
    return {
        "stream": row.originator_id,
        "version": row.originator_version,
        "position": row.position,
        "type": event.TYPE,
        "actor": event.actor,
        "reason": next(filter(None, reasons), None),
        "recorded_at": moment_text(row.recorded_at),
        "effective": named,
    }


class _Causes:
    """Which events changed what, by the place in the document and everything around it."""

    def __init__(self) -> None:
        self._at = defaultdict[str, list[dict[str, Any]]](list)
        self._below = defaultdict[str, list[dict[str, Any]]](list)

    def note(self, event: dict[str, Any], before: Any, after: Any) -> None:
        around = set[str]()
        for path, *_values in changes(before, after):
            self._at[path].append(event)
            around.update(_around(path))
        for path in around:
            self._below[path].append(event)

    def of(self, path: str) -> tuple[dict[str, Any], ...]:
        """Return the events that changed a place, something in it, or something that it is in."""
        found = [*self._at[path], *self._below[path]]
        found += [event for outer in _around(path) for event in self._at[outer]]
        by_position = {event["position"]: event for event in found}
        return tuple(by_position[position] for position in sorted(by_position))


def _around(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
