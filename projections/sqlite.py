"""Where do the views live?  One SQLite file beside the log: rows and checkpoints move together.

Everything in it may be deleted at any time and is then rebuilt; no fact may live here alone.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from projections import table as tables
from projections.folded import Folded
from projections.table import Checkpoint, Projection, Table, shape

BUSY_TIMEOUT_S: Final = 30
CLOSING_TIMEOUT_S: Final = 10
LOAD_CHUNK: Final = 1_000
"""Records per transaction while a fresh view is filled: live views wait no longer than that."""


class ViewsClosed(Exception):
    """The views are closed."""


class ViewsBusy(Exception):
    """Another process holds the views; the same call may succeed later."""


class ViewsDamaged(Exception):
    """The views file cannot be read; everything in it can be rebuilt."""


class Overtaken(Exception):
    """Another rebuild of the same view was swapped in first."""


class Views:
    """The views database: one writer connection, one reader connection per thread."""

    def __init__(self, path: str | Path, projections: Iterable[type[Projection]] = ()) -> None:
        """Open the file, and create what is missing for ``projections``."""
        self._path = str(path)
        self._lock = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._reading = 0
        self._idle = threading.Condition()
        self._closed = False
        self._own = threading.local()
        self._writer = self._connect()
        try:
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            with self.writing() as writer:
                writer.execute(tables.CHECKPOINTS)
                for projection in projections:
                    tables.prepare(writer, projection)
        except BaseException as trouble:
            self._writer.close()
            if isinstance(trouble, sqlite3.Error):
                raise ViewsDamaged(str(trouble)) from trouble
            raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the writer inside one transaction; raises ViewsBusy, ViewsClosed."""
        with self._lock:
            if self._closed:
                raise ViewsClosed
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as trouble:
                raise ViewsBusy(str(trouble)) from trouble
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's reader inside one snapshot; raises ViewsClosed."""
        with self._idle:
            if self._closed:
                raise ViewsClosed
            self._reading += 1
        try:
            reader = self._reader()
            reader.execute("BEGIN")
            try:
                yield reader
            finally:
                reader.execute("COMMIT")
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
            self._own.reader = reader
            with self._idle:
                self._readers.append(reader)
        return reader

    def checkpoint(self, name: str) -> Checkpoint:
        """Return how far a view is; nowhere when it has never been written."""
        with self.reading() as reader:
            return tables.checkpoint(reader, name)

    def move(self, name: str, checkpoint: Checkpoint) -> None:
        """Move the checkpoint of a view whose rows live elsewhere."""
        with self.writing() as writer:
            tables.move(writer, name, checkpoint)

    def apply(
        self,
        projection: type[Projection],
        touched: Iterable[Folded],
        reached: Checkpoint,
        after: int = 0,
    ) -> bool:
        """Replace the rows of the touched records and move the checkpoint, in one transaction.

        ``touched`` are the records with events behind position ``after``.  Changes nothing and
        returns False when the view has reached that position already, or is not as far as
        ``after``: neither a replay nor a second process can put older rows over newer ones, or
        leave a gap.
        """
        written = [(record, projection.rows(record)) for record in touched]
        with self.writing() as writer:
            if not after <= tables.checkpoint(writer, projection.NAME).position < reached.position:
                return False
            for table in projection.TABLES:
                table.replace(writer, table.name, written)
            tables.move(writer, projection.NAME, reached, shape(projection))
        return True

    def rebuild(
        self, projection: type[Projection], records: Iterable[Folded], reached: Checkpoint
    ) -> None:
        """Fill fresh tables and swap them in; raises Overtaken when the view is further by now."""
        fresh = self.fresh(projection)
        fresh.load(records)
        fresh.index()
        if not fresh.swap(reached):
            raise Overtaken

    def fresh(self, projection: type[Projection]) -> Fresh:
        """Return empty tables beside the live ones, to be filled and swapped in."""
        return Fresh(self, projection)

    def close(self) -> None:
        """Let running reads finish, or interrupt them after ten seconds, then close the file."""
        with self._idle:
            self._closed = True
            if not self._idle.wait_for(lambda: not self._reading, CLOSING_TIMEOUT_S):
                for reader in self._readers:
                    reader.interrupt()
                self._idle.wait_for(lambda: not self._reading, CLOSING_TIMEOUT_S)
        with self._lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()

    def __enter__(self) -> Self:
        """Return the views."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the views."""
        self.close()


class Fresh:
    """A view under construction beside the live one; no reader sees it before the swap."""

    def __init__(self, views: Views, projection: type[Projection]) -> None:
        """Create the empty tables under names of their own generation."""
        self._views = views
        self._projection = projection
        with views.writing() as writer:
            self._generation = tables.next_generation(writer, projection)
            for table in projection.TABLES:
                writer.execute(table.create(self._name(table)))

    def _name(self, table: Table) -> str:
        return f"{table.name}__new_{self._generation}"

    def load(self, records: Iterable[Folded]) -> None:
        """Add records that are not in it yet; raises Overtaken."""
        self._write(records, known=False)

    def put(self, records: Iterable[Folded]) -> None:
        """Add records, or replace them where they are in it already; raises Overtaken."""
        self._write(records, known=True)

    def _write(self, records: Iterable[Folded], *, known: bool) -> None:
        stream = iter(records)
        while chunk := list(islice(stream, LOAD_CHUNK)):
            written = [(record, self._projection.rows(record)) for record in chunk]
            with self._views.writing() as writer:
                self._demand(writer)
                for table in self._projection.TABLES:
                    table.replace(writer, self._name(table), written, known=known)

    def _demand(self, writer: sqlite3.Connection) -> None:
        """Raise Overtaken when another rebuild was swapped in, which clears this one away."""
        found = tables.names(writer)
        if not all(self._name(table) in found for table in self._projection.TABLES):
            raise Overtaken

    def index(self) -> None:
        """Index what is loaded; once, before the swap."""
        with self._views.writing() as writer:
            self._demand(writer)
            for table in self._projection.TABLES:
                for statement in table.index(self._name(table), self._generation):
                    writer.execute(statement)

    def swap(self, reached: Checkpoint) -> bool:
        """Put the fresh tables and their checkpoint in place of the live ones, in one transaction.

        Returns False and changes nothing when the live view is further than ``reached``: then put
        the rest of the log into this one and try again.
        """
        with self._views.writing() as writer:
            self._demand(writer)
            if tables.checkpoint(writer, self._projection.NAME).position > reached.position:
                return False
            for table in self._projection.TABLES:
                writer.execute(f"DROP TABLE IF EXISTS {table.name}")
                writer.execute(f"ALTER TABLE {self._name(table)} RENAME TO {table.name}")
            tables.clear(writer, self._projection)
            tables.move(writer, self._projection.NAME, reached, shape(self._projection))
        # From here on readers see the fresh view; a crash above leaves the old one whole.
        return True

    def discard(self) -> None:
        """Drop the fresh tables, if they are still there."""
        with self._views.writing() as writer:
            for table in self._projection.TABLES:
                writer.execute(f"DROP TABLE IF EXISTS {self._name(table)}")
