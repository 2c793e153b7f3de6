"""What is a table of a view?  Its statements under a live or a fresh name, and its checkpoint.

It never opens a connection or a transaction: whoever calls holds the one in which rows and
checkpoint move together.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol

from projections.folded import Folded

Row = tuple[Any, ...]
Rows = Mapping[str, Sequence[Row]]
"""The rows of one record, by table name."""

CHECKPOINTS: Final = """
CREATE TABLE IF NOT EXISTS checkpoint (
    name TEXT PRIMARY KEY,
    shape TEXT NOT NULL,
    position INTEGER NOT NULL,
    in_force INTEGER NOT NULL,
    generation INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a projection.

    ``ddl`` creates it, with ``{table}`` for its name; ``fields`` are the columns that a row fills;
    ``key`` is the column by which a record's rows are found, ``by`` what of the record it holds.
    """

    name: str
    ddl: str
    fields: tuple[str, ...]
    key: str
    by: Literal["record_id", "place"]
    indexes: tuple[str, ...] = ()

    def create(self, name: str) -> str:
        """Return the statement that creates the table under ``name``."""
        return self.ddl.replace("{table}", name)

    def index(self, name: str, generation: int) -> list[str]:
        """Return the statements that index it; index names hold the generation, to stay unique."""
        return [
            f"CREATE INDEX {self.name}_{generation}_{number} ON {name} ({columns})"
            for number, columns in enumerate(self.indexes)
        ]

    def replace(
        self,
        writer: sqlite3.Connection,
        name: str,
        written: Sequence[tuple[Folded, Rows]],
        *,
        known: bool = True,
    ) -> None:
        """Put the rows of each record in place of its old ones; unless ``known``, it has none."""
        if known:
            keys = [(getattr(record, self.by),) for record, _ in written]
            writer.executemany(f"DELETE FROM {name} WHERE {self.key} = ?", keys)  # noqa: S608
        marks = ", ".join("?" * len(self.fields))
        insert = f"INSERT INTO {name} ({', '.join(self.fields)}) VALUES ({marks})"  # noqa: S608
        writer.executemany(insert, (row for _, rows in written for row in rows.get(self.name, ())))


class Projection(Protocol):
    """What the engine needs of a projection class."""

    NAME: ClassVar[str]
    TABLES: ClassVar[tuple[Table, ...]]

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return all rows of one record; a pure function of what it is given."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to which position a view holds the log, and under which version of the facts in force."""

    position: int = 0
    in_force: int = 0


def shape(projection: type[Projection]) -> str:
    """Return a digest of the tables: a view of another shape is emptied when it is opened."""
    text = "\n".join("|".join((t.name, t.ddl, *t.fields, *t.indexes)) for t in projection.TABLES)
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(writer: sqlite3.Connection, projection: type[Projection]) -> None:
    """Create the tables empty, at the start of the log, unless they are there in this shape."""
    known = writer.execute(
        "SELECT shape FROM checkpoint WHERE name = ?", (projection.NAME,)
    ).fetchone()
    found = names(writer)
    if known == (shape(projection),) and all(t.name in found for t in projection.TABLES):
        return
    generation = next_generation(writer, projection)
    for table in projection.TABLES:
        writer.execute(f"DROP TABLE IF EXISTS {table.name}")
        writer.execute(table.create(table.name))
        for statement in table.index(table.name, generation):
            writer.execute(statement)
    move(writer, projection.NAME, Checkpoint(), shape(projection))


def names(writer: sqlite3.Connection) -> set[str]:
    """Return the names of all tables."""
    return {
        name for (name,) in writer.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }


def next_generation(writer: sqlite3.Connection, projection: type[Projection]) -> int:
    """Count up and return the number that names the next tables and indexes of a projection."""
    ((generation,),) = writer.execute(
        "INSERT INTO checkpoint VALUES (?, '', 0, 0, 1) "
        "ON CONFLICT (name) DO UPDATE SET generation = generation + 1 RETURNING generation",
        (projection.NAME,),
    ).fetchall()
    return int(generation)


def clear(writer: sqlite3.Connection, projection: type[Projection]) -> None:
    """Drop what other rebuilds of the projection, crashed or overtaken, have left behind."""
    for table in projection.TABLES:
        left = re.compile(rf"{table.name}__new_[0-9]+")
        for name in filter(left.fullmatch, names(writer)):
            writer.execute(f"DROP TABLE {name}")


def checkpoint(connection: sqlite3.Connection, name: str) -> Checkpoint:
    """Return how far a view is; nowhere when it has never been written."""
    query = "SELECT position, in_force FROM checkpoint WHERE name = ?"
    found = connection.execute(query, (name,)).fetchone()
    return Checkpoint(*found) if found else Checkpoint()


def move(writer: sqlite3.Connection, name: str, reached: Checkpoint, shaped: str = "") -> None:
    """Set the checkpoint of a view, and the shape of its tables."""
    writer.execute(
        "INSERT INTO checkpoint VALUES (?, ?, ?, ?, 0) ON CONFLICT (name) DO UPDATE "
        "SET shape = excluded.shape, position = excluded.position, in_force = excluded.in_force",
        (name, shaped, reached.position, reached.in_force),
    )
