"""What contradicts itself on a record?  Every contradiction that a rule detects, with its evidence.

A finding judges what is shown, never the research; importing hides and repairs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from projections.cursor import LIMIT_DEFAULT, clamp, parse, turned
from projections.folded import Folded
from projections.rules import RULES
from projections.rules.case import Case
from projections.table import Rows, Table
from projections.views import Views


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader asks for: findings of any of these rules (empty: of every rule)."""

    rule: tuple[str, ...] = ()
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction on one record.

    ``sentence`` says it with its figures; ``evidence`` is the JSON object that it rests on;
    ``version`` and ``position`` are those of the event that brought it in.
    """

    rule: str
    record_id: str
    handle: str
    title: str
    sentence: str
    evidence: dict[str, Any]
    version: int
    position: int


_BODY: Final = json.JSONEncoder(ensure_ascii=False)
_FIELDS: Final = tuple(column.name for column in fields(Finding))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of findings over all records, latest first; ``total`` counts all that match."""

    items: tuple[Finding, ...]
    total: int
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule, what it says in one sentence, and how many findings on how many records it has.

    ``number`` is the defect's number in the published list of defects, None for the ledger's own.
    """

    rule: str
    number: int | None
    title: str
    findings: int
    records: int


class Findings:
    """The contradictions."""

    NAME: ClassVar[str] = "findings"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            name="finding",
            # The order counts down, so that one descending index gives the latest event first and
            # its findings in the order of the rules.
            ddl="CREATE TABLE {table} (position INTEGER NOT NULL, countdown INTEGER NOT NULL, "
            "record_id TEXT NOT NULL, rule TEXT NOT NULL, body TEXT NOT NULL, "
            "PRIMARY KEY (position, countdown))",
            fields=("position", "countdown", "record_id", "rule", "body"),
            key="record_id",
            by="record_id",
            indexes=("record_id", "rule, record_id", "rule, position, countdown"),
        ),
    )

    def __init__(self, views: Views) -> None:
        """Read from ``views``."""
        self._views = views

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return a row for each contradiction that a rule finds on the record."""
        rows: list[tuple[int, int, str, str, str]] = []
        for found in examined(record):
            body = _BODY.encode({name: getattr(found, name) for name in _FIELDS})
            rows.append((found.position, -len(rows), found.record_id, found.rule, body))
        return {"finding": rows}

    def page(self, query: Query) -> Page:
        """Return one page over all records; raises ValueError for a malformed cursor."""
        cursor = parse(query.cursor, 2)
        limit = clamp(query.limit)
        back = cursor is not None and cursor.back
        where, given = "TRUE", list[str | int](query.rule)
        if query.rule:
            where = f"rule IN ({', '.join('?' * len(query.rule))})"
        with self._views.reading() as reader:
            counting = f"SELECT count(*) FROM finding WHERE {where}"  # noqa: S608
            (total,) = reader.execute(counting, given).fetchone()
            if cursor is not None:
                where += f" AND (position, countdown) {'>' if back else '<'} (?, ?)"
                given.extend(cursor.key)
            turn = "ASC" if back else "DESC"
            found = reader.execute(
                f"SELECT position, countdown, body FROM finding WHERE {where} "  # noqa: S608
                f"ORDER BY position {turn}, countdown {turn} LIMIT ?",
                (*given, limit + 1),
            ).fetchall()
        shown, following, previous = turned([row[:2] for row in found], limit, cursor)
        items = [Finding(**json.loads(body)) for *_, body in found[:shown]]
        return Page(tuple(reversed(items)) if back else tuple(items), total, following, previous)

    def of(self, record_id: str) -> tuple[Finding, ...]:
        """Return the findings of one record in the order of the rules."""
        sql = "SELECT body FROM finding WHERE record_id = ? ORDER BY countdown DESC"
        with self._views.reading() as reader:
            found = reader.execute(sql, (record_id,)).fetchall()
        return tuple(Finding(**json.loads(body)) for (body,) in found)

    def counts(self) -> tuple[RuleCount, ...]:
        """Return every rule in order, those without findings too."""
        sql = "SELECT rule, count(*), count(DISTINCT record_id) FROM finding GROUP BY rule"
        with self._views.reading() as reader:
            counted = {rule: tuple(counts) for rule, *counts in reader.execute(sql)}
        return tuple(
            RuleCount(rule.id, rule.number, rule.title, *counted.get(rule.id, (0, 0)))
            for rule in RULES
        )


def examined(record: Folded) -> Iterator[Finding]:
    """Yield the contradictions that the rules find on a record."""
    case = Case(record)
    for rule in RULES:
        for found in rule.check(case):
            yield Finding(
                rule=rule.id,
                record_id=record.record_id,
                handle=record.document["handle"],
                title=record.document["title"],
                sentence=found.sentence,
                evidence=found.evidence,
                version=found.version,
                position=record.position(found.version),
            )
