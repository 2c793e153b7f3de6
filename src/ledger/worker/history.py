"""What does the log say of one record?  Rows read, decoded and folded, each as seldom as possible.

It only reads; a row that cannot be read or folded is named, never skipped.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final, get_args

from ledger import governance
from ledger.codec import decode
from ledger.events import LedgerEvent, PageImported, PayloadErased
from ledger.in_force import InForce
from ledger.store import FactRow, LogRow, Store
from projections import public_view
from projections.folded import Folded, Logged

TOGETHER: Final = 32
"""Records that are folded step by step together: what runs again at once, the processor still has
at hand, which saves a fifth of its time."""
HELD_EVENTS: Final = 50_000
"""How many decoded events are kept at most between batches."""
LEDGER_TOPICS: Final = frozenset(kind.TYPE for kind in get_args(LedgerEvent))

Progress = Callable[[int, int], None]
"""Told how many events are done, and how many there are."""


class Poison(Exception):
    """An event that a projection cannot take in, named by where it stands."""

    def __init__(self, row: FactRow, trouble: BaseException) -> None:
        """Name the row and say what happened."""
        super().__init__(
            f"position {row.position} (version {row.originator_version} of {row.originator_id}, "
            f"{row.topic}): {type(trouble).__name__}: {trouble}"
        )


class History:
    """One record's events so far, and the page that they make."""

    def __init__(self) -> None:
        """Start before the record's first event."""
        self.entries: list[Logged] = []
        self._page: public_view.Page | None = None
        self._imported: public_view.Page | None = None
        self._shown: tuple[int, int, dict[str, Any]] | None = None

    def add(self, row: FactRow) -> None:
        """Take in the next row; raises Poison, and is then as before."""
        try:
            event = decode(row.originator_id, row.originator_version, row.topic, row.state)
            self._page = public_view.evolve(self._page, event)
        except Exception as trouble:
            raise Poison(row, trouble) from trouble
        self.entries.append(Logged(row.position, row.recorded_at, event))
        if isinstance(event, PageImported):
            self._imported = self._page

    @property
    def page(self) -> public_view.Page:
        """The page; the history has to have an event."""
        if self._page is None:
            raise ValueError("An empty history has no page.")
        return self._page

    def document(self, in_force: InForce) -> dict[str, Any]:
        """Return the public document, made once for whoever asks."""
        return self._document(self.page, in_force)

    def _document(self, page: public_view.Page, in_force: InForce) -> dict[str, Any]:
        if self._shown is None or self._shown[:2] != (page.version, in_force.version):
            self._shown = (page.version, in_force.version, public_view.document(page, in_force))
        return self._shown[2]

    def folded(self, in_force: InForce) -> Folded:
        """Return what projections are given."""
        imported, before = self._imported, None
        if imported is not None and imported.version < len(self.entries):
            before = partial(public_view.document, imported, in_force)
        return Folded(
            record_id=self.page.record_id,
            entries=tuple(self.entries),
            # Of the page as it is now: the history may have gone on by the time it is asked for.
            document=partial(self._document, self.page, in_force),
            in_force=in_force,
            as_imported=before,
        )


class Reader:
    """Reads the log for whoever folds it."""

    def __init__(self, store: Store) -> None:
        """Keep the store."""
        self._store = store

    def position(self) -> int:
        """Return the position of the last event."""
        return self._store.head()

    def batch(self, after: int, limit: int) -> list[LogRow]:
        """Return the next rows of the log, at most ``limit``."""
        return list(self._store.rows(after, after + limit, limit))

    def stream(self, originator_id: str) -> list[LogRow]:
        """Return all rows of a stream."""
        return self._store.rows_of(originator_id)

    def in_force(self, upto: int) -> InForce:
        """Return the facts that were in force at a position."""
        facts = InForce()
        for row in self.stream(governance.STREAM):
            if row.position <= upto:
                event = decode(row.originator_id, row.originator_version, row.topic, row.state)
                facts = facts.after(event)
        return facts

    def streams(self, upto: int) -> Iterator[list[FactRow]]:
        """Yield the rows of every stream as of a position, one stream at a time."""
        by_stream = groupby(self._store.rows_by_stream(upto), key=attrgetter("originator_id"))
        for _id, rows in by_stream:
            yield list(rows)


class Histories:
    """The histories of the records that were touched last, so that long ones are not read again."""

    def __init__(self, reader: Reader) -> None:
        """Read what is not held through ``reader``."""
        self._reader = reader
        self._held: OrderedDict[str, History] = OrderedDict()
        self._events = 0

    def touched(self, rows: Sequence[LogRow], in_force: InForce) -> list[Folded]:
        """Return the records that a batch touches, folded as of its end; raises Poison."""
        return list(self.each(rows, in_force))

    def each(self, rows: Sequence[LogRow], in_force: InForce) -> Iterator[Folded]:
        """Yield the records that a batch touches, folded as of its end; raises Poison."""
        streams: dict[str, list[LogRow]] = defaultdict(list)
        for row in rows:
            if not is_ledgers_own(row):
                streams[row.originator_id].append(row)
        waiting = iter(streams.values())
        while some := [self._of(found) for found in islice(waiting, TOGETHER)]:
            for history in some:
                yield history.folded(in_force)

    def _of(self, rows: list[LogRow]) -> History:
        record_id, version = rows[0].originator_id, rows[-1].originator_version
        history = self._held.pop(record_id, None)
        if history is not None:
            self._events -= len(history.entries)
        have = len(history.entries) if history else 0
        erased = any(row.topic.rpartition(":")[0] == PayloadErased.TYPE for row in rows)
        if history is None or erased or have > version or have + 1 < rows[0].originator_version:
            history, have = History(), 0
        # What was read before an erasure may still hold what was erased, and so may these rows.
        if erased or have + 1 < rows[0].originator_version:
            rows = [r for r in self._reader.stream(record_id) if r.originator_version <= version]
        for row in rows:
            if row.originator_version > have:
                history.add(row)
        self._held[record_id] = history
        self._events += len(history.entries)
        while self._events > HELD_EVENTS and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._events -= len(dropped.entries)
        return history


def is_ledgers_own(row: FactRow) -> bool:
    """Whether a row is a fact of the ledger itself and of no record."""
    return row.topic.rpartition(":")[0] in LEDGER_TOPICS
