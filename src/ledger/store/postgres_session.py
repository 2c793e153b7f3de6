"""How is a batch written to PostgreSQL?  One call of one function, which is one transaction.

Used by the writer's thread alone.  The function takes the ordering lock, judges and writes; see
``migrations/postgres``.  It judges a batch as a whole, so no two appends of a batch may touch the
same stream, name or key: ``together`` says how many may go.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Final, cast

import psycopg

from ledger import errors
from ledger.store import (
    GuardConflict,
    KeyConflict,
    Receipt,
    ReservationConflict,
    VersionConflict,
)
from ledger.store.postgres_arrays import Array, ArrayDumper, packed
from ledger.store.postgres_connections import (
    Connection,
    connected,
    sentence,
    unavailable,
    went_away,
)
from ledger.store.sealing import SealedAppend, alone, moment

DAY_US: Final = 24 * 60 * 60 * 1_000_000
FORGET_AFTER: Final = 500
"""Appends between two looks for idempotency keys that hold no longer."""
FORGET_MAX: Final = 1_000
"""How many are forgotten at a time: more than came, so that they never pile up."""
PAUSE_S: Final = 0.2
"""How long after a failed attempt to connect everything is refused without another."""

_LISTS: Final = (
    ("integer", "text", "bigint", "text", "bytea", "bytea", "bytea"),  # events
    ("integer", "text", "text", "bigint", "bytea"),  # documents
    ("integer", "text", "text", "text"),  # reservations
    ("integer", "text", "bigint"),  # guards
    ("integer", "text", "text", "text"),  # idempotency keys
    ("integer", "text", "bigint"),  # artifacts
)
_MARKS: Final = ", ".join(f"%b::{kind}[]" for group in _LISTS for kind in group)
_CALL: Final = (
    b"SELECT * FROM ledger.append(%%b::integer, %%b::bigint, %%b::boolean, %s)" % _MARKS.encode()
)
_ERASE: Final = (
    b"WITH appended AS MATERIALIZED (%s), erased AS MATERIALIZED (SELECT "
    b"ledger.erase(%%b::bigint, %%b::bytea) FROM appended WHERE outcome = 'appended') "
    b"SELECT appended.* FROM appended LEFT JOIN erased ON true" % _CALL
)
"""The append, and then the rewriting of the row, which looks for the erasure that was appended."""
_FORGET: Final = b"SELECT ledger.forget_keys(%b::bigint, %b::integer)"

POISON: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,  # an index entry that is too large, say
)
"""What one wish is to blame for; whatever else the database says is trouble of its own."""

Rows = list[tuple[Any, ...]]
_log = logging.getLogger("ledger.store")


class PostgresSession:
    """The writer's connection."""

    def __init__(self, conninfo: str, place: str, idempotency_days: int, timeout_s: float) -> None:
        """Connect at the first batch."""
        self._conninfo = conninfo
        self._timeout_s = timeout_s
        self._place = place
        self._key_life_us = idempotency_days * DAY_US
        self._connection: Connection | None = None
        self._until_forgetting = 0
        self._no_attempt_before = 0.0
        self._why_none: errors.Refusal = errors.StoreUnavailable()
        self.position = 0

    @property
    def connection(self) -> Connection:
        """The connection; there has to be one."""
        if self._connection is None:
            raise errors.StoreUnavailable
        return self._connection

    # ------------------------------------------------------------ the transaction

    def begin(self) -> None:
        """Connect if need be; the call itself is the transaction."""
        if self._connection is not None and not went_away(self._connection):
            return
        self.reopen()
        if time.monotonic() < self._no_attempt_before:
            raise type(self._why_none)(self._why_none.detail)
        try:
            connection = connected(self._conninfo, self._place, self._timeout_s)
        except errors.Refusal as why:
            self._no_attempt_before = time.monotonic() + PAUSE_S
            self._why_none = why
            raise
        connection.adapters.register_dumper(Array, ArrayDumper)
        self._connection = connection

    def commit(self) -> None:
        """Do nothing: the call was its own transaction.  Now and then forget old keys."""
        if self._until_forgetting <= 0:
            self._until_forgetting = FORGET_AFTER
            # The batch stands already, so nothing that fails here may fail it.
            with contextlib.suppress(psycopg.Error):
                self.connection.execute(_FORGET, (self._key_life_us, FORGET_MAX))

    def rollback(self) -> None:
        """Do nothing: a call that fails has undone itself."""

    def reopen(self) -> None:
        """Let go of a connection that may be broken; the next batch makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go of the connection."""
        self.reopen()

    def is_trouble(self, error: Exception) -> bool:
        """Whether the database failed rather than one wish."""
        return isinstance(error, (psycopg.Error, errors.Refusal)) and not isinstance(error, POISON)

    def is_undone(self, error: Exception) -> bool:
        """Whether nothing can have been carried out: not so if the connection broke in the call."""
        return not self.is_trouble(error)

    # ------------------------------------------------------------ what is written

    def together(self, works: Sequence[SealedAppend | Callable[[], Any]]) -> int:
        """Return how many of the works, from the first, one call can judge."""
        touched: set[tuple[str, ...]] = set()
        written: set[str] = set()
        guarded: set[str] = set()
        for n, work in enumerate(works[: alone(works)]):
            if not isinstance(work, SealedAppend):
                return max(n, 1)
            append = work.append
            streams = {str(event.originator_id) for event in append.events}
            names: set[tuple[str, ...]] = {("name", r.kind, r.value) for r in append.reservations}
            names |= {("document", d.view, d.id) for d in append.documents}
            if append.idempotency is not None:
                names.add(("key", append.idempotency.actor, append.idempotency.key))
            guards = {stream for stream, _version in append.guards}
            if streams & written or streams & guarded or guards & written or names & touched:
                return n
            written |= streams
            guarded |= guards
            touched |= names
        return alone(works)

    def carry_out(self, works: Sequence[SealedAppend | Callable[[], Any]]) -> list[Any]:
        """Carry out works that go together; returns each one's answer, or what refuses it."""
        if isinstance(works[0], SealedAppend):
            return self._append(cast("Sequence[SealedAppend]", works))
        return [self._attempt(cast("Callable[[], Any]", work)) for work in works]

    def _attempt(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as why:
            if self.is_trouble(why):
                raise
            return why

    def _append(self, wishes: Sequence[SealedAppend]) -> list[Receipt | Exception]:
        return [_answer(wish, row) for wish, row in zip(wishes, self.call(wishes), strict=True)]

    def call(self, wishes: Sequence[SealedAppend], *, dense: bool = True) -> Rows:
        """Call the function with a batch; returns its row for each append, in order.

        Unless ``dense``, a version that is taken raises psycopg's UniqueViolation.
        """
        gathered = _gathered(wishes)
        given = [
            column
            for kinds, rows in zip(_LISTS, gathered, strict=True)
            for column in map(packed, kinds, zip(*rows, strict=True) if rows else repeat(()))
        ]
        connection = self.connection
        asked: tuple[Any, ...] = (len(wishes), self._key_life_us, dense, *given)
        query = _CALL
        if (erasure := wishes[0].append.erasure) is not None:
            query, asked = _ERASE, (*asked, erasure.position, erasure.body)
        try:
            answered = connection.execute(query, asked, prepare=True, binary=True).fetchall()
        except POISON:
            raise
        except psycopg.Error as trouble:
            if not connection.closed:
                raise unavailable(trouble, self._place) from trouble
            message = (
                f"The connection to the database at {self._place} broke in the middle of an append "
                f"({sentence(trouble)}). Whether it was written is not known: try it again with "
                "the same Idempotency-Key."
            )
            raise errors.StoreUnavailable(message) from trouble
        self._until_forgetting -= len(wishes)
        self.position = max([self.position, *(row[4] for row in answered if row[4])])
        return answered


def _gathered(wishes: Iterable[SealedAppend]) -> list[Rows]:
    events: Rows = []
    documents: Rows = []
    reservations: Rows = []
    guards: Rows = []
    keys: Rows = []
    artifacts: Rows = []
    for n, wish in enumerate(wishes, 1):
        append = wish.append
        events += [
            (n, str(e.originator_id), e.originator_version, e.topic, e.state, salt, commitment)
            for e, salt, commitment in wish.events
        ]
        # Of several states of a document the last is what stands.
        last = {(d.view, d.id): d for d in append.documents}
        documents += [(n, d.view, d.id, d.version, d.body) for d in last.values()]
        reservations += [(n, r.kind, r.value, r.owner) for r in append.reservations]
        guards += [(n, stream, version) for stream, version in append.guards]
        artifacts += [(n, a.digest, a.size_bytes) for a in append.artifacts]
        if (key := append.idempotency) is not None:
            keys.append((n, key.actor, key.key, key.fingerprint))
    return [events, documents, reservations, guards, keys, artifacts]


def _answer(wish: SealedAppend, row: tuple[Any, ...]) -> Receipt | Exception:
    _number, outcome, stream, version, position, recorded_at, kind, value, owner = row
    key = wish.append.idempotency
    match outcome:
        case "appended" | "replayed":
            at = moment(recorded_at)
            return Receipt(stream, version, position, at, replayed=outcome == "replayed")
        case "key":
            return KeyConflict(key.key if key else "")
        case "guard":
            return GuardConflict(stream)
        case "reserved":
            wanted = next(
                r
                for r in wish.append.reservations
                if (r.kind, r.value) == (kind, value) and r.owner != owner
            )
            return ReservationConflict(wanted, owner)
        case _:
            return VersionConflict(stream)
