"""What does one transaction on SQLite check and write?  The statements under the write lock.

Used by the writer's thread alone.  Each append is judged against what is in the file at that moment
and against its neighbours before it in the batch.  A batch takes a handful of statements whatever
its size: a statement for each row and check took about a tenth more time in all.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from ledger.store import (
    Append,
    Erasure,
    GuardConflict,
    KeyConflict,
    Receipt,
    ReservationConflict,
    StoredDocument,
    VersionConflict,
)
from ledger.store.sealing import Sealed, SealedAppend, alone, microseconds, moment, replayed
from ledger.store.sqlite_files import BUSY_TIMEOUT_S, connect
from ledger.vocabulary import now

DAY_US: Final = 24 * 60 * 60 * 1_000_000
FORGET_AFTER: Final = 500
"""Appends between two looks for idempotency keys that hold no longer."""
FORGET_MAX: Final = 1_000
"""How many are forgotten at a time: more than came, so that they never pile up."""

EMPTYING_MS: Final = 200
"""How long an erasure waits for readers, so that the write-ahead log can be emptied."""

ROWS_MAX: Final = 64
"""Rows in one INSERT: few texts to prepare, and far from SQLite's limit of bound values."""

UPSERT: Final = (
    "ON CONFLICT (view, id) DO UPDATE SET version = excluded.version, "
    "position = excluded.position, recorded_at = excluded.recorded_at, body = excluded.body"
)

# A key that holds no longer is taken over.
KEY_UPSERT: Final = (
    "ON CONFLICT (actor, key) DO UPDATE SET fingerprint = excluded.fingerprint, "
    "originator_id = excluded.originator_id, version = excluded.version, "
    "position = excluded.position, recorded_at = excluded.recorded_at"
)

# One row of three JSON lists, so that a batch of any size asks once.
LOOK_UP: Final = """
SELECT
  (SELECT json_group_array(json_array(wanted.value, (
       SELECT max(originator_version) FROM events WHERE originator_id = wanted.value)))
   FROM json_each(?) AS wanted),
  (SELECT json_group_array(json_array(kind, reservations.value, owner))
   FROM json_each(?) AS wanted CROSS JOIN reservations
   ON kind = json_extract(wanted.value, '$[0]')
   AND reservations.value = json_extract(wanted.value, '$[1]')),
  (SELECT json_group_array(json_array(actor, idempotency.key, fingerprint, originator_id, version,
       position, recorded_at))
   FROM json_each(?) AS wanted CROSS JOIN idempotency
   ON actor = json_extract(wanted.value, '$[0]')
   AND idempotency.key = json_extract(wanted.value, '$[1]')
   AND recorded_at >= ?)
"""


@dataclass(slots=True)
class _Known:
    """What a batch has to know: looked up once, then kept up with each append that is taken."""

    versions: dict[str, int]
    owners: dict[tuple[str, str], str]
    keys: dict[tuple[str, str], tuple[str, Receipt]]


@dataclass(slots=True)
class _Rows:
    """What a batch will write, table by table; of a document only its last state."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    documents: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    reservations: list[tuple[Any, ...]] = field(default_factory=list)
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    artifacts: list[tuple[Any, ...]] = field(default_factory=list)
    erasure: Erasure | None = None


class SQLiteSession:
    """The writer's connection and its transaction."""

    def __init__(self, path: Path, idempotency_days: int = 30) -> None:
        """Open the writer's connection."""
        self._path = path
        self._key_life_us = idempotency_days * DAY_US
        self._until_forgetting = 0
        self._wal_remembers = False
        self.connection = connect(path)
        self.position = 0
        self.recorded_at = 0

    # ------------------------------------------------------------ the transaction

    def begin(self) -> None:
        """Begin a transaction, and find the head of the log under the write lock."""
        # IMMEDIATE takes the write lock first: what is read below cannot be overtaken.
        self.connection.execute("BEGIN IMMEDIATE")
        head = self.connection.execute(
            "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self.position, self.recorded_at = head or (0, 0)

    def commit(self) -> None:
        """Commit; in WAL with full synchronisation the batch is then on the disk."""
        if self._until_forgetting <= 0:
            self._until_forgetting = FORGET_AFTER
            self.connection.execute(
                "DELETE FROM idempotency WHERE rowid IN "
                "(SELECT rowid FROM idempotency WHERE recorded_at < ? LIMIT ?)",
                (self._since(), FORGET_MAX),
            )
        self.connection.execute("COMMIT")
        if self._wal_remembers:
            self._empty_wal()

    def _empty_wal(self) -> None:
        """Empty the write-ahead log of what was erased; while it is being read, later."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.execute(f"PRAGMA busy_timeout = {EMPTYING_MS}")
            (busy, *_) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._wal_remembers = bool(busy)
        self.connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1_000}")

    def _since(self) -> int:
        """Return from when on idempotency keys hold."""
        return microseconds(now()) - self._key_life_us

    def together(self, works: Sequence[Any]) -> int:
        """Return how many of the works one transaction can judge: all, but an erasure is alone."""
        return alone(works)

    def rollback(self) -> None:
        """Undo the transaction if there is one."""
        with contextlib.suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def reopen(self) -> None:
        """Replace the connection; keep the old one when there is no new one to be had."""
        with contextlib.suppress(sqlite3.Error):
            old, self.connection = self.connection, connect(self._path)
            old.close()

    def carry_out(self, works: Sequence[SealedAppend | Callable[[], Any]]) -> list[Any]:
        """Carry out works in order; returns each one's answer, or the exception that refuses it."""
        answers: list[Any] = []
        for together, group in itertools.groupby(works, lambda w: isinstance(w, SealedAppend)):
            if together:
                answers += self._append(cast("list[SealedAppend]", list(group)))
            else:
                answers += [self._attempt(cast("Callable[[], Any]", work)) for work in group]
        return answers

    def _attempt(self, work: Callable[[], Any]) -> Any:
        """Run work of its own kind inside a savepoint."""
        place = (self.position, self.recorded_at)
        self.connection.execute("SAVEPOINT wish")
        try:
            answer = work()
        except Exception as why:
            if self.is_trouble(why):
                raise
            answer = why
            self.connection.execute("ROLLBACK TO wish")
            self.position, self.recorded_at = place
        self.connection.execute("RELEASE wish")
        return answer

    def is_trouble(self, error: Exception) -> bool:
        """Whether the database failed (full disk, lost lock, damage) rather than one wish."""
        kinds = (sqlite3.OperationalError, sqlite3.InternalError)
        # SQLite says "malformed" and "not a database" with the bare class.
        return isinstance(error, kinds) or type(error) is sqlite3.DatabaseError

    def is_undone(self, _error: Exception) -> bool:
        """Whether nothing can have been carried out: so it is, before a commit."""
        return True

    # ------------------------------------------------------------ what is written

    def _append(self, wishes: Sequence[SealedAppend]) -> list[Receipt | Exception]:
        """Judge appends in order and write those that are taken; what cannot be stored raises."""
        known, rows = self._look_up(wishes), _Rows()
        self._until_forgetting -= len(wishes)
        answers: list[Receipt | Exception] = []
        for wish in wishes:
            try:
                answers.append(self._take(wish, known, rows))
            except (VersionConflict, GuardConflict, ReservationConflict, KeyConflict) as conflict:
                answers.append(conflict)
        self._insert("events", rows.events)
        self._insert("documents", list(rows.documents.values()), UPSERT)
        self._insert("reservations", rows.reservations)
        self._insert("idempotency", rows.keys, KEY_UPSERT)
        self._insert("artifacts", rows.artifacts, "ON CONFLICT DO NOTHING")
        if rows.erasure is not None:
            self._erase(rows.erasure)
        return answers

    def _erase(self, erasure: Erasure) -> None:
        """Rewrite a row; the trigger on the table looks for the erasure that was just inserted."""
        done = self.connection.execute(
            "UPDATE events SET state = ?, salt = x'' WHERE position = ?",
            (erasure.body, erasure.position),
        )
        if done.rowcount != 1:
            message = f"there is no event at position {erasure.position}"
            raise sqlite3.IntegrityError(message)
        self._wal_remembers = True

    def _take(self, wish: SealedAppend, known: _Known, rows: _Rows) -> Receipt:
        """Take one append, or raise a conflict and leave no trace of it."""
        append, key = wish.append, wish.append.idempotency
        if key is not None and (before := known.keys.get((key.actor, key.key))) is not None:
            return replayed(key, *before)
        versions, owners = _after(append, known)
        # From here on nothing refuses.
        known.versions |= versions
        known.owners |= owners
        rows.reservations += [(*name, owner) for name, owner in owners.items()]
        rows.events += self._placed(wish.events)
        position, recorded_at = self.position, self.recorded_at
        for one in append.documents:
            row = (one.view, one.id, one.version, position, recorded_at, one.body)
            rows.documents[one.view, one.id] = row
        rows.erasure = append.erasure
        rows.artifacts += [(a.digest, a.size_bytes, position) for a in append.artifacts]
        last = append.events[-1]
        stream, version = str(last.originator_id), last.originator_version
        receipt = Receipt(stream, version, position, moment(recorded_at))
        if key is not None:
            known.keys[key.actor, key.key] = (key.fingerprint, receipt)
            rows.keys.append(
                (key.actor, key.key, key.fingerprint, stream, version, position, recorded_at)
            )
        return receipt

    def insert(self, events: Iterable[Sealed]) -> list[int]:
        """Insert events at the next positions; a duplicate raises sqlite3.IntegrityError."""
        rows = self._placed(events)
        self._insert("events", rows)
        return [row[0] for row in rows]

    def _placed(self, events: Iterable[Sealed]) -> list[tuple[Any, ...]]:
        """Return the rows of events at the next positions."""
        rows = []
        clock = microseconds(now())
        for event, salt, commitment in events:
            self.position += 1
            # Strictly increasing with position, also when the clock steps back.
            self.recorded_at = max(clock, self.recorded_at + 1)
            rows.append(
                (
                    self.position,
                    self.recorded_at,
                    str(event.originator_id),
                    event.originator_version,
                    event.topic,
                    event.state,
                    salt,
                    commitment,
                )
            )
        return rows

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
        """Insert rows into a table of the schema, many in one statement."""
        for batch in (rows[n : n + ROWS_MAX] for n in range(0, len(rows), ROWS_MAX)):
            one = f"({', '.join('?' * len(batch[0]))})"
            self.connection.execute(
                f"INSERT INTO {table} VALUES {', '.join([one] * len(batch))} {tail}",  # noqa: S608 - constants; every value is bound
                list(itertools.chain.from_iterable(batch)),
            )

    def stage(self, rebuild: str, fresh: Iterable[StoredDocument]) -> None:
        """Keep freshly folded documents until they are swapped in."""
        self._insert(
            "fresh_documents",
            [
                (rebuild, d.id, d.version, d.position, microseconds(d.recorded_at), d.body)
                for d in fresh
            ],
        )

    def swap(self, rebuild: str, view: str, upto: int) -> None:
        """Put staged documents in the place of those written up to a position, if they differ."""
        # What live appends wrote after ``upto`` is newer than what was folded up to it.
        self.connection.execute(
            "DELETE FROM documents WHERE view = ? AND position <= ? "
            "AND id NOT IN (SELECT id FROM fresh_documents WHERE rebuild = ?)",
            (view, upto, rebuild),
        )
        self.connection.execute(
            "INSERT INTO documents (view, id, version, position, recorded_at, body) "  # noqa: S608 - constants; every value is bound
            "SELECT ?, f.id, f.version, f.position, f.recorded_at, f.body "
            "FROM fresh_documents AS f LEFT JOIN documents AS live "
            "ON live.view = ? AND live.id = f.id "
            "WHERE f.rebuild = ? AND (live.id IS NULL OR (live.position <= ? "
            "AND (live.version, live.position, live.recorded_at, live.body) IS NOT "
            f"(f.version, f.position, f.recorded_at, f.body))) {UPSERT}",
            (view, view, rebuild, upto),
        )

    def unstage(self, rebuild: str, before: str) -> None:
        """Let go of staged documents, and of what was staged before a time and left behind."""
        self.connection.execute(
            "DELETE FROM fresh_documents WHERE rebuild = ? OR rebuild < ?", (rebuild, before)
        )

    # ------------------------------------------------------------ what is known

    def _look_up(self, wishes: Sequence[SealedAppend]) -> _Known:
        """Find in one statement what the appends of a batch may collide with."""
        appends = [wish.append for wish in wishes]
        streams = {str(event.originator_id) for a in appends for event in a.events}
        streams.update(stream for a in appends for stream, _version in a.guards)
        names = {(r.kind, r.value) for a in appends for r in a.reservations}
        keys = {(a.idempotency.actor, a.idempotency.key) for a in appends if a.idempotency}
        row = self.connection.execute(
            LOOK_UP,
            [*(json.dumps(list(wanted)) for wanted in (streams, names, keys)), self._since()],
        ).fetchone()
        versions, owners, answered = map(json.loads, row)
        return _Known(
            {stream: version for stream, version in versions if version is not None},
            {(kind, value): owner for kind, value, owner in owners},
            {
                (actor, key): (fingerprint, Receipt(stream, version, position, moment(at)))
                for actor, key, fingerprint, stream, version, position, at in answered
            },
        )


def _after(append: Append, known: _Known) -> tuple[dict[str, int], dict[tuple[str, str], str]]:
    """Return the versions and the fresh names after an append; raises what it collides with."""
    for stream, version in append.guards:
        if known.versions.get(stream, 0) != version:
            raise GuardConflict(stream)
    versions: dict[str, int] = {}
    for event in append.events:
        stream = str(event.originator_id)
        before = versions.get(stream, known.versions.get(stream, 0))
        if event.originator_version != before + 1:
            raise VersionConflict(stream)
        versions[stream] = event.originator_version
    owners: dict[tuple[str, str], str] = {}
    for wanted in append.reservations:
        name = (wanted.kind, wanted.value)
        holder = owners.get(name, known.owners.get(name))
        if holder is None:
            owners[name] = wanted.owner
        elif holder != wanted.owner:
            raise ReservationConflict(wanted, holder)
    return versions, owners
