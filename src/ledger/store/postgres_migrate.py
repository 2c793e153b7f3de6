"""How does a PostgreSQL database become a ledger?  Its migrations, and who may do what.

The owner of the database runs this once, through ``ledger init``; it makes the schemas ``ledger``
and ``ledger_views``.  The processes that serve log in as a role of their own, a member of the role
``ledger_app``, which may read the ledger's tables, call its functions, and keep the projections'
tables; it may not insert, update or delete events.  Where there is no such role and the owner may
not create one, the owner itself is the only user; the triggers bind it all the same.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Final

import psycopg

from ledger import errors
from ledger.store.migrations import steps
from ledger.store.postgres_connections import Connection, owners_address, shown, unavailable

APP_ROLE: Final = "ledger_app"
_LOCK: Final = 0x4C454447
"""The advisory lock under which a database is migrated: ``LEDG``."""

_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS ledger.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_GRANTS: Final = (
    f"GRANT USAGE ON SCHEMA ledger TO {APP_ROLE}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO {APP_ROLE}",
    f"GRANT INSERT, DELETE ON ledger.fresh_documents TO {APP_ROLE}",
    f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger TO {APP_ROLE}",
    f"GRANT USAGE, CREATE ON SCHEMA ledger_views TO {APP_ROLE}",
)
_log = logging.getLogger("ledger.store")


def migrate(url: str) -> int:
    """Bring a database to this program's schema; returns the version found, 0 for an empty one.

    The roles get their rights whenever the owner calls.  Refuses WrongSchema for a newer or an
    altered one, and StoreUnavailable.
    """
    place = shown(url)
    try:
        with psycopg.connect(owners_address(url), autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            found = _version(connection, place)
            for step in steps("postgres")[found:]:
                with connection.transaction():
                    connection.execute(step.statements.encode())
                    connection.execute(_HISTORY)
                    connection.execute(
                        "INSERT INTO ledger.schema_migrations (version, name, sha256) "
                        "VALUES (%s, %s, %s)",
                        (step.version, step.name, step.digest),
                    )
            if _owned(connection):
                _grant(connection)
    except psycopg.Error as trouble:
        raise unavailable(trouble, place) from trouble
    return found


def owned(url: str) -> bool:
    """Whether the role of an address owns the ledger there; refuses StoreUnavailable."""
    try:
        with psycopg.connect(owners_address(url), autocommit=True) as connection:
            return _owned(connection)
    except psycopg.Error as trouble:
        raise unavailable(trouble, shown(url)) from trouble


def _owned(connection: Connection) -> bool:
    sql = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'ledger'"
    row = connection.execute(sql).fetchone()
    return row is not None and bool(row[0])


def _version(connection: Connection, place: str) -> int:
    try:
        applied = connection.execute(
            "SELECT version, sha256 FROM ledger.schema_migrations ORDER BY version"
        ).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    known = [(step.version, step.digest) for step in steps("postgres")]
    if applied != known[: len(applied)]:
        message = (
            f"The ledger at {place} was made by other schema files than this program has "
            f"(it is at version {applied[-1][0]}): use the program that made it."
        )
        raise errors.WrongSchema(message)
    return len(applied)


def _grant(connection: Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).fetchone()
    if known is None:
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            try:
                connection.execute(f"CREATE ROLE {APP_ROLE} NOLOGIN")
            except psycopg.errors.InsufficientPrivilege:
                _log.info("There is no role %s, and no right to create it.", APP_ROLE)
                return
    for grant in _GRANTS:
        connection.execute(grant)
