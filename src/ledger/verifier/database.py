"""What does a ledger's database hold?  Read in one snapshot, in order, and never written to.

SQLite and PostgreSQL alike: the tables have the same columns, and only the addresses differ.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
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
    def rows_of(self, table: str, key: str, fields: Sequence[str], values: Sequence[Any]) -> Found:
        """Yield from a table of the views the rows whose key is one of some values.

        The key stands before the fields.  Values are of one kind: whole numbers, or texts.
        """

    @abstractmethod
    def damages(self) -> Iterator[str]:
        """Yield what the database itself finds wrong with its files."""

    @property
    @abstractmethod
    def has_views(self) -> bool:
        """Whether the views are there to be read."""

    @property
    def barred(self) -> str | None:
        """Why the views are there and may not be read, in a sentence; None if they may."""
        return None

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


def _listing(table: str, key: str, fields: Sequence[str], among: str) -> str:
    columns = ", ".join((key, *fields))
    return f"SELECT {columns} FROM {{v}}{table} WHERE {key} {among}"  # noqa: S608 - constants


class SQLite(Database):
    """A ledger in a SQLite file, its views in another beside it."""

    schema = views = ""

    def __init__(self, path: Path) -> None:
        """Open the file read-only, and begin the snapshot."""
        super().__init__()
        if not path.is_file():
            raise Unchecked(f"There is no file {path}.")
        self._closing = ExitStack()
        with ExitStack() as opened:
            # The views first: they follow the log, so that theirs is never the later snapshot.
            beside = Path(f"{path}{VIEWS_SUFFIX}")
            self._views = _opened(beside, opened) if beside.is_file() else None
            self._log = _opened(path, opened)
            self._check(path)
            self._closing = opened.pop_all()

    def _check(self, path: Path) -> None:
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

    def rows_of(self, table: str, key: str, fields: Sequence[str], values: Sequence[Any]) -> Found:
        """Yield the rows whose key is one of some values."""
        sql = _listing(table, key, fields, "IN (SELECT value FROM json_each(?))")
        return self.read_views(sql, (json.dumps(values),))

    def damages(self) -> Iterator[str]:
        """Yield what SQLite finds wrong, such as an index that contradicts its table."""
        for connection in filter(None, (self._log, self._views)):
            for (found,) in connection.execute("PRAGMA integrity_check(20)"):
                if found != "ok":
                    yield found

    def close(self) -> None:
        """Close the files."""
        self._closing.close()


def _opened(path: Path, opened: ExitStack) -> sqlite3.Connection:
    """Return a file in one snapshot, wherever it lies; ``opened`` closes it."""
    try:
        return _connected(path, opened)
    except sqlite3.OperationalError as trouble:
        if trouble.sqlite_errorcode & 0xFF not in {
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
        }:
            raise
    # SQLite wants to write beside a file that has a write-ahead log, also to read it.
    journal = Path(f"{path}-wal")
    if journal.is_file() and journal.stat().st_size:
        return _connected(_copied(path, journal, opened), opened)
    before = _state(path)
    opened.callback(lambda: _demand_unchanged(path, _state(path) == before))
    return _connected(path, opened, "&immutable=1")


def _connected(path: Path, opened: ExitStack, how: str = "") -> sqlite3.Connection:
    place = f"file:{quote(str(path))}?mode=ro{how}"
    connection = sqlite3.connect(place, uri=True, timeout=CONNECT_S, isolation_level=None)
    opened.callback(connection.close)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _copied(path: Path, journal: Path, opened: ExitStack) -> Path:
    """Return a copy of a file with its write-ahead log; raises Unchecked if it cannot be made."""
    before = [_state(each) for each in (path, journal)]
    try:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        for each in (path, journal):
            shutil.copyfile(each, folder / each.name)
    except OSError as trouble:
        raise Unchecked(
            f"The file {path} cannot be read where it lies, since part of it is in {journal}, nor "
            f"copied from there ({trouble.strerror})."
        ) from trouble
    _demand_unchanged(path, [_state(each) for each in (path, journal)] == before)
    return folder / path.name


def _demand_unchanged(path: Path, same: bool) -> None:  # noqa: FBT001 - it says what it is
    if not same:
        raise Unchecked(
            f"The file {path} was written to meanwhile, and cannot be read beside that from here."
        )


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


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

    @property
    def barred(self) -> str | None:
        """Why the views may not be read: they belong to the role that serves, and to no other."""
        sql = (
            "SELECT c.relname, pg_get_userbyid(c.relowner), current_user FROM pg_class AS c "
            "WHERE c.relnamespace = to_regnamespace('ledger_views') AND c.relkind = 'r' "
            "AND NOT has_table_privilege(c.oid, 'SELECT') LIMIT 1"
        )
        for table, owner, role in self.read(sql):
            return (
                f"The role {role} may not read {self.views}{table}, which belongs to {owner}: "
                f"verify as {owner}, or with --log-only."
            )
        return None

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

    def rows_of(self, table: str, key: str, fields: Sequence[str], values: Sequence[Any]) -> Found:
        """Yield the rows whose key is one of some values."""
        return self.read_views(_listing(table, key, fields, "= ANY(?)"), (values,))

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
