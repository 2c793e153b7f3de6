"""What does the read side need of a database?  The port of the views, and what all of them share.

A view is tables and a checkpoint that move in one transaction.  Everything in it may be deleted at
any time and is then rebuilt; no fact may live here alone.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import ClassVar, Final, Self

from projections import table as tables
from projections.folded import Folded
from projections.table import (
    Checkpoint,
    Dialect,
    Projection,
    Reading,
    Rows,
    Standing,
    Table,
    Writing,
)

_log = logging.getLogger("ledger.views")

LOAD_CHUNK: Final = 1_000
"""Records per transaction while a fresh view is filled: live views wait no longer than that."""


class ViewsClosed(Exception):
    """The views are closed."""


class ViewsBusy(Exception):
    """Another process holds the views; the same call may succeed later."""


class ViewsUnavailable(Exception):
    """The database of the views cannot be reached or cannot write; it may be back later."""


class ViewsDamaged(Exception):
    """The views cannot be read as they are; everything in them can be rebuilt."""


class Overtaken(Exception):
    """Another rebuild of the same view was swapped in first."""


class Outage:
    """Says once that no reader gets through to a server, and once that it answers again."""

    def __init__(self) -> None:
        """Suppose that it answers."""
        self._since: float | None = None

    def met(self, trouble: ViewsUnavailable) -> None:
        """Hear of a reader's trouble; what a server refuses that is there has a code."""
        lost = getattr(trouble.__cause__, "sqlstate", "") is None
        if lost and self._since is None:
            self._since = time.monotonic()
            _log.warning("The database of the views does not answer: %s.", trouble)

    def over(self) -> None:
        """Hear of a reader that got through."""
        since, self._since = self._since, None
        if since is not None:
            # As loud as the trouble was, whose end it is.
            away_s = time.monotonic() - since
            _log.warning("The database of the views answers again, after %.0f seconds.", away_s)


class Views(ABC):
    """The views' database.  Any thread may call; any number of processes may have it open.

    Whatever is called raises ViewsUnavailable, ViewsBusy (both pass), ViewsDamaged or ViewsClosed.
    """

    dialect: ClassVar[Dialect]

    @abstractmethod
    def reading(self) -> AbstractContextManager[Reading]:
        """Give a reader inside one snapshot: a page, its count and its checkpoint agree."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Writing]:
        """Give the writer inside one transaction; there is one at a time over all processes."""

    def building(self) -> AbstractContextManager[Writing]:
        """Give a writer for tables that no reader knows; on a server, each statement is done alone.

        Raises Overtaken where the tables are gone.
        """
        return self.writing()

    def swapping(self) -> AbstractContextManager[Writing]:
        """Give the writer inside one transaction that may replace tables under the readers."""
        return self.writing()

    def loaded(self, writer: Writing, table: str) -> None:  # noqa: B027 - most need nothing
        """Do what the database needs after a table was filled and indexed."""

    def forgotten(self) -> None:  # noqa: B027 - most need nothing
        """Do what the database needs so that nothing is left of what was erased from the tables."""

    @abstractmethod
    def try_lead(self) -> bool:
        """Become the one process that writes the views, if none is; return whether this one is."""

    @abstractmethod
    def leads(self) -> bool:
        """Return whether this process is, at this moment, the one that writes the views."""

    @abstractmethod
    def resign(self) -> None:
        """Let another process write the views; does nothing where this one does not."""

    @abstractmethod
    def close(self) -> None:
        """Resign, let running reads finish for a while, then let go of the database."""

    # ------------------------------------------------------------ where views stand

    def checkpoint(self, name: str) -> Checkpoint:
        """Return how far a view is; nowhere when it has never been written."""
        with self.reading() as reader:
            return tables.checkpoint(reader, name)

    def standings(self) -> dict[str, Standing]:
        """Return where every view is that was ever written, and what stopped it."""
        with self.reading() as reader:
            return tables.standings(reader)

    def report(self, name: str, error: str | None) -> None:
        """Write down what stopped a view, for every process to read; moving it clears that."""
        with self.writing() as writer:
            tables.report(writer, name, error)

    def move(self, name: str, checkpoint: Checkpoint) -> None:
        """Move the checkpoint of a view whose rows live elsewhere."""
        with self.writing() as writer:
            tables.move(writer, name, checkpoint)
            tables.derived(writer, name)

    # ------------------------------------------------------------ following and rebuilding

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
        written = _rows(projection, touched)
        erased = any(record.erased_after(after) for record, _ in written)
        with self.writing() as writer:
            if not after <= tables.checkpoint(writer, projection.NAME).position < reached.position:
                return False
            for table in projection.TABLES:
                table.replace(writer, table.name, written)
                if erased:
                    table.forget(writer, table.name, self.dialect)
            tables.move(writer, projection.NAME, reached)
        if erased:
            self.forgotten()
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

    def _prepare(self, writer: Writing, projections: Iterable[type[Projection]]) -> None:
        writer.execute(self.dialect.spelt(tables.CHECKPOINTS))
        for projection in projections:
            tables.prepare(writer, projection, self.dialect)

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


def _rows(projection: type[Projection], records: Iterable[Folded]) -> list[tuple[Folded, Rows]]:
    written = [(record, projection.rows(record)) for record in records]
    # In order of place: search indexes take rows several times faster that way.
    return sorted(written, key=lambda pair: pair[0].place)


class Fresh:
    """A view under construction beside the live one; no reader sees it before the swap."""

    def __init__(self, views: Views, projection: type[Projection]) -> None:
        """Create the empty tables under names of their own generation."""
        self._views = views
        self._projection = projection
        with views.writing() as writer:
            self._live = tables.live(writer, projection.NAME)
            self._generation = tables.next_generation(writer, projection)
            for table in projection.TABLES:
                writer.execute(table.create(self._name(table), views.dialect))

    def _name(self, table: Table) -> str:
        return f"{table.name}__new_{self._generation}"

    def load(self, records: Iterable[Folded]) -> None:
        """Add records that are not in it yet; raises Overtaken."""
        self._write(records, known=False)

    def fill(self, rows: Iterable[Rows]) -> None:
        """Add rows of records that are not in it yet, in one transaction; raises Overtaken."""
        given = list(rows)
        with self._views.building() as writer:
            self._demand(writer)
            for table in self._projection.TABLES:
                some = (row for each in given for row in each.get(table.name, ()))
                writer.insert(self._name(table), table.fields, some)

    def put(self, records: Iterable[Folded]) -> None:
        """Add records, or replace them where they are in it already; raises Overtaken."""
        self._write(records, known=True)

    def _write(self, records: Iterable[Folded], *, known: bool) -> None:
        stream = iter(records)
        while chunk := list(islice(stream, LOAD_CHUNK)):
            written = _rows(self._projection, chunk)
            with self._views.building() as writer:
                self._demand(writer)
                erased = known and any(record.erased_after(0) for record, _ in written)
                for table in self._projection.TABLES:
                    table.replace(writer, self._name(table), written, known=known)
                    if erased:
                        table.forget(writer, self._name(table), self._views.dialect)

    def _demand(self, writer: Writing) -> None:
        """Raise Overtaken when other tables have gone live, which clears these away."""
        if tables.live(writer, self._projection.NAME) != self._live:
            raise Overtaken

    def index(self) -> None:
        """Index what is loaded; once, before the swap."""
        with self._views.building() as writer:
            self._demand(writer)
            for table in self._projection.TABLES:
                name = self._name(table)
                for statement in table.index(name, self._generation, self._views.dialect):
                    writer.execute(statement)
                self._views.loaded(writer, name)

    def swap(self, reached: Checkpoint) -> bool:
        """Put the fresh tables and their checkpoint in place of the live ones, in one transaction.

        Returns False and changes nothing when the live view is further than ``reached``: then put
        the rest of the log into this one and try again.
        """
        dialect, name = self._views.dialect, self._projection.NAME
        with self._views.swapping() as writer:
            self._demand(writer)
            if tables.checkpoint(writer, name).position > reached.position:
                return False
            for table in self._projection.TABLES:
                writer.execute(f"DROP TABLE IF EXISTS {table.name}")
                writer.execute(f"ALTER TABLE {self._name(table)} RENAME TO {table.name}")
            tables.swapped(writer, name, self._generation, tables.shape(self._projection, dialect))
            tables.move(writer, name, reached)
        # From here on readers see the fresh view; a crash above leaves the old one whole.
        self._clear()
        return True

    def _clear(self) -> None:
        """Drop what other rebuilds have left behind, unless one of them is at work right now."""
        try:
            with self._views.writing() as writer:
                for name in tables.leftovers(writer, self._projection, self._views.dialect):
                    writer.execute(f"DROP TABLE {name}")
        except (ViewsBusy, ViewsUnavailable):
            return  # the next swap clears them away

    def discard(self) -> None:
        """Drop the fresh tables, if they are still there."""
        with self._views.writing() as writer:
            for table in self._projection.TABLES:
                writer.execute(f"DROP TABLE IF EXISTS {self._name(table)}")
