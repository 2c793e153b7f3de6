"""What was corrected, by whom and why?  The correction history of each record and of the ledger.

Additive, like the log: a correction of a correction is a row of its own, and nothing is merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from ledger.content import PublicField
from ledger.events import CorrectionIssued, RecordResubmitted, RecordSubmitted, RecordSuperseded
from ledger.vocabulary import moment_text
from projections.cursor import LIMIT_DEFAULT, clamp, parse, turned
from projections.folded import Folded, Logged
from projections.table import Rows, Table
from projections.views import Views

SUPERSEDED: Final = "superseded"
"""The nature under which a supersession is listed; it is not one of the natures of corrections."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for: any of the natures, any of the types (both empty: everything)."""

    nature: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, what it said, and what it says since; None is "none"."""

    field: str
    before: str | int | None
    after: str | int | None


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction, or the supersession of a record.

    ``title`` is the title as it read just before.  A supersession has no ``correction_id``, no
    ``type`` and no ``asserted_by``; it has ``superseded_by`` and the nature ``superseded``.
    """

    record_id: str
    handle: str
    title: str
    version: int
    position: int
    recorded_at: str
    nature: str
    public_note: str
    effective_on: str
    actor: str
    basis: str
    correction_id: str | None = None
    type: str | None = None
    changes: tuple[FieldChange, ...] = ()
    asserted_by: str | None = None
    notice_in_situ: bool = True
    notice_doi: str | None = None
    notice_url: str | None = None
    reasons: tuple[str, ...] = ()
    corrects: str | None = None
    superseded_by: str | None = None


_BODY: Final = json.JSONEncoder(sort_keys=True)
_FIELDS: Final = tuple(column.name for column in fields(Correction))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of corrections over all records, latest first; ``total`` counts all that match."""

    items: tuple[Correction, ...]
    total: int
    next: str | None = None
    previous: str | None = None


class Corrections:
    """The correction history."""

    NAME: ClassVar[str] = "corrections"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            name="correction",
            ddl="CREATE TABLE {table} (position INTEGER PRIMARY KEY, record_id TEXT NOT NULL, "
            "nature TEXT NOT NULL, type TEXT, body TEXT NOT NULL)",
            fields=("position", "record_id", "nature", "type", "body"),
            key="record_id",
            by="record_id",
            indexes=("record_id", "nature, type", "type"),
        ),
    )

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return a row for each correction of the record, and for its supersession."""
        return {
            "correction": [
                (c.position, c.record_id, c.nature, c.type, _body(c))
                for c in corrections_of(record)
            ]
        }

    def page(self, query: Query) -> Page:
        """Return one page over all records; raises ValueError for a malformed cursor."""
        cursor = parse(query.cursor, 1)
        limit = clamp(query.limit)
        back = cursor is not None and cursor.back
        clauses, given = ["TRUE"], list[str | int]()
        for name, values in (("nature", query.nature), ("type", query.type)):
            if values:
                clauses.append(f"{name} IN ({', '.join('?' * len(values))})")
                given.extend(values)
        counting = f"SELECT count(*) FROM correction WHERE {' AND '.join(clauses)}"  # noqa: S608
        with self._views.reading() as reader:
            (total,) = reader.execute(counting, given).fetchone()
            if cursor is not None:
                clauses.append(f"position {'>' if back else '<'} ?")
                given.append(cursor.key[0])
            found = reader.execute(
                f"SELECT position, body FROM correction WHERE {' AND '.join(clauses)} "  # noqa: S608
                f"ORDER BY position {'ASC' if back else 'DESC'} LIMIT ?",
                (*given, limit + 1),
            ).fetchall()
        shown, following, previous = turned([row[:1] for row in found], limit, cursor)
        items = [_read(body) for _, body in found[:shown]]
        return Page(tuple(reversed(items)) if back else tuple(items), total, following, previous)

    def of(self, record_id: str) -> tuple[Correction, ...]:
        """Return the corrections of one record in the order in which they were recorded."""
        sql = "SELECT body FROM correction WHERE record_id = ? ORDER BY position"
        with self._views.reading() as reader:
            return tuple(_read(body) for (body,) in reader.execute(sql, (record_id,)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many there are: ``{"nature": {...}, "type": {...}}``, most frequent first."""
        with self._views.reading() as reader:
            return {
                name: dict(
                    reader.execute(
                        f"SELECT {name}, count(*) FROM correction WHERE {name} IS NOT NULL "  # noqa: S608
                        f"GROUP BY {name} ORDER BY count(*) DESC, {name}"
                    ).fetchall()
                )
                for name in ("nature", "type")
            }


def corrections_of(record: Folded) -> Iterator[Correction]:
    """Yield the corrections of a record, and its supersession, in the order of the log."""
    handle, title = record.document["handle"], ""
    for entry in record.entries:
        match entry.event:
            case RecordSubmitted(content=content) | RecordResubmitted(content=content):
                title = content.title
            case CorrectionIssued() as event:
                yield _correction(entry, event, handle, title)
                for change in event.changes:
                    title = str(change.to) if change.field is PublicField.TITLE else title
            case RecordSuperseded() as event:
                yield Correction(
                    **_placed(entry, handle, title),
                    nature=SUPERSEDED,
                    public_note=event.reason,
                    effective_on=event.effective_on.isoformat(),
                    superseded_by=event.by,
                )


def _correction(entry: Logged, event: CorrectionIssued, handle: str, title: str) -> Correction:
    return Correction(
        **_placed(entry, handle, title),
        nature=event.nature.value,
        public_note=event.public_note,
        effective_on=event.effective_on.isoformat(),
        correction_id=event.correction_id,
        type=event.correction_type.value,
        changes=tuple(FieldChange(c.field.value, c.from_, c.to) for c in event.changes),
        asserted_by=event.asserted_by,
        notice_in_situ=event.notice.in_situ,
        notice_doi=event.notice.doi,
        notice_url=event.notice.url,
        reasons=event.reasons,
        corrects=event.corrects,
    )


def _placed(entry: Logged, handle: str, title: str) -> dict[str, Any]:
    """Return what every row tells of its event."""
    return {
        "record_id": entry.event.originator_id,
        "handle": handle,
        "title": title,
        "version": entry.event.originator_version,
        "position": entry.position,
        "recorded_at": moment_text(entry.recorded_at),
        "actor": entry.event.actor,
        "basis": entry.event.basis.kind,
    }


def told(correction: Correction) -> dict[str, Any]:
    """Return a correction for programs, in the words of its event, as the public view has it."""
    members = {name: getattr(correction, name) for name in _FIELDS}
    for name in ("type", "notice_in_situ", "notice_doi", "notice_url"):
        del members[name]
    return members | {
        "correction_type": correction.type,
        "changes": [
            {"field": each.field, "from": each.before, "to": each.after}
            for each in correction.changes
        ],
        "notice": {
            "in_situ": correction.notice_in_situ,
            "doi": correction.notice_doi,
            "url": correction.notice_url,
        },
    }


def _body(correction: Correction) -> str:
    kept = {name: getattr(correction, name) for name in _FIELDS}
    kept["changes"] = [
        {"field": change.field, "before": change.before, "after": change.after}
        for change in correction.changes
    ]
    return _BODY.encode(kept)


def _read(body: str) -> Correction:
    kept = json.loads(body)
    kept["changes"] = tuple(FieldChange(**change) for change in kept["changes"])
    kept["reasons"] = tuple(kept["reasons"])
    return Correction(**kept)
