"""How is PostgreSQL reached?  Addresses with limits on waiting, checked schemas, plain sentences.

``psycopg`` and libpq do the talking: several hosts, failover and TLS work as their documentation
says.  Whatever goes wrong on the way becomes a refusal of one sentence that names no password.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger import errors
from ledger.store.migrations import steps

READERS_MAX: Final = 8
"""Connections of one process for reads outside the event loop."""
TROUBLE: Final = (psycopg.OperationalError, psycopg.InterfaceError)

_VERSION: Final = "SELECT max(version) FROM ledger.schema_migrations"
_MISSING: Final = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)

Connection = psycopg.Connection[tuple[Any, ...]]


def address(url: str, timeout_s: float) -> str:
    """Return a connection string in which nothing waits longer than ``timeout_s``."""
    given = conninfo_to_dict(url)
    milliseconds = max(1, int(timeout_s * 1_000))
    limits = (
        f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={milliseconds}"
    )
    # What the URL itself says stands: it comes last, or is kept.
    options = f"{limits} {given.pop('options', '')}".strip()
    defaults = {
        "application_name": "ledger",
        "connect_timeout": str(max(2, round(timeout_s))),
        "target_session_attrs": "read-write",
        "tcp_user_timeout": str(milliseconds),
        "keepalives_idle": "5",
        "keepalives_interval": "1",
        "keepalives_count": str(max(1, round(timeout_s))),
    }
    return make_conninfo("", **(defaults | given), options=options)


def shown(url: str) -> str:
    """Return where an address points to, for messages: hosts, ports and database alone."""
    given = conninfo_to_dict(url)
    hosts = str(given.get("host", "localhost")).split(",")
    ports = str(given.get("port", "5432")).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
    return f"{places}/{given.get('dbname', '')}"


def sentence(trouble: BaseException) -> str:
    """Return what went wrong, in the database's own words on one line."""
    if isinstance(trouble, psycopg.Error) and trouble.diag.message_primary:
        return str(trouble.diag.message_primary)
    lines = [line.strip() for line in str(trouble).splitlines() if line.strip()]
    return (lines[-1] if lines else type(trouble).__name__).rstrip(".")


def unavailable(trouble: BaseException, place: str) -> errors.StoreUnavailable:
    """Return the refusal for a database that cannot be reached or used."""
    return errors.StoreUnavailable(f"The database at {place} cannot be used: {sentence(trouble)}.")


def connect(conninfo: str) -> Connection:
    """Return a connection on which every statement is its own transaction; raises psycopg.Error."""
    return psycopg.connect(conninfo, autocommit=True, prepare_threshold=1)


def check(connection: Connection, place: str) -> None:
    """Refuse a database without a ledger of this program's schema: NotInitialised, WrongSchema."""
    try:
        row = connection.execute(_VERSION).fetchone()
    except _MISSING as missing:
        raise _not_initialised(place) from missing
    _demand(row, place)


async def check_async(connection: psycopg.AsyncConnection[tuple[Any, ...]], place: str) -> None:
    """Do as ``check`` does."""
    try:
        row = await (await connection.execute(_VERSION)).fetchone()
    except _MISSING as missing:
        raise _not_initialised(place) from missing
    _demand(row, place)


def _not_initialised(place: str) -> errors.NotInitialised:
    message = f"There is no ledger in the database at {place}: run ledger init first."
    return errors.NotInitialised(message)


def _demand(row: tuple[Any, ...] | None, place: str) -> None:
    needed = steps("postgres")[-1].version
    found = row[0] if row else None
    if found != needed:
        message = (
            f"The ledger at {place} has schema version {found}, this program has {needed}: "
            + ("run ledger init to migrate it." if (found or 0) < needed else "use its program.")
        )
        raise errors.WrongSchema(message)


class Connections:
    """A few connections that threads share; one that breaks is thrown away with its idle likes."""

    def __init__(self, conninfo: str, place: str, timeout_s: float) -> None:
        """Open nothing yet."""
        self._conninfo = conninfo
        self._place = place
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(READERS_MAX)
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def using(self) -> Iterator[Connection]:
        """Give a connection to this thread alone; refuses StoreUnavailable, WrongSchema."""
        if not self._free.acquire(timeout=self._timeout_s):
            raise errors.StoreUnavailable(
                f"All {READERS_MAX} connections to {self._place} are busy."
            )
        try:
            connection = self._take()
            try:
                yield connection
            except TROUBLE as trouble:
                connection.close()
                self._drop_idle()
                raise unavailable(trouble, self._place) from trouble
            except psycopg.errors.InsufficientPrivilege as trouble:
                raise unavailable(trouble, self._place) from trouble
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise errors.StoreUnavailable
            if self._idle:
                return self._idle.pop()
        try:
            connection = connect(self._conninfo)
        except TROUBLE as trouble:
            raise unavailable(trouble, self._place) from trouble
        try:
            check(connection, self._place)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not connection.closed and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
        self._drop_idle()
