"""Where do the views live beside a PostgreSQL log?  In the schema ``ledger_views`` of its database.

Readers come from a pool, and so do writers, who wait for each other at one advisory lock; the
leader holds another on a connection of its own.  No call waits for a server without an end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, ClassVar, Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed

from projections import views
from projections.table import Dialect, Found, Projection, Row, Writing
from projections.views import Overtaken, ViewsBusy, ViewsClosed, ViewsDamaged, ViewsUnavailable

SCHEMA: Final = "ledger_views"
DIALECT: Final = Dialect(
    name="postgresql",
    tables=f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}'",  # noqa: S608
    types={"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"'},
)
READERS_MAX: Final = 8
WRITERS_MAX: Final = 3
NOT_ALLOWED: Final = (
    f"the role may not keep the tables of the schema {SCHEMA}: serve as the role that made them; "
    "where there are none, `ledger init` as the owner of the database allows it"
)
BUSY_TIMEOUT_S: Final = 30
"""How long a writer waits for another."""
WRITING_S_MAX: Final = 120
"""How long one statement of a writer may take; building has no limit."""
SWAP_PATIENCE_S: Final = 0.5
"""How long new reads stand behind a swap that waits for old ones; then they go first."""
SWAP_PAUSE_S: Final = 0.2
WRITER_LOCK: Final = int.from_bytes(b"ledger.W")
LEADER_LOCK: Final = int.from_bytes(b"ledger.L")

# The lock comes before the snapshot: a swap is then wholly before a read or wholly behind it.
_BEGIN_READING: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE standing IN ACCESS SHARE MODE"
)
_BEGIN_WRITING: Final = (
    f"BEGIN; SET LOCAL statement_timeout = '{WRITING_S_MAX}s'; "
    f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
)
_BEGIN_SWAPPING: Final = (
    f"{_BEGIN_WRITING}; SET LOCAL lock_timeout = {int(SWAP_PATIENCE_S * 1_000)}; "
    "LOCK TABLE standing IN ACCESS EXCLUSIVE MODE"
)
_BUILD: Final = "SET statement_timeout = 0; SET maintenance_work_mem = '128MB'"

_BUSY: Final = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
)
_BARRED: Final = (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)
_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)
_DAMAGED: Final = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)


_Base = psycopg.Connection[tuple[Any, ...]]


class _Connection(_Base):
    """A connection that waits for an answer no longer than its patience."""

    patience: float | None = None
    """In seconds; None for no limit."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait as psycopg does, and close the connection when the server stays silent."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise


_Pool = ConnectionPool[_Connection]


class Transaction:
    """A connection inside a transaction, which takes statements as the projections write them."""

    def __init__(self, connection: _Base) -> None:
        """Work on ``connection``."""
        self._connection = connection

    def execute(self, sql: str, given: Sequence[Any] = (), /) -> Found:
        """Run a statement with ``?`` for each value."""
        # Without parameters psycopg takes the text as it is; the statements are the house's own.
        if not given:
            return self._connection.execute(sql)
        return self._connection.execute(_marked(sql), given)

    def delete(self, table: str, key: str, values: Sequence[Any], /) -> None:
        """Delete the rows whose key is one of the values."""
        if values:
            sql = f"DELETE FROM {table} WHERE {key} = ANY(?)"  # noqa: S608
            self.execute(sql, (list(values),))

    def insert(self, table: str, fields: Sequence[str], rows: Iterable[Row], /) -> None:
        """Insert rows, by COPY."""
        if not (taken := list(rows)):
            return
        sql = f"COPY {table} ({', '.join(fields)}) FROM STDIN"
        with (
            self._connection.cursor() as cursor,
            cursor.copy(sql) as copy,
        ):
            for row in taken:
                copy.write_row(row)


@lru_cache(maxsize=512)
def _marked(sql: str) -> LiteralString:
    return sql.replace("%", "%%").replace("?", "%s")


def _sentence(trouble: BaseException) -> str:
    """Return what went wrong on one line."""
    if isinstance(trouble, psycopg.Error) and trouble.diag.message_primary:
        return str(trouble.diag.message_primary)
    return " ".join(str(trouble).split()) or type(trouble).__name__


class PostgresViews(views.Views):
    """The views in a PostgreSQL database."""

    dialect: ClassVar[Dialect] = DIALECT

    def __init__(
        self, url: str, projections: Iterable[type[Projection]] = (), timeout_s: float = 5.0
    ) -> None:
        """Make ready to connect to ``url``; the first call creates what ``projections`` need.

        Without a server every call raises ViewsUnavailable, after ``timeout_s`` at most.
        """
        self._projections = tuple(projections)
        self._timeout_s = timeout_s
        self._conninfo = _conninfo(url, timeout_s)
        self._prepared = threading.Event()
        self._preparing = threading.Lock()
        self._failed = (0.0, "")
        self._outage = views.Outage()
        self._leading = threading.RLock()
        self._lead: _Connection | None = None
        self._readers = self._pool("views-readers", READERS_MAX)
        self._writers = self._pool("views-writers", WRITERS_MAX)
        with suppress(ViewsUnavailable, ViewsBusy):
            self._ready()

    def _pool(self, name: str, connections_max: int) -> _Pool:
        # A statement prepared for one table would outlive a swap that puts another in its place.
        return ConnectionPool(
            self._conninfo,
            connection_class=_Connection,
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=0,
            max_size=connections_max,
            timeout=self._timeout_s,
            reconnect_timeout=self._timeout_s,
            name=name,
            open=True,
        )

    # ------------------------------------------------------------ readers and writers

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Give a reader inside one snapshot."""
        try:
            self._ready()
            with self._transaction(self._readers, _BEGIN_READING, self._timeout_s + 1) as reader:
                self._outage.over()
                yield reader
        except ViewsUnavailable as trouble:
            self._outage.met(trouble)
            raise

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Give the writer inside one transaction."""
        self._ready()
        with self._transaction(self._writers, _BEGIN_WRITING, WRITING_S_MAX) as writer:
            yield writer

    @contextmanager
    def building(self) -> Iterator[Transaction]:
        """Give a writer that holds nobody up: each of its statements is a transaction."""
        self._ready()
        with self._told(building=True), self._begun(self._writers, _BUILD, None) as connection:
            yield Transaction(connection)
            connection.execute("RESET statement_timeout; RESET maintenance_work_mem")

    @contextmanager
    def swapping(self) -> Iterator[Transaction]:
        """Give the writer alone with the tables: reads at work finish, new ones wait a moment."""
        self._ready()
        with self._transaction(
            self._writers, _BEGIN_SWAPPING, WRITING_S_MAX, BUSY_TIMEOUT_S
        ) as writer:
            yield writer

    @contextmanager
    def _transaction(
        self, pool: _Pool, begin: LiteralString, patience: float, busy_s: float = 0
    ) -> Iterator[Transaction]:
        with self._told(), self._begun(pool, begin, patience, busy_s) as connection:
            yield Transaction(connection)
            connection.execute("COMMIT")

    @contextmanager
    def _begun(
        self, pool: _Pool, begin: LiteralString, patience: float | None, busy_s: float = 0
    ) -> Iterator[_Connection]:
        """Give a connection on which ``begin`` was carried out, and undo what is not committed."""
        connection = self._begin(pool, begin, patience, busy_s)
        try:
            yield connection
        except BaseException:
            _undo(connection)
            raise
        finally:
            pool.putconn(connection)

    def _begin(
        self, pool: _Pool, begin: LiteralString, patience: float | None, busy_s: float
    ) -> _Connection:
        busy_until = time.monotonic() + busy_s
        deadline = time.monotonic() + self._timeout_s
        while True:
            connection = pool.getconn(max(0.01, deadline - time.monotonic()))
            connection.patience = patience
            try:
                connection.execute(begin)
            except BaseException as trouble:
                _undo(connection)
                lost = connection.closed
                pool.putconn(connection)
                if isinstance(trouble, psycopg.errors.LockNotAvailable):
                    if time.monotonic() >= busy_until:
                        raise
                    time.sleep(SWAP_PAUSE_S)
                    deadline = time.monotonic() + self._timeout_s
                # The pool may hold connections from before the server went away and came back.
                elif not lost or time.monotonic() >= deadline:
                    raise
            else:
                return connection

    @contextmanager
    def _told(self, *, building: bool = False) -> Iterator[None]:
        """Say in the words of the port what befell the server; what a row did stays as it is."""
        try:
            yield
        except PoolClosed as trouble:
            raise ViewsClosed from trouble
        except _BUSY as trouble:
            raise ViewsBusy(_sentence(trouble)) from trouble
        except psycopg.errors.UndefinedTable as trouble:
            if building:
                raise Overtaken from trouble
            self._prepared.clear()
            message = f"tables of the views are gone, they are made anew: {_sentence(trouble)}"
            raise ViewsUnavailable(message) from trouble
        except _BARRED as trouble:
            raise ViewsUnavailable(f"{NOT_ALLOWED}: {_sentence(trouble)}") from trouble
        except _DAMAGED as trouble:
            raise ViewsDamaged(_sentence(trouble)) from trouble
        except _AWAY as trouble:
            raise ViewsUnavailable(_sentence(trouble)) from trouble

    # ------------------------------------------------------------ tables

    def _ready(self) -> None:
        """Create what is missing, once; whoever waits for another's failure fails with it."""
        if self._prepared.is_set():
            return
        began = time.monotonic()
        if not self._preparing.acquire(timeout=self._timeout_s):
            raise ViewsUnavailable("the tables of the views are not made yet")
        try:
            if self._prepared.is_set():
                return
            failed_at, failure = self._failed
            if failed_at > began:
                raise ViewsUnavailable(failure)
            try:
                with self._transaction(self._writers, _BEGIN_WRITING, WRITING_S_MAX) as writer:
                    there = "SELECT 1 FROM pg_namespace WHERE nspname = ?"
                    if writer.execute(there, (SCHEMA,)).fetchone() is None:
                        writer.execute(f"CREATE SCHEMA {SCHEMA}")
                    self._prepare(writer, self._projections)
            except ViewsUnavailable as trouble:
                self._failed = (time.monotonic(), str(trouble))
                raise
            self._prepared.set()
        finally:
            self._preparing.release()

    def loaded(self, writer: Writing, table: str) -> None:
        """Let the server count what is in the table: without, it plans searches badly."""
        writer.execute(f"VACUUM (ANALYZE) {table}")

    # ------------------------------------------------------------ leading

    def try_lead(self) -> bool:
        """Take the leader's lock, which the server frees when this connection ends."""
        with self._leading:
            if self.leads():
                return True
            if self._readers.closed:
                return False
            with self._told():
                lead = _Connection.connect(self._conninfo, autocommit=True)
                lead.patience = self._timeout_s
                try:
                    query = "SELECT pg_try_advisory_lock(%s)"
                    found = lead.execute(query, (LEADER_LOCK,)).fetchone()
                except BaseException:
                    lead.close()
                    raise
            if found == (True,):
                self._lead = lead
                return True
            lead.close()
            return False

    def leads(self) -> bool:
        """Ask the server whether this process' connection, and with it the lock, still lives."""
        with self._leading:
            if self._lead is None:
                return False
            try:
                self._lead.execute("SELECT 1")
            except psycopg.Error:
                self.resign()
                return False
            return True

    def resign(self) -> None:
        """Free the lock by closing its connection."""
        with self._leading:
            if self._lead is not None:
                self._lead.close()
                self._lead = None

    def close(self) -> None:
        """Resign and let go of the server; a read at work finishes, and closes its connection."""
        self.resign()
        for pool in (self._readers, self._writers):
            pool.close(self._timeout_s)


def _undo(connection: _Connection) -> None:
    if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
        connection.close()  # left in the middle of an answer
    with suppress(psycopg.Error):
        connection.execute("ROLLBACK")


def _conninfo(url: str, timeout_s: float) -> str:
    """Return a connection string in which nothing waits much longer than ``timeout_s``."""
    given = conninfo_to_dict(url)
    milliseconds = int(timeout_s * 1_000)
    options = (
        f"-c search_path={SCHEMA} -c statement_timeout={milliseconds} "
        f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout=60000 "
        # Rows and checkpoint go together: a crash of the server takes both back by a moment.
        "-c synchronous_commit=off -c plan_cache_mode=force_custom_plan -c jit=off"
    )
    defaults = {
        "application_name": "ledger-views",
        "connect_timeout": str(max(2, round(timeout_s))),
        "target_session_attrs": "read-write",
        "tcp_user_timeout": str(milliseconds),
        "keepalives_idle": "5",
        "keepalives_interval": "1",
        "keepalives_count": str(max(1, round(timeout_s))),
    }
    options = f"{given.pop('options', '')} {options}".strip()
    return make_conninfo("", **(defaults | given), options=options)
