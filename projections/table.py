"""What is a table of a view?  Its statements under a live or a fresh name, and its checkpoint.

Nothing here opens a connection or a transaction: whoever calls holds the one in which rows and
checkpoint move together.  Statements are written once, with ``?`` for values and the type names
INTEGER and TEXT; a dialect says where a database spells them otherwise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol

from projections.folded import FOLD, Folded

Row = tuple[Any, ...]
Rows = Mapping[str, Sequence[Row]]
"""The rows of one record, by table name."""

CHECKPOINTS: Final = """
CREATE TABLE IF NOT EXISTS standing (
    name TEXT PRIMARY KEY,
    shape TEXT NOT NULL DEFAULT '',
    position INTEGER NOT NULL DEFAULT 0,
    in_force INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    live INTEGER NOT NULL DEFAULT 0,
    error TEXT
)
"""
"""``generation`` counts the tables that were ever begun, ``live`` is that of the live ones.

``shape`` is the digest of the tables, a point, and the number of the fold that filled them.
"""


class Found(Protocol):
    """The rows that a statement gives."""

    def fetchone(self) -> Any:
        """Return the next row, None when there is none."""

    def fetchall(self) -> list[Any]:
        """Return the rest of the rows."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rest of the rows."""


class Reading(Protocol):
    """A connection inside one snapshot."""

    def execute(self, sql: str, given: Sequence[Any] = ..., /) -> Found:
        """Run a statement with ``?`` for each of the given values."""


class Writing(Reading, Protocol):
    """A connection inside one transaction, which also takes rows by the thousand."""

    def delete(self, table: str, key: str, values: Sequence[Any], /) -> None:
        """Delete the rows whose key is one of the values."""

    def insert(self, table: str, fields: Sequence[str], rows: Iterable[Row], /) -> None:
        """Insert rows."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database spells what the others spell otherwise.

    ``tables`` gives the names of all tables; ``types`` are its words for INTEGER and TEXT.
    """

    name: Literal["sqlite", "postgresql"]
    tables: str
    types: Mapping[str, str]

    def spelt(self, ddl: str) -> str:
        """Return a statement that creates a table, with the types as this database names them."""
        return re.sub(r"\b(INTEGER|TEXT)\b", lambda found: self.types[found[0]], ddl)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a projection.

    ``ddl`` creates it, with ``{table}`` for its name; ``fields`` are the columns that a row fills;
    ``key`` is the column by which a record's rows are found, ``by`` what of the record it holds.
    ``indexes`` are lists of columns.  Where a database needs a statement of its own to create the
    table, ``ddl_of`` has it under the dialect's name, and ``indexes_of`` what its indexes are on.
    ``forgetting_of`` has the statement after which nothing of deleted rows is left in its indexes.
    """

    name: str
    ddl: str
    fields: tuple[str, ...]
    key: str
    by: Literal["record_id", "place"]
    indexes: tuple[str, ...] = ()
    ddl_of: tuple[tuple[str, str], ...] = ()
    indexes_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    forgetting_of: tuple[tuple[str, str], ...] = ()

    def create(self, name: str, dialect: Dialect) -> str:
        """Return the statement that creates the table under ``name``."""
        ddl = dict(self.ddl_of).get(dialect.name) or dialect.spelt(self.ddl)
        return ddl.replace("{table}", name)

    def index(self, name: str, generation: int, dialect: Dialect) -> list[str]:
        """Return the statements that index it; index names hold the generation, to stay unique."""
        methods = dict(self.indexes_of).get(dialect.name, ())
        parts = [f"({columns})" for columns in self.indexes] + [f"USING {m}" for m in methods]
        return [
            f"CREATE INDEX {self.name}_{generation}_{number} ON {name} {part}"
            for number, part in enumerate(parts)
        ]

    def replace(
        self,
        writer: Writing,
        name: str,
        written: Sequence[tuple[Folded, Rows]],
        *,
        known: bool = True,
    ) -> None:
        """Put the rows of each record in place of its old ones; unless ``known``, it has none."""
        if known:
            writer.delete(name, self.key, [getattr(record, self.by) for record, _ in written])
        rows = (row for _, rows in written for row in rows.get(self.name, ()))
        writer.insert(name, self.fields, rows)

    def forget(self, writer: Writing, name: str, dialect: Dialect) -> None:
        """Let nothing of deleted rows be left in the indexes of the table under ``name``."""
        statement = dict(self.forgetting_of).get(dialect.name)
        if statement is not None:
            writer.execute(statement.replace("{table}", name))


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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a view is, what stopped it, if anything has, and by which fold it was derived."""

    checkpoint: Checkpoint = Checkpoint()
    error: str | None = None
    fold: int = FOLD


def shape(projection: type[Projection], dialect: Dialect) -> str:
    """Return a digest of the tables: a view of another shape is emptied when it is opened."""
    parts = [
        (table.create("", dialect), *table.fields, *table.index("", 0, dialect))
        for table in projection.TABLES
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def prepare(writer: Writing, projection: type[Projection], dialect: Dialect) -> None:
    """Create the tables empty, at the start of the log, unless they are there in this shape."""
    query = "SELECT shape FROM standing WHERE name = ?"
    known = writer.execute(query, (projection.NAME,)).fetchone()
    shaped = shape(projection, dialect)
    if known and known[0].partition(".")[0] == shaped and not missing(writer, projection, dialect):
        return
    generation = next_generation(writer, projection)
    for table in projection.TABLES:
        writer.execute(f"DROP TABLE IF EXISTS {table.name}")
        writer.execute(table.create(table.name, dialect))
        for statement in table.index(table.name, generation, dialect):
            writer.execute(statement)
    swapped(writer, projection.NAME, generation, shaped)
    move(writer, projection.NAME, Checkpoint())


def names(reader: Reading, dialect: Dialect) -> set[str]:
    """Return the names of all tables."""
    return {name for (name,) in reader.execute(dialect.tables)}


def missing(reader: Reading, projection: type[Projection], dialect: Dialect) -> bool:
    """Return whether a table of the projection is not there."""
    return not {table.name for table in projection.TABLES} <= names(reader, dialect)


def next_generation(writer: Writing, projection: type[Projection]) -> int:
    """Count up and return the number that names the next tables and indexes of a projection."""
    found = writer.execute(
        "INSERT INTO standing (name, generation) VALUES (?, 1) ON CONFLICT (name) "
        "DO UPDATE SET generation = standing.generation + 1 RETURNING generation",
        (projection.NAME,),
    ).fetchall()
    return int(found[0][0])


def live(reader: Reading, name: str) -> int:
    """Return the generation of a view's live tables, 0 when it has none."""
    query = "SELECT live FROM standing WHERE name = ?"
    found = reader.execute(query, (name,)).fetchone()
    return int(found[0]) if found else 0


def swapped(writer: Writing, name: str, generation: int, shaped: str) -> None:
    """Note which generation of a view's tables is live, its shape, and that this fold made it."""
    sql = "UPDATE standing SET live = ?, shape = ? WHERE name = ?"
    writer.execute(sql, (generation, f"{shaped}.{FOLD}", name))


def derived(writer: Writing, name: str) -> None:
    """Note that this fold made a view whose rows live elsewhere."""
    writer.execute("UPDATE standing SET shape = ? WHERE name = ?", (f".{FOLD}", name))


def leftovers(reader: Reading, projection: type[Projection], dialect: Dialect) -> list[str]:
    """Return the names of the tables that rebuilds, crashed or overtaken, have left behind."""
    there = names(reader, dialect)
    found = list[str]()
    for table in projection.TABLES:
        pattern = re.compile(rf"{table.name}__new_[0-9]+")
        found.extend(filter(pattern.fullmatch, there))
    return sorted(found)


def checkpoint(reader: Reading, name: str) -> Checkpoint:
    """Return how far a view is; nowhere when it has never been written."""
    query = "SELECT position, in_force FROM standing WHERE name = ?"
    found = reader.execute(query, (name,)).fetchone()
    return Checkpoint(*found) if found else Checkpoint()


def standings(reader: Reading) -> dict[str, Standing]:
    """Return where every view is, by name."""
    query = "SELECT name, position, in_force, error, shape FROM standing"
    return {
        name: Standing(Checkpoint(position, in_force), error, int(shape.partition(".")[2] or 0))
        for name, position, in_force, error, shape in reader.execute(query)
    }


def move(writer: Writing, name: str, reached: Checkpoint) -> None:
    """Set the checkpoint of a view; what moves is not stopped."""
    writer.execute(
        "INSERT INTO standing (name, position, in_force) VALUES (?, ?, ?) ON CONFLICT (name) DO "
        "UPDATE SET position = excluded.position, in_force = excluded.in_force, error = NULL",
        (name, reached.position, reached.in_force),
    )


def report(writer: Writing, name: str, error: str | None) -> None:
    """Write down what stopped a view; None when nothing does."""
    writer.execute(
        "INSERT INTO standing (name, error) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET error = excluded.error",
        (name, error),
    )
