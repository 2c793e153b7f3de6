"""How is a log restored on SQLite?  Into a file beside its place, which it takes when it is whole.

A ledger that is there and has no event yet is filled where it stands, in one transaction.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ledger import errors
from ledger.store import sqlite
from ledger.store.restoring import OUT_OF_LINE, NotALog, Restored, in_line, out_of_line
from ledger.store.sealing import microseconds
from ledger.store.sqlite_files import check, connect

INCOMING: Final = ".incoming"
"""What the name of a file that is being filled ends in."""
_JOURNALS: Final = ("-wal", "-shm", "-journal")
# Written anew with the owner that it has, so that the statement tells who that is.
_NAME: Final = (
    "INSERT INTO reservations VALUES (?, ?, ?) "
    "ON CONFLICT (kind, value) DO UPDATE SET owner = reservations.owner RETURNING owner"
)


@contextlib.contextmanager
def restored(path: Path, rows: Iterable[Restored]) -> Iterator[sqlite.SQLiteStore]:
    """Give a ledger with these rows; a new one takes its place when the block ends well.

    Refuses LedgerNotEmpty, StoreUnavailable, WrongSchema; raises NotALog.  Nothing is left then.
    """
    if path.exists():
        check(path)
        _write(path, rows)
        with sqlite.open_store(path) as store:
            yield store
        return
    for journal in (path.with_name(path.name + ending) for ending in _JOURNALS):
        if journal.exists():
            # SQLite would take it for a part of the new file.
            message = f"The file {journal} belongs to a ledger that is not there: move it away."
            raise errors.StoreUnavailable(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        incoming = path.with_name(path.name + INCOMING)
        _remove(incoming)
        try:
            sqlite.create(incoming)
            _write(incoming, rows, quickly=True)
            with sqlite.open_store(incoming) as store:
                yield store
            _put(incoming, path)
        finally:
            _remove(incoming)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other restorations out of a folder; refuses StoreUnavailable while there is one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            message = f"Another import into {folder} is under way."
            raise errors.StoreUnavailable(message) from held
        yield
    finally:
        os.close(descriptor)


def _put(incoming: Path, path: Path) -> None:
    """Give a file its place, durably."""
    _synchronise(incoming)
    # A link never replaces a file that has come to be there meanwhile.
    path.hardlink_to(incoming)
    incoming.unlink()
    _synchronise(path.parent)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(incoming: Path) -> None:
    for ending in ("", *_JOURNALS):
        incoming.with_name(incoming.name + ending).unlink(missing_ok=True)


def _write(path: Path, rows: Iterable[Restored], *, quickly: bool = False) -> None:
    """Write the rows in one transaction; ``quickly`` for a file that a crash may take along."""
    try:
        with contextlib.closing(connect(path)) as connection:
            if quickly:
                # Nobody else has the file, and it is synchronised before it takes its place.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            if (found := connection.execute("SELECT count(*) FROM events").fetchone()[0]) > 0:
                raise errors.LedgerNotEmpty(f"The ledger at {path} holds {found} events.")
            _insert(connection, rows)
            wrong = connection.execute(OUT_OF_LINE.format(events="events")).fetchone()
            if wrong is not None:
                raise out_of_line(*wrong)
            connection.execute("COMMIT")
            if quickly:
                connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as trouble:
        raise errors.StoreUnavailable(f"{path} cannot be written: {trouble}.") from trouble


def _insert(connection: sqlite3.Connection, rows: Iterable[Restored]) -> None:
    for one in in_line(rows):
        row = one.row
        given = (
            row.position,
            microseconds(row.recorded_at),
            row.originator_id,
            row.originator_version,
            row.topic,
            row.state,
            row.salt,
            row.payload_commitment,
        )
        try:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", given)
        except sqlite3.IntegrityError as trouble:
            raise NotALog(row.position, str(trouble)) from trouble
        for name in one.reservations:
            owner = connection.execute(_NAME, (name.kind, name.value, name.owner)).fetchone()[0]
            if owner != name.owner:
                raise NotALog(row.position, f"the {name.kind} {name.value} belongs to {owner}")
        for artifact in one.artifacts:
            connection.execute(
                "INSERT INTO artifacts VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (artifact.digest, artifact.size_bytes, row.position),
            )
