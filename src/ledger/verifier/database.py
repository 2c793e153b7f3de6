"""What does a ledger's database hold?  Read in one snapshot, in order, and never written to.

SQLite and PostgreSQL alike: the tables have the same columns, and only the addresses differ.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

import psycopg

from ledger.verifier.log import Mark, Row
from ledger.verifier.report import Report, Unchecked
from ledger.verifier.signatures import BadNote, Key, checkpoint, note
from ledger.verifier.tree import HASH_BYTES, LEVELS, TILE

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = ("postgresql://", "postgres://")
VIEWS_SUFFIX: Final = ".views"
APPLICATION_ID: Final = 0x4C454447
BATCH: Final = 2_000
CONNECT_S: Final = 10
TABLES: Final = (
    "events", "documents", "reservations", "idempotency", "artifacts",
    "log_head", "log_tiles", "log_checkpoints",
)  # fmt: skip

Found = Iterator[tuple[Any, ...]]


class Database(ABC):
    """A ledger's database in one snapshot; ``schema`` stands before the name of every table."""

    schema: ClassVar[str]
    views: ClassVar[str]

    def __init__(self) -> None:
        """Read the head of the tree, on which the place of everything else rests."""
        self.size = 0
        self.frontier = b""
        self.heads: list[tuple[Any, ...]] = []

    @abstractmethod
    def read(self, sql: str, given: Sequence[Any] = ()) -> Found:
        """Yield the rows of a query with ``?`` for values and ``{s}`` before names of tables."""

    @abstractmethod
    def read_views(self, sql: str, given: Sequence[Any] = ()) -> Found:
        """Yield rows from the views, ``{v}`` before the names of their tables."""

    @abstractmethod
    def damages(self) -> Iterator[str]:
        """Yield what the database itself finds wrong with its files."""

    @property
    @abstractmethod
    def has_views(self) -> bool:
        """Whether the views are there to be read."""

    def begin(self, report: Report) -> None:
        """Read where the tree ends."""
        self.heads = list(self.read("SELECT size, frontier FROM {s}log_head LIMIT 2"))
        report.expect("log_head", "", "rows", 1, len(self.heads))
        if not self.heads:
            return
        size, frontier = self.heads[0]
        expected = sum((size >> 8 * level) % TILE for level in range(LEVELS)) * HASH_BYTES
        fits = report.expect("log_head", "one", "length of frontier", expected, len(frontier))
        self.size = size
        self.frontier = bytes(frontier) if fits else b""

    def note(self) -> bytes | None:
        """Return the newest checkpoint."""
        sql = "SELECT note FROM {s}log_checkpoints ORDER BY size DESC LIMIT 1"
        return next((bytes(row[0]) for row in self.read(sql)), None)

    def vkey(self) -> str | None:
        """Return None: a database holds no key, and were it to hold one it would prove nothing."""
        return None

    def rows(self) -> Iterator[Row]:
        """Yield the log in order."""
        columns = (
            "position, recorded_at, originator_id, originator_version, topic, state, salt, "
            "payload_commitment"
        )
        sql = f"SELECT {columns} FROM {{s}}events ORDER BY position"  # noqa: S608 - constants
        return map(Row._make, self.read(sql))

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a full tile from its table, or a partial one from the head of the tree."""
        if width == TILE:
            sql = "SELECT data FROM {s}log_tiles WHERE level = ? AND idx = ?"
            return next((bytes(row[0]) for row in self.read(sql, (level, index))), None)
        at = sum((self.size >> 8 * below) % TILE for below in range(level)) * HASH_BYTES
        return self.frontier[at : at + width * HASH_BYTES]

    def entries(self, _index: int, _width: int) -> list[bytes] | None:
        """Return None: a database keeps rows, from which the entries are made."""
        return None

    def marks(self, report: Report, key: Key | None) -> Iterator[Mark]:
        """Yield the root of every checkpoint that was published, once its note is checked."""
        sql = "SELECT size, root, note, published_at FROM {s}log_checkpoints ORDER BY size"
        earlier = 0
        for size, root, raw, at in self.read(sql):
            place = f"size {size}"
            report.count("checkpoints")
            try:
                signed = note(bytes(raw))
                said = checkpoint(signed)
                if key is not None and said.origin != key.name:
                    report.count("checkpoints of another origin, their signatures not checked")
                elif key is not None and not signed.signed_by(key):
                    report.differs("log_checkpoints", place, "note", f"signed by {key.name}", "not")
            except BadNote as why:
                report.differs("log_checkpoints", place, "note", "a signed checkpoint", why)
            else:
                report.expect("log_checkpoints", place, "size in note", size, said.size)
                report.expect("log_checkpoints", place, "root", said.root.hex(), bytes(root).hex())
            if at < earlier:
                later = f"not before {earlier}"
                report.differs("log_checkpoints", place, "published_at", later, at)
            earlier = at
            yield Mark(size, "", bytes(root))


class SQLite(Database):
    """A ledger in a SQLite file, its views in another beside it."""

    schema = views = ""

    def __init__(self, path: Path) -> None:
        """Open the file read-only, and begin the snapshot."""
        super().__init__()
        if not path.is_file():
            raise Unchecked(f"There is no file {path}.")
        # The views first: they follow the log, so that theirs is never the later snapshot.
        beside = Path(f"{path}{VIEWS_SUFFIX}")
        self._views = _opened(beside) if beside.is_file() else None
        self._log = _opened(path)
        marked = self._log.execute("PRAGMA application_id").fetchone()[0]
        if marked != APPLICATION_ID:
            raise Unchecked(f"The file {path} is not a ledger.")
        kinds = dict(self._log.execute("SELECT name, type FROM sqlite_master"))
        missing = [name for name in TABLES if kinds.get(name) != "table"]
        if missing:
            raise Unchecked(f"The ledger at {path} has no table {missing[0]}: it is older.")

    @property
    def has_views(self) -> bool:
        """Whether their file is there."""
        return self._views is not None

    def read(self, sql: str, given: Sequence[Any] = ()) -> Found:
        """Yield the rows of a query."""
        return self._log.execute(sql.format(s=""), given)

    def read_views(self, sql: str, given: Sequence[Any] = ()) -> Found:
        """Yield rows from the views."""
        return self._views.execute(sql.format(v=""), given) if self._views else iter(())

    def damages(self) -> Iterator[str]:
        """Yield what SQLite finds wrong, such as an index that contradicts its table."""
        for connection in filter(None, (self._log, self._views)):
            for (found,) in connection.execute("PRAGMA integrity_check(20)"):
                if found != "ok":
                    yield found

    def close(self) -> None:
        """Close the files."""
        for connection in (self._log, self._views):
            if connection is not None:
                connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(place, uri=True, timeout=CONNECT_S, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


class PostgreSQL(Database):
    """A ledger in a PostgreSQL database, its views in a schema of their own."""

    schema = "ledger."
    views = "ledger_views."

    def __init__(self, url: str) -> None:
        """Connect, and begin the snapshot."""
        super().__init__()
        self._connection = psycopg.connect(url, connect_timeout=CONNECT_S)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._numbers = 0
        missing = self._missing()
        if missing:
            raise Unchecked(f"The database has no table ledger.{missing[0]}.")

    def _missing(self) -> list[str]:
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'"
        there = {row[0] for row in self.read(sql)}
        return [name for name in (*TABLES, "head") if name not in there]

    @property
    def has_views(self) -> bool:
        """Whether the schema has their checkpoints."""
        return any(self.read("SELECT 1 WHERE to_regclass('ledger_views.standing') IS NOT NULL"))

    def read(self, sql: str, given: Sequence[Any] = ()) -> Found:
        """Yield the rows of a query, by a cursor on the server where there may be many."""
        told = sql.replace("%", "%%").replace("?", "%s").format(s=self.schema, v=self.views)
        if "ORDER BY" not in sql or "LIMIT" in sql:
            with self._connection.cursor(binary=True) as cursor:
                yield from cursor.execute(told.encode(), given)
            return
        self._numbers += 1
        cursor = self._connection.cursor(f"verify_{self._numbers}", binary=True)
        cursor.itersize = BATCH
        try:
            yield from cursor.execute(told.encode(), given)
        finally:
            # Whoever stopped reading may have closed the connection first.
            with suppress(psycopg.Error):
                cursor.close()

    read_views = read

    def damages(self) -> Iterator[str]:
        """Yield nothing: its files are the server's own affair."""
        yield from ()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def opened(url: str) -> Iterator[SQLite | PostgreSQL]:
    """Give the database at a URL; raises Unchecked for whatever keeps it from being read."""
    try:
        if url.startswith(SQLITE):
            database: SQLite | PostgreSQL = SQLite(Path(url.removeprefix(SQLITE)))
        else:
            database = PostgreSQL(url)
        try:
            yield database
        finally:
            database.close()
    except (sqlite3.Error, psycopg.Error) as trouble:
        said = " ".join(str(trouble).split()) or type(trouble).__name__
        raise Unchecked(f"The database cannot be read: {said}") from trouble
