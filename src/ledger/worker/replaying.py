"""Is what readers are shown what the log says?  The log folded anew, and compared byte by byte.

Nothing is written: what is folded is compared on its way and dropped.  What has changed since the
point up to which the log is folded is left out, and counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from ledger import actors
from ledger.comparing import changes
from ledger.store import FactRow, Store, StoredDocument
from ledger.vocabulary import moment_text
from ledger.worker.folding import Made, fold
from ledger.worker.history import Progress, Reader, is_ledgers_own
from ledger.worker.rebuilding import FactsChanged, keys_of, of_records
from projections import public_view
from projections.folded import FOLD
from projections.table import Row, Rows, Table
from projections.views import Views

DIFFERENCES_MAX: Final = 1_000
"""How many differences are told; the others are counted."""
ROWS_AT_ONCE: Final = 500
"""Records whose rows are read from a view at a time."""
OTHERS_IN_FORCE: Final = "other gates or policies have come into force since"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the log says: where, what it should be, and what it is."""

    view: str
    record: str
    field: str
    expected: Any
    found: Any


@dataclass
class Replayed:
    """What a replay saw.

    ``digest`` is the SHA-256 over the folded documents, in order of id, each as a line of its id, a
    space and the SHA-256 of its body.  ``passed_over`` says of a view why it was not compared.
    """

    position: int
    events: int = 0
    records: int = 0
    moved_on: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    passed_over: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    different: int = 0
    digest: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """All of it as plain values."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        differences = [asdict(one) for one in self.differences]
        return told | {"compared": dict(self.compared), "differences": differences}

    @property
    def is_right(self) -> bool:
        """Whether nothing differs, and nothing was passed over that could have been compared."""
        return not self.different and {*self.passed_over.values()} <= {OTHERS_IN_FORCE}

    def differs(self, view: str, record: str, name: str, expected: Any, found: Any) -> None:
        """Take note of a difference."""
        self.different += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(view, record, name, expected, found))


def replay(  # noqa: PLR0913 - what to hold against what, and how much of it
    store: Store,
    views: Views,
    wanted: Mapping[str, Any],
    progress: Progress,
    *,
    upto: int | None = None,
    record_id: str | None = None,
) -> Replayed:
    """Fold the log up to a position, or one record of it, and compare it with the live views.

    When other facts come into force on the way, all of it is done again under them.  Raises Poison,
    and whatever stops the databases.
    """
    while True:
        try:
            return _Replay(store, views, wanted, upto, record_id).run(progress)
        except FactsChanged:
            continue


class _Replay:
    """One run."""

    def __init__(
        self,
        store: Store,
        views: Views,
        wanted: Mapping[str, Any],
        upto: int | None,
        record_id: str | None,
    ) -> None:
        self._store = store
        self._views = views
        self._reader = Reader(store)
        self._head = self._reader.position()
        self._upto = self._head if upto is None else upto
        self._record_id = record_id
        self._wanted = {public_view.NAME: public_view, **wanted}
        self._in_force = self._reader.in_force(self._upto)
        self._now_in_force = self._reader.in_force(self._head)
        self._found = Replayed(self._upto)
        self._rows: Counter[str] = Counter()

    def run(self, progress: Progress) -> Replayed:
        found, own = self._found, list[FactRow]()
        self._choose()
        made = fold(self._streams(own), self._upto, self._wanted, self._in_force)
        digest = hashlib.sha256()
        live = self._live()
        ahead = next(live, None)
        for some in made:
            for one in sorted(some, key=lambda one: _shown(one).id):
                body = _shown(one).body
                digest.update(f"{_shown(one).id} {hashlib.sha256(body).hexdigest()}\n".encode())
                while ahead is not None and ahead.id < _shown(one).id:
                    self._alone(ahead)
                    ahead = next(live, None)
                there = ahead is not None and ahead.id == _shown(one).id
                self._document(one, ahead if there else None)
                ahead = next(live, None) if there else ahead
                found.records += 1
                found.events += one.events
            for first in range(0, len(some), ROWS_AT_ONCE):
                self._listed(some[first : first + ROWS_AT_ONCE])
            progress(min(found.events, self._upto), self._upto)
        while ahead is not None:
            self._alone(ahead)
            ahead = next(live, None)
        found.digest = f"sha256:{digest.hexdigest()}"
        if self._record_id is None:
            self._keys(own)
            self._strangers()
        progress(self._upto, self._upto)
        if self._reader.in_force(self._reader.position()).version != self._now_in_force.version:
            raise FactsChanged
        return found

    def _choose(self) -> None:
        """Leave out what cannot be compared, and say why."""
        passed_over = self._found.passed_over
        if self._in_force.version != self._now_in_force.version:
            for name in self._wanted:
                passed_over[name] = OTHERS_IN_FORCE
            self._wanted = {public_view.NAME: public_view}
            return
        standings = self._views.standings()
        for name in [*self._wanted]:
            standing = standings.get(name)
            if name == public_view.NAME:
                if standing is not None and standing.fold < FOLD:
                    passed_over[name] = "it was derived by an older program and is made anew"
                continue
            reason = None
            if standing is None or standing.checkpoint.position < self._upto:
                at = standing.checkpoint.position if standing else 0
                reason = f"it is at position {at}" + (
                    f": {standing.error}" if standing and standing.error else ""
                )
            elif standing.checkpoint.in_force != self._now_in_force.version:
                reason = "it was derived under other gates or policies"
            elif standing.fold < FOLD:
                reason = "it was derived by an older program and is made anew"
            if reason:
                passed_over[name] = reason
                del self._wanted[name]

    def _streams(self, own: list[FactRow]) -> Iterator[list[FactRow]]:
        if self._record_id is None:
            return of_records(self._reader.streams(self._upto), own)
        rows = [row for row in self._store.rows_of(self._record_id) if row.position <= self._upto]
        return iter([[*rows]] if rows else [])

    def _live(self) -> Iterator[StoredDocument]:
        """Yield the live documents in order of id."""
        if public_view.NAME in self._found.passed_over:
            return iter(())
        if self._record_id is None:
            return self._store.documents(public_view.NAME)
        found = asyncio.run(self._store.document(public_view.NAME, self._record_id))
        return iter([] if found is None else [found])

    # ------------------------------------------------------------ documents

    def _document(self, one: Made, live: StoredDocument | None) -> None:
        if public_view.NAME in self._found.passed_over:
            return
        expected = _shown(one)
        if live is not None and live.position > self._upto and self._has_moved(expected):
            self._found.moved_on += 1
            return
        self._found.compared[public_view.NAME] += 1
        if live != expected and not self._has_moved(expected):
            self._differs_in(public_view.NAME, expected, live)

    def _has_moved(self, document: StoredDocument) -> bool:
        """Whether a record has events since, so that its live document may rightly differ."""
        return bool(self._store.rows_of(document.id, document.version))

    def _alone(self, live: StoredDocument) -> None:
        """Take note of a live document of which the log has no record, unless it came since."""
        rows = self._store.rows_of(live.id)
        if rows and not is_ledgers_own(rows[0]) and rows[0].position > self._upto:
            self._found.moved_on += 1
            return
        self._found.differs(public_view.NAME, live.id, "document", None, _text(live.body))

    def _differs_in(self, view: str, expected: StoredDocument, live: StoredDocument | None) -> None:
        """Name each field in which a live document differs."""
        differs = self._found.differs
        if live is None:
            differs(view, expected.id, "document", _text(expected.body), None)
            return
        for name in ("version", "position", "recorded_at"):
            mine, theirs = getattr(expected, name), getattr(live, name)
            if mine != theirs:
                differs(view, expected.id, name, _told(mine), _told(theirs))
        if expected.body == live.body:
            return
        try:
            changed = [*changes(json.loads(expected.body), json.loads(live.body))]
        except ValueError:
            changed = []
        for path, _kind, mine, theirs in changed:
            differs(view, expected.id, path, mine, theirs)
        if not changed:
            differs(view, expected.id, "body", _text(expected.body), _text(live.body))

    def _keys(self, own: list[FactRow]) -> None:
        """Compare what is remembered of the API keys."""
        live = {each.id: each for each in self._store.documents(actors.VIEW)}
        for expected in keys_of(own):
            found = live.pop(expected.id, None)
            self._found.compared[actors.VIEW] += 1
            if found != expected and (found is None or found.position <= self._upto):
                self._differs_in(actors.VIEW, expected, found)
        for stranger in live.values():
            if stranger.position <= self._upto:
                body = _text(stranger.body)
                self._found.differs(actors.VIEW, stranger.id, "document", None, body)

    # ------------------------------------------------------------ lists

    def _listed(self, some: list[Made]) -> None:
        """Compare the rows of some records in every view."""
        for name, projection in self._wanted.items():
            if name == public_view.NAME:
                continue
            for table in projection.TABLES:
                live = self._rows_in(table, [_key(table, one) for one in some])
                for one in some:
                    expected = _plain(one.rows[name], table)
                    found = sorted(live[_key(table, one)], key=_order)
                    self._rows[table.name] += len(expected)
                    self._found.compared[name] += len(expected)
                    if expected != found and not self._has_moved(_shown(one)):
                        self._row(name, table, _shown(one).id, expected, found)

    def _rows_in(self, table: Table, keys: list[Any]) -> dict[Any, list[Row]]:
        marks = ", ".join("?" * len(keys))
        columns = ", ".join(table.fields)
        sql = f"SELECT {columns} FROM {table.name} WHERE {table.key} IN ({marks})"  # noqa: S608 - our own names
        at = table.fields.index(table.key)
        held: dict[Any, list[Row]] = defaultdict(list)
        with self._views.reading() as reader:
            for row in reader.execute(sql, keys):
                held[row[at]].append(tuple(row))
        return held

    def _row(
        self, view: str, table: Table, record: str, expected: list[Row], found: list[Row]
    ) -> None:
        if len(expected) != len(found):
            self._found.differs(view, record, f"{table.name}: rows", len(expected), len(found))
            return
        for mine, theirs in zip(expected, found, strict=True):
            for name, a, b in zip(table.fields, mine, theirs, strict=True):
                if a != b:
                    self._found.differs(view, record, f"{table.name}.{name}", a, b)

    def _strangers(self) -> None:
        """Find rows of no record.  Only a log that stood still tells how many rows there may be."""
        if self._reader.position() != self._upto:
            return
        for name, projection in self._wanted.items():
            if name == public_view.NAME:
                continue
            for table in projection.TABLES:
                if self._count(table) != self._rows[table.name]:
                    self._strangers_in(name, table)

    def _count(self, table: Table) -> int:
        with self._views.reading() as reader:
            sql = f"SELECT count(*) FROM {table.name}"  # noqa: S608 - our own names
            return int(reader.execute(sql).fetchone()[0])

    def _strangers_in(self, view: str, table: Table) -> None:
        sql = f"SELECT {table.key}, count(*) FROM {table.name} GROUP BY {table.key}"  # noqa: S608 - our own names
        with self._views.reading() as reader:
            held = [(key, int(count)) for key, count in reader.execute(sql)]
        for key, count in held:
            if not self._is_record(table, key):
                self._found.differs(view, f"{table.key} {key}", f"{table.name}: rows", 0, count)

    def _is_record(self, table: Table, key: Any) -> bool:
        if table.by == "record_id":
            rows: Iterable[FactRow] = self._store.rows_of(key)[:1]
        else:
            rows = self._store.rows(after=key - 1, upto=key, page=2)
        first = next(iter(rows), None)
        return first is not None and first.originator_version == 1 and not is_ledgers_own(first)


def _shown(one: Made) -> StoredDocument:
    if one.document is None:
        raise ValueError("a record was folded without its document")
    return one.document


def _key(table: Table, one: Made) -> Any:
    return one.place if table.by == "place" else _shown(one).id


def _plain(rows: Rows, table: Table) -> list[Row]:
    """Return the rows of a table as a database gives them back, in a fixed order."""
    given = rows.get(table.name, ())
    plain = [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in given]
    return sorted(plain, key=_order)


def _order(row: Row) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, str(value)) for value in row)


def _told(value: Any) -> Any:
    return moment_text(value) if isinstance(value, datetime) else value


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")
