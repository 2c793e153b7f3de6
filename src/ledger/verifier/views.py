"""Are the views what the log says?  Every record folded anew, by the public folds, and compared.

Records come by one after another with all their events; no more than one is held at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

from ledger.codec import decode
from ledger.events import LogBegun, PageImported
from ledger.in_force import InForce
from ledger.verifier.beside import API_KEYS, merged
from ledger.verifier.database import Database
from ledger.verifier.report import Report
from projections import ROLL_CALL, public_view
from projections.folded import FOLD, Folded, Logged
from projections.table import Table

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LEDGER: Final = "ledger"
ACTOR: Final = "actor:"
HELD_MAX: Final = 2_000
"""Rows of lists that are expected at once, before the lists are asked for them."""
TOLD_MAX: Final = 10
"""How many members of a document that differs are told."""

Facts = list[tuple[str, int, int, int, str, bytes]]
"""Of one stream: stream, version, position, recorded at, topic, body."""
Lists = {name: each for name, each in ROLL_CALL.items() if name != public_view.NAME}


@dataclass(slots=True)
class Standing:
    """How far a view is by its own word, and by which fold it was made."""

    position: int = 0
    in_force: int = 0
    fold: int = 0


def records(facts: Iterator[tuple[Any, ...]]) -> Iterator[Facts]:
    """Yield the facts of each record from facts in order of stream and version."""
    for stream, found in groupby(facts, key=itemgetter(0)):
        if stream not in {LEDGER, LogBegun.STREAM} and not stream.startswith(ACTOR):
            yield [(*row[:5], bytes(row[5])) for row in found]


def read(fact: tuple[str, int, int, int, str, bytes]) -> Logged:
    """Return an event with its place; raises whatever makes it unreadable."""
    stream, version, position, at, topic, state = fact
    event = decode(stream, version, topic, state)
    return Logged(position, EPOCH + timedelta(microseconds=at), event)


def folded(entries: list[Logged], in_force: InForce) -> Folded:
    """Return a record of these entries as the projections are given one."""
    page = before = None
    for number, entry in enumerate(entries, 1):
        page = public_view.evolve(page, entry.event)
        if isinstance(entry.event, PageImported):
            before = page if number < len(entries) else None
    if page is None:
        raise ValueError("a record without events")
    return Folded(
        record_id=page.record_id,
        entries=tuple(entries),
        document=public_view.document(page, in_force),
        in_force=in_force,
        as_imported=public_view.document(before, in_force) if before else None,
    )


class Folds:
    """The views of a database, held against the folds of its log."""

    def __init__(self, database: Database, report: Report) -> None:
        """Read what is in force, and how far the views are."""
        self._database = database
        self._report = report
        self.in_force: list[InForce] = [InForce()]
        """What was in force after 0, 1, 2 … facts of the ledger itself."""
        self.standings: dict[str, Standing] = {}
        self._rows = dict.fromkeys(Lists, 0)
        self._held: dict[Table, dict[Any, tuple[str, list[tuple[Any, ...]]]]] = {}
        """By table and key: the record, and the rows that it has to have there."""
        self._holds = 0

    def compare(self) -> None:
        """Compare the documents, then the lists beside them."""
        self._govern()
        barred = self._database.barred
        if barred is not None:
            self._report.unchecked = barred
        elif self._database.has_views:
            sql = "SELECT name, position, in_force, shape FROM {v}standing"
            for name, position, in_force, shape in self._database.read_views(sql):
                fold = int(shape.partition(".")[2] or 0)
                self.standings[name] = Standing(position, in_force, fold)
        lists = self._lists()
        found = self._database.read(
            "SELECT id, version, position, recorded_at, body FROM {s}documents "
            "WHERE view = ? ORDER BY id",
            (public_view.NAME,),
        )
        expected = self._documents(lists)
        for (record,), mine, other in merged(expected, found, 1):
            self._report.count("public documents")
            self._document(record, mine, other)
        self._others()
        for name in lists:
            self._counted(name)

    def _govern(self) -> None:
        sql = self._facts_of("WHERE originator_id = ?")
        for row in self._database.read(sql, (LEDGER,)):
            try:
                event = read((*row[:5], bytes(row[5]))).event
            except Exception as trouble:  # noqa: BLE001 - whatever it is, it is told by its place
                self._unreadable(row[2], trouble)
                continue
            after = self.in_force[-1].after(event)
            if after.version > self.in_force[-1].version:
                self.in_force.append(after)

    def _facts_of(self, which: str) -> str:
        columns = "originator_id, originator_version, position, recorded_at, topic, state"
        return (
            f"SELECT {columns} FROM {{s}}events {which} "  # noqa: S608 - constants
            "ORDER BY originator_id, originator_version"
        )

    def _unreadable(self, position: int, trouble: Exception) -> None:
        said = f"{type(trouble).__name__}: {trouble}"
        self._report.differs("events", f"position {position}", "fold", "an event to fold", said)

    # ------------------------------------------------------------ documents

    def _documents(self, lists: list[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the document of every record in order; compare its rows in the lists as well."""
        for facts in records(self._database.read(self._facts_of(""))):
            try:
                entries = [read(fact) for fact in facts]
                record = folded(entries, self.in_force[-1])
                body = public_view.encoded(record.document)
            except Exception as trouble:  # noqa: BLE001 - as above
                self._unreadable(facts[-1][2], trouble)
                continue
            for name in lists:
                self._expected(name, entries, record)
            if self._holds >= HELD_MAX:
                self._listed()
            stream, version, position, at, *_rest = facts[-1]
            yield stream, version, position, at, body
        self._listed()

    def _document(
        self, record: str, mine: tuple[Any, ...] | None, other: tuple[Any, ...] | None
    ) -> None:
        table = f"documents ({public_view.NAME})"
        if mine is None or other is None:
            expected, found = ("none", "one") if mine is None else ("one", "none")
            self._report.differs(table, record, "", expected, found)
            return
        for name, a, b in zip(
            ("version", "position", "recorded_at"), mine[1:4], other[1:4], strict=True
        ):
            self._report.expect(table, record, name, a, b)
        body = bytes(other[4])
        if mine[4] == body or self._older(record, body):
            return
        self._report.differs(table, record, "body", _digest(mine[4]), _digest(body))
        told = members(_loaded(mine[4]), _loaded(body))
        for place, a, b in islice(told, TOLD_MAX):
            self._report.differs(table, record, f"body{place}", a, b)

    def _older(self, record: str, body: bytes) -> bool:
        """Whether a document is what the facts make that were in force before the last ones.

        By the word of the views the documents are then being derived anew.
        """
        standing = self.standings.get(public_view.NAME)
        since = standing.in_force if standing else len(self.in_force)
        before = self.in_force[max(since, 0) : -1]
        if not before:
            return False
        facts = self._database.read(self._facts_of("WHERE originator_id = ?"), (record,))
        entries = [read((*row[:5], bytes(row[5]))) for row in facts]
        for in_force in before:
            if public_view.encoded(folded(entries, in_force).document) == body:
                self._report.note(
                    "Documents are being derived anew: some still show what was in force before."
                )
                return True
        return False

    def _others(self) -> None:
        sql = "SELECT view, count(*) FROM {s}documents GROUP BY view"
        for view, number in self._database.read(sql):
            if view not in (public_view.NAME, API_KEYS):
                self._report.differs("documents", f"view {view}", "rows", 0, number)

    # ------------------------------------------------------------ lists

    def _lists(self) -> list[str]:
        """Return the lists that can be compared; tell those that say what they cannot be."""
        chosen = []
        for name in Lists:
            standing = self.standings.get(name)
            here = f"views standing ({name})"
            if standing is None:
                self._report.note(f"The view {name} is not there; it was not compared.")
                if self.standings:
                    self._report.differs(here, "", "", "a row", "none")
                continue
            if standing.position > self._report.rows:
                most = f"at most {self._report.rows}"
                self._report.differs(here, "", "position", most, standing.position)
            elif standing.position < self._report.rows:
                self._report.note(
                    f"The view {name} has reached position {standing.position}, and was compared "
                    "as of there."
                )
            if not 0 <= standing.in_force < len(self.in_force):
                most = f"at most {len(self.in_force) - 1}"
                self._report.differs(here, "", "in_force", most, standing.in_force)
            elif standing.fold != FOLD:
                self._report.unchecked = (
                    f"The view {name} was made by fold {standing.fold}, and this program has fold "
                    f"{FOLD}: let the ledger derive it anew, or use its own program."
                )
            else:
                chosen.append(name)
        return chosen

    def _expected(self, name: str, entries: list[Logged], record: Folded) -> None:
        """Hold a record's rows in a list, as of the position at which that list stands."""
        standing = self.standings[name]
        in_force = self.in_force[standing.in_force]
        if record.last.position > standing.position or in_force is not record.in_force:
            entries = [each for each in entries if each.position <= standing.position]
            if not entries:
                return
            record = folded(entries, in_force)
        projection = Lists[name]
        wanted = projection.rows(record)
        self._report.count(f"records in {name}")
        for table in projection.TABLES:
            expected = sorted(map(tuple, wanted.get(table.name, ())), key=repr)
            key = getattr(record, table.by)
            self._held.setdefault(table, {})[key] = record.record_id, expected
            self._rows[name] += len(expected)
            self._holds += 1 + len(expected)

    def _listed(self) -> None:
        """Compare the rows that are held with the lists, some hundreds of records at once."""
        for table, records in self._held.items():
            found: dict[Any, list[tuple[Any, ...]]] = {key: [] for key in records}
            for key, *row in self._database.rows_of(
                table.name, table.key, table.fields, list(records)
            ):
                found[key].append(tuple(row))
            for key, (record, expected) in records.items():
                self._compared(f"views {table.name}", record, expected, found[key])
        self._held.clear()
        self._holds = 0

    def _compared(
        self, table: str, record: str, expected: list[tuple[Any, ...]], found: list[tuple[Any, ...]]
    ) -> None:
        found.sort(key=repr)
        if expected == found:
            return
        for mine in expected:
            if mine not in found:
                self._report.differs(table, record, "row", mine, "none")
        for other in found:
            if other not in expected:
                self._report.differs(table, record, "row", "none", other)

    def _counted(self, name: str) -> None:
        """Tell rows that belong to no record."""
        there = 0
        for table in Lists[name].TABLES:
            sql = f"SELECT count(*) FROM {{v}}{table.name}"  # noqa: S608 - a constant
            there += next(self._database.read_views(sql))[0]
        if there > self._rows[name]:
            self._report.differs(f"views {name}", "", "rows", self._rows[name], there)


def _digest(body: bytes) -> str:
    return f"{len(body)} bytes: {body[:60].decode(errors='replace')}…"


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def members(mine: Any, other: Any, place: str = "") -> Iterator[tuple[str, object, object]]:
    """Yield where two documents differ, as JSON Pointers, with both values."""
    if isinstance(mine, dict) and isinstance(other, dict):
        for name in sorted(mine.keys() | other.keys()):
            yield from members(mine.get(name), other.get(name), f"{place}/{name}")
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for number, pair in enumerate(zip(mine, other, strict=True)):
            yield from members(*pair, f"{place}/{number}")
    elif mine != other:
        yield place, _told(mine), _told(other)


def _told(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "something nested deeper than anyone can read"
