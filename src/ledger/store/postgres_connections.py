"""How is PostgreSQL reached?  Addresses with limits on waiting, checked schemas, plain sentences.

``psycopg`` and libpq do the talking: several hosts, failover and TLS work as their documentation
says.  Whatever goes wrong on the way becomes a refusal of one sentence that names no password.
"""

from __future__ import annotations

import contextlib
import re
import select
import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger import errors
from ledger.store.migrations import steps
from ledger.store.postgres_patience import Patient

READERS_MAX: Final = 8
"""Connections of one process for reads outside the event loop."""
TROUBLE: Final = (psycopg.OperationalError, psycopg.InterfaceError)

_VERSION: Final = "SELECT max(version) FROM ledger.schema_migrations"
_MISSING: Final = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)

# One line of what libpq says when it has tried every host of an address.
_ATTEMPT: Final = re.compile(r"- host: '(.*?)', port: '(.*?)'.* failed: (.*)")

Connection = psycopg.Connection[tuple[Any, ...]]
GRACE_S: Final = 1.0
"""How long after the server's own time limit a call is given up, in seconds."""


def address(url: str, timeout_s: float) -> str:
    """Return a connection string in which nothing waits longer than ``timeout_s``."""
    given = _parts(url)
    milliseconds = max(1, int(timeout_s * 1_000))
    limits = (
        f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={milliseconds} "
        # What is judged after the ordering lock was taken has to be what was committed before it.
        r"-c default_transaction_isolation=read\ committed"
    )
    # What the URL itself says stands: it comes last, or is kept.
    options = f"{limits} {given.pop('options', '')}".strip()
    defaults = {
        "application_name": "ledger",
        # For each host; less than two seconds it does not take.
        "connect_timeout": str(max(2, round(timeout_s / _hosts(given)))),
        "target_session_attrs": "read-write",
        "tcp_user_timeout": str(milliseconds),
        "keepalives_idle": "5",
        "keepalives_interval": "1",
        "keepalives_count": str(max(1, round(timeout_s))),
    }
    return make_conninfo("", **(defaults | given), options=options)


def shown(url: str) -> str:
    """Return where an address points to, for messages: hosts, ports and database alone."""
    given = _parts(url)
    hosts = str(given.get("host", "localhost")).split(",")
    ports = str(given.get("port", "5432")).split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
    return f"{places}/{given.get('dbname', '')}"


def owners_address(url: str) -> str:
    """Return a connection string for migrations: they may take their time, connecting may not."""
    given = _parts(url)
    defaults = {
        "application_name": "ledger init",
        "connect_timeout": "10",
        "target_session_attrs": "read-write",
    }
    return make_conninfo("", **(defaults | given))


def _parts(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        # Not what was given nor what libpq says of it: either may hold the password.
        message = (
            "The address of the database cannot be read: it is postgresql://user@host/database."
        )
        raise errors.StoreUnavailable(message) from None


def _hosts(given: dict[str, Any]) -> int:
    return len(str(given.get("host", "")).split(","))


def sentence(trouble: BaseException) -> str:
    """Return what went wrong, in the database's own words on one line."""
    if isinstance(trouble, psycopg.Error) and trouble.diag.message_primary:
        return str(trouble.diag.message_primary)
    said = str(trouble).strip()
    if attempts := _ATTEMPT.findall(said):
        return "; ".join(f"{host}:{port}: {why}" for host, port, why in attempts)
    return (said.splitlines() or [type(trouble).__name__])[0].rstrip(".")


def unavailable(trouble: BaseException, place: str) -> errors.StoreUnavailable:
    """Return the refusal for a database that cannot be reached or used."""
    return errors.StoreUnavailable(f"The database at {place} cannot be used: {sentence(trouble)}.")


def went_away(connection: Connection) -> bool:
    """Whether an idle connection is of no more use: nobody speaks to it unasked but to say so."""
    if connection.closed:
        return True
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))


def connected(conninfo: str, place: str, timeout_s: float) -> Patient:
    """Return a connection to a ledger of this program; refuses whatever is in the way."""
    try:
        connection = Patient.to(conninfo, timeout_s + GRACE_S)
        try:
            check(connection, place)
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as trouble:
        raise unavailable(trouble, place) from trouble
    return connection


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
        self._idle: list[Patient] = []
        self._free = threading.BoundedSemaphore(READERS_MAX)
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def using(self, limit_s: float | None = None) -> Iterator[Connection]:
        """Give a connection to this thread alone; refuses StoreUnavailable, WrongSchema.

        ``limit_s`` is for calls that may take longer than others.
        """
        if not self._free.acquire(timeout=self._timeout_s):
            raise errors.StoreUnavailable(
                f"All {READERS_MAX} connections to {self._place} are busy."
            )
        try:
            connection = self._take()
            connection.limit_s = self._timeout_s + GRACE_S if limit_s is None else limit_s
            try:
                yield connection
            except (psycopg.DataError, psycopg.IntegrityError):
                raise
            except psycopg.Error as trouble:
                connection.close()
                raise unavailable(trouble, self._place) from trouble
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _take(self) -> Patient:
        with self._lock:
            if self._closed:
                raise errors.StoreUnavailable
            while self._idle:
                connection = self._idle.pop()
                if not went_away(connection):
                    return connection
                connection.close()
        return connected(self._conninfo, self._place, self._timeout_s)

    def _give_back(self, connection: Patient) -> None:
        with self._lock:
            if not connection.closed and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
