"""Which evidence passes on one record and fails on another?  Conflicts across records.

Every settled evaluation that still stands is kept under the digest of its evidence; one digest with
both outcomes on different records is a conflict, whoever is right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from ledger.events import GateEvaluated
from ledger.evidence import Evidence
from ledger.vocabulary import Outcome
from projections.cursor import LIMIT_DEFAULT, LIMIT_MAX, Cursor, clamp, parse, turned
from projections.folded import Folded
from projections.table import Reading, Rows, Table
from projections.verdict import CONCLUSIVE, states
from projections.views import Views

SHOWN_MAX: Final = 20
"""How many evaluations of each outcome a conflict shows, the latest."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for: all conflicts, or with ``record_id`` those of one record."""

    record_id: str | None = None
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation on the evidence: where it stands, and its outcome, passed or failed."""

    record_id: str
    handle: str
    title: str
    evaluation_id: str
    gate: str
    outcome: str
    basis: str
    state: str
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """One piece of evidence with opposite outcomes on different records.

    ``evidence`` is its digest: of the artifacts that it rests on, or of the evidence itself where
    it rests on none.  ``passed`` and ``failed`` are the latest evaluations of each outcome.
    """

    evidence: str
    records: int
    passed: tuple[Evaluated, ...]
    failed: tuple[Evaluated, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of conflicts, the one with the latest evaluation first; ``total`` counts all."""

    items: tuple[Conflict, ...]
    total: int
    next: str | None = None
    previous: str | None = None


_BODY: Final = json.JSONEncoder(ensure_ascii=False)
_FIELDS: Final = tuple(column.name for column in fields(Evaluated))
_CONFLICTING: Final = (
    "SELECT evidence, max(position) AS latest, count(DISTINCT record_id) AS records "
    "FROM evidence {where} GROUP BY evidence "
    "HAVING count(DISTINCT outcome) > 1 AND count(DISTINCT record_id) > 1"
)
_OF_RECORD: Final = (
    "WHERE evidence IN (SELECT theirs.evidence FROM evidence AS theirs WHERE theirs.record_id = ?)"
)


class Conflicts:
    """The conflicts."""

    NAME: ClassVar[str] = "conflicts"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            name="evidence",
            ddl="CREATE TABLE {table} (position INTEGER PRIMARY KEY, evidence TEXT NOT NULL, "
            "record_id TEXT NOT NULL, outcome TEXT NOT NULL, body TEXT NOT NULL)",
            fields=("position", "evidence", "record_id", "outcome", "body"),
            key="record_id",
            by="record_id",
            indexes=("record_id", "evidence, outcome, record_id, position"),
        ),
    )

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return a row for each settled evaluation of the record that was not withdrawn."""
        evaluations = [e.event for e in record.entries if isinstance(e.event, GateEvaluated)]
        if not evaluations:
            return {"evidence": []}
        rows = []
        held = states(evaluations, record.document["submission"]["number"])
        for event, state in zip(evaluations, held, strict=True):
            if event.evidence is None or event.outcome not in CONCLUSIVE or state == "withdrawn":
                continue
            position = record.position(event.originator_version)
            told = Evaluated(
                record_id=record.record_id,
                handle=record.document["handle"],
                title=record.document["title"],
                evaluation_id=event.evaluation_id,
                gate=event.gate.value,
                outcome=event.outcome.value,
                basis=event.basis.kind,
                state=state,
                version=event.originator_version,
                position=position,
            )
            body = _BODY.encode({name: getattr(told, name) for name in _FIELDS})
            rows.append((position, digest(event.evidence), record.record_id, told.outcome, body))
        return {"evidence": rows}

    def page(self, query: Query) -> Page:
        """Return one page; raises ValueError for a malformed cursor."""
        cursor = parse(query.cursor, 1)
        limit = clamp(query.limit)
        of_record = [query.record_id] if query.record_id is not None else []
        conflicting = _CONFLICTING.format(where=_OF_RECORD if of_record else "")
        with self._views.reading() as reader:
            counting = f"SELECT count(*) FROM ({conflicting}) AS c"  # noqa: S608 - constants
            (total,) = reader.execute(counting, of_record).fetchone()
            found = _found(reader, conflicting, of_record, cursor, limit)
            shown, following, previous = turned([(row[1],) for row in found], limit, cursor)
            items = [_conflict(reader, evidence, records) for evidence, _, records in found[:shown]]
        if cursor and cursor.back:
            items.reverse()
        return Page(tuple(items), total, following, previous)

    def of(self, record_id: str) -> tuple[Conflict, ...]:
        """Return the latest conflicts that a record is part of, as many as a page may have."""
        return self.page(Query(record_id, LIMIT_MAX)).items

    def count(self, record_id: str) -> int:
        """Return of how many conflicts a record is part."""
        sql = f"SELECT count(*) FROM ({_CONFLICTING.format(where=_OF_RECORD)}) AS c"  # noqa: S608
        with self._views.reading() as reader:
            (total,) = reader.execute(sql, (record_id,)).fetchone()
        return int(total)


def digest(evidence: Evidence) -> str:
    """Return ``sha256:`` and the digest of what an evaluation rests on.

    Of the digests of its artifacts, sorted, a line each; one alone stands for itself.  Evidence
    without artifacts is taken as its JSON.
    """
    artifacts = sorted({held for _role, held in evidence.artifacts() if held is not None})
    if len(artifacts) == 1:
        return artifacts[0]
    whole = "\n".join(artifacts) or evidence.model_dump_json()
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def _found(
    reader: Reading, conflicting: str, of_record: list[str], cursor: Cursor | None, limit: int
) -> list[tuple[str, int, int]]:
    back = cursor is not None and cursor.back
    where, given = "", list[str | int](of_record)
    if cursor is not None:
        where = f"WHERE latest {'>' if back else '<'} ?"
        given.append(cursor.key[0])
    sql = (
        f"SELECT evidence, latest, records FROM ({conflicting}) AS c {where} "  # noqa: S608
        f"ORDER BY latest {'ASC' if back else 'DESC'} LIMIT ?"
    )
    return reader.execute(sql, (*given, limit + 1)).fetchall()


def _conflict(reader: Reading, evidence: str, records: int) -> Conflict:
    sql = (
        "SELECT body FROM evidence WHERE evidence = ? AND outcome = ? "
        "ORDER BY position DESC LIMIT ?"
    )

    def told(outcome: Outcome) -> Iterable[Evaluated]:
        for (body,) in reader.execute(sql, (evidence, outcome.value, SHOWN_MAX)).fetchall():
            read: dict[str, Any] = json.loads(body)
            yield Evaluated(**read)

    return Conflict(evidence, records, tuple(told(Outcome.PASSED)), tuple(told(Outcome.FAILED)))
