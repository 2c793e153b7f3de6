"""How is a log restored on PostgreSQL?  By the owner, in one transaction under the ordering lock.

The role that serves may insert no event, so it can restore none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import psycopg

from ledger import errors
from ledger.store import postgres
from ledger.store.postgres_connections import Connection, owners_address, shown, unavailable
from ledger.store.postgres_migrate import migrate
from ledger.store.restoring import BATCH, OUT_OF_LINE, NotALog, Restored, in_line, out_of_line
from ledger.store.sealing import microseconds

_EVENTS: Final = (
    "COPY ledger.events (position, recorded_at, originator_id, originator_version, topic, state, "
    "salt, payload_commitment) FROM STDIN (FORMAT BINARY)"
)
_KINDS: Final = ("int8", "int8", "text", "int8", "text", "bytea", "bytea", "bytea")
_NAMES: Final = (
    "INSERT INTO ledger.reservations (kind, value, owner) SELECT kind, value, owner "
    "FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) "
    "AS given (position, kind, value, owner) ORDER BY position ON CONFLICT DO NOTHING"
)
_TAKEN: Final = (
    "SELECT given.position, kind, value, held.owner "
    "FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) "
    "AS given (position, kind, value, owner) JOIN ledger.reservations AS held USING (kind, value) "
    "WHERE given.owner <> held.owner ORDER BY given.position LIMIT 1"
)
_ARTIFACTS: Final = (
    "INSERT INTO ledger.artifacts (position, digest, size_bytes) SELECT * "
    "FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS given (position, digest, size_bytes) "
    "ORDER BY position ON CONFLICT DO NOTHING"
)
_LINE: Final = re.compile(r"COPY events, line (\d+)")


@contextlib.contextmanager
def restored(url: str, rows: Iterable[Restored]) -> Iterator[postgres.PostgresStore]:
    """Give a ledger with these rows, made if there was none; ``url`` logs in as the owner.

    Refuses LedgerNotEmpty, StoreUnavailable, WrongSchema; raises NotALog.  Then no row is left.
    """
    place = shown(url)
    migrate(url)
    try:
        with psycopg.connect(owners_address(url)) as connection:
            _write(connection, rows, place)
    except psycopg.Error as trouble:
        raise unavailable(trouble, place) from trouble
    with postgres.open_store(url) as store:
        yield store


def _write(connection: Connection, rows: Iterable[Restored], place: str) -> None:
    """Write the rows; they are committed when the caller leaves the connection's block."""
    head = connection.execute("SELECT position FROM ledger.head FOR UPDATE").fetchone()
    if head is None or head[0] > 0:
        held = "" if head is None else f" holds {head[0]} events"
        raise errors.LedgerNotEmpty(f"The ledger at {place}{held}.")
    stream = in_line(rows)
    last: Restored | None = None
    while batch := list(islice(stream, BATCH)):
        _copy(connection, batch)
        _names(connection, batch)
        _artifacts(connection, batch)
        last = batch[-1]
    wrong = connection.execute(OUT_OF_LINE.format(events="ledger.events").encode()).fetchone()
    if wrong is not None:
        raise out_of_line(*wrong)
    if last is not None:
        connection.execute(
            "UPDATE ledger.head SET position = %s, recorded_at = %s",
            (last.row.position, microseconds(last.row.recorded_at)),
        )
        connection.execute("SELECT pg_notify('ledger_log', %s)", (str(last.row.position),))


def _copy(connection: Connection, batch: Sequence[Restored]) -> None:
    try:
        with connection.cursor() as cursor, cursor.copy(_EVENTS) as copy:
            copy.set_types(_KINDS)
            for row in (one.row for one in batch):
                copy.write_row(
                    (
                        row.position,
                        microseconds(row.recorded_at),
                        row.originator_id,
                        row.originator_version,
                        row.topic,
                        row.state,
                        row.salt,
                        row.payload_commitment,
                    )
                )
    except psycopg.IntegrityError as trouble:
        found = _LINE.search(trouble.diag.context or "")
        position = batch[int(found[1]) - 1 if found else 0].row.position
        why = trouble.diag.message_detail or trouble.diag.message_primary or "it does not fit"
        raise NotALog(position, why) from trouble


def _names(connection: Connection, batch: Sequence[Restored]) -> None:
    names = [(one.row.position, name) for one in batch for name in one.reservations]
    given = (
        [position for position, _name in names],
        [name.kind for _position, name in names],
        [name.value for _position, name in names],
        [name.owner for _position, name in names],
    )
    connection.execute(_NAMES, given)
    taken = connection.execute(_TAKEN, given).fetchone()
    if taken is not None:
        position, kind, value, owner = taken
        raise NotALog(position, f"the {kind} {value} belongs to {owner}")


def _artifacts(connection: Connection, batch: Sequence[Restored]) -> None:
    found = [(one.row.position, each) for one in batch for each in one.artifacts]
    given = (
        [position for position, _each in found],
        [each.digest for _position, each in found],
        [each.size_bytes for _position, each in found],
    )
    connection.execute(_ARTIFACTS, given)
