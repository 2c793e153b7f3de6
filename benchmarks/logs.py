"""Long logs, written past the ledger but as it would have written them.

Events are those that the ledger's rules decided, encoded by its codec, sealed with a salt and a
commitment, at dense positions and versions, with their reservations.  The documents and the other
views are left to ``ledger rebuild``.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from eventsourcing.persistence import StoredEvent
from payload import Template, templates
from servers import Ledger

from ledger.store.sealing import sealed
from ledger.vocabulary import new_record_id

WINDOW = 5_000
"""How many records are at work at a time: their events alternate, so that no batch of a thousand
events holds two of one record."""
SCATTER = 2_654_435_761
"""An odd number: multiples of it modulo 2**32 are all different."""
EVENTS = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
RESERVATIONS = "INSERT INTO reservations VALUES (?, ?, ?)"

Row = tuple[Any, ...]


@dataclass
class Log:
    """Where a log ends, and what was put into it."""

    position: int
    recorded_at: int
    number: int = 0
    """How many records were named so far."""

    def window(self, made: Sequence[Template]) -> tuple[list[str], list[Row], list[Row]]:
        """Return the ids, event rows and reservations of records that are at work together."""
        ids, names, streams = [], [], []
        for template in made:
            self.number += 1
            handle = f"SRCH:{self.number * SCATTER % 2**32:08X}"
            doi = f"10.5281/zenodo.{20_000_000 + self.number}"
            record_id = new_record_id()
            stream = template.of(handle, doi)
            ids.append(record_id)
            streams.append(stream)
            names.append(("handle", handle, record_id))
            if len(stream) > 1:
                names.append(("doi", doi, record_id))
        rows = [
            self._row(record_id, version, *event)
            for version, events in enumerate(itertools.zip_longest(*streams), start=1)
            for record_id, event in zip(ids, events, strict=True)
            if event is not None
        ]
        return ids, rows, names

    def _row(self, record_id: str, version: int, topic: str, body: bytes) -> Row:
        self.position += 1
        self.recorded_at += 1
        _event, salt, commitment = sealed(StoredEvent(record_id, version, topic, body))
        at = (self.position, self.recorded_at)
        return (*at, record_id, version, topic, body, salt, commitment)


def load(ledger: Ledger, records: int, length: int) -> list[str]:
    """Add ``records`` histories of ``length`` events each to a ledger; returns their ids."""
    made = templates(length, min(records, 2_000 if length <= 10 else 20))
    ids: list[str] = []
    writing = _into_sqlite if isinstance(ledger.where, Path) else _into_postgres
    with writing(ledger.where) as (log, write):
        for first in range(0, records, WINDOW):
            some = [made[n % len(made)] for n in range(first, min(first + WINDOW, records))]
            found, rows, names = log.window(some)
            ids += found
            write(rows, names)
    return ids


@contextlib.contextmanager
def _into_sqlite(file: Any) -> Iterator[Any]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        position, at = connection.execute(
            "SELECT max(position), max(recorded_at) FROM events"
        ).fetchone()
        held = connection.execute("SELECT count(*) FROM reservations WHERE kind = 'handle'")

        def write(rows: list[Row], names: list[Row]) -> None:
            connection.executemany(EVENTS, rows)
            connection.executemany(RESERVATIONS, names)

        yield Log(position, at, held.fetchone()[0]), write
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def _into_postgres(url: Any) -> Iterator[Any]:
    with psycopg.connect(url) as connection:
        cursor = connection.cursor()
        position, at = cursor.execute(
            "SELECT position, recorded_at FROM ledger.head FOR UPDATE"
        ).fetchone() or (0, 0)
        (held,) = cursor.execute(
            "SELECT count(*) FROM ledger.reservations WHERE kind = 'handle'"
        ).fetchone() or (0,)
        log = Log(position, at, held)

        def write(rows: list[Row], names: list[Row]) -> None:
            for table, given in (("events", rows), ("reservations", names)):
                with cursor.copy(f"COPY ledger.{table} FROM STDIN".encode()) as copy:
                    for row in given:
                        copy.write_row(row)

        yield log, write
        cursor.execute(
            "UPDATE ledger.head SET position = %s, recorded_at = %s",
            (log.position, log.recorded_at),
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE ledger.events")
        connection.execute("CHECKPOINT")
