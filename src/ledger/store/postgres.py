"""How does the log live in PostgreSQL?  An adapter of the store port for many processes at once.

Every process has a writer's connection, a few for reading, and one that listens.  Opening needs no
server: while it is away everything is refused with StoreUnavailable, and works again by itself.

Like its neighbour for SQLite it is an ``ApplicationRecorder`` of the ``eventsourcing`` library.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)

from ledger import errors
from ledger.store import (
    Append,
    FactRow,
    IdempotencyKey,
    LogRow,
    Observer,
    Receipt,
    StoredDocument,
)
from ledger.store.postgres_connections import Connections, address, shown
from ledger.store.postgres_desk import QUERIES, Desk
from ledger.store.postgres_listener import Listener
from ledger.store.postgres_session import DAY_US, PostgresSession
from ledger.store.postgres_tree import PostgresTree
from ledger.store.raw import Raw
from ledger.store.rows import DOCUMENT, FACT, LOG, document_row, fact_row, log_row
from ledger.store.sealing import findable, made_before, microseconds, moment, ready, replayed
from ledger.store.subscription import CommitSubscription
from ledger.store.writer import Writer
from ledger.vocabulary import new_record_id, now

PAGE: Final = 1_000
FRESH_CHUNK: Final = 1_000
STAGED_FOR: Final = timedelta(days=1)
"""How old staged documents have to be to be the leftovers of a process that was killed."""
SWAP_S_MAX: Final = 600
_log = logging.getLogger("ledger.store")

_FACT: Final = FACT.encode()
_ROW: Final = LOG.encode()
_DOCUMENT: Final = DOCUMENT.encode()
_STAGE: Final = b"COPY ledger.fresh_documents (rebuild, %s) FROM STDIN" % _DOCUMENT
_FORGET_FRESH: Final = b"DELETE FROM ledger.fresh_documents WHERE rebuild < %b"
_STREAM: Final = (
    b"SELECT %s FROM ledger.events WHERE originator_id = %%b AND originator_version > "
    b"%%b::bigint ORDER BY originator_version LIMIT %%b::bigint" % _ROW
)
_LOG: Final = (
    b"SELECT %s FROM ledger.events WHERE position > %%b::bigint AND position <= %%b::bigint "
    b"ORDER BY position LIMIT %%b::bigint" % _ROW
)
_LAST: Final = 2**63 - 1


def open_store(
    url: str,
    *,
    queue_max: int = 1_000,
    idempotency_days: int = 30,
    timeout_s: float = 5.0,
    observe: Observer | None = None,
) -> PostgresStore:
    """Open a ledger; refuses NotInitialised and WrongSchema if the server can be asked."""
    store = PostgresStore(
        url,
        queue_max=queue_max,
        idempotency_days=idempotency_days,
        timeout_s=timeout_s,
        observe=observe,
    )
    try:
        store.check()
    except errors.StoreUnavailable as away:
        _log.warning("%s It is tried again with every request.", away)
    except BaseException:
        store.close()
        raise
    return store


class PostgresStore(ApplicationRecorder):
    """A ledger in a PostgreSQL database; ``ledger.store.Store`` says what each method promises."""

    def __init__(
        self,
        url: str,
        *,
        queue_max: int,
        idempotency_days: int,
        timeout_s: float,
        observe: Observer | None = None,
    ) -> None:
        """Connect to nothing yet; use ``open_store``, which checks the schema."""
        self._conninfo = address(url, timeout_s)
        self._place = shown(url)
        self._timeout_s = timeout_s
        self._key_life_us = idempotency_days * DAY_US
        self._session = PostgresSession(self._conninfo, self._place, idempotency_days, timeout_s)
        self._connections = Connections(self._conninfo, self._place, timeout_s)
        self.raw = Raw(self._ask, _STREAM, _LOG)
        self.tree = PostgresTree(self._connections)
        self._desk: Desk | None = None
        self._writer = Writer(self._session, queue_max, observe, patience_s=timeout_s)
        self._listener = Listener(self._conninfo, self._place, timeout_s)
        self._writer.woken.append(self._listener.hear)

    @property
    def waiting(self) -> int:
        """How many appends wait for the writer now."""
        return self._writer.waiting

    def check(self) -> None:
        """Refuse StoreUnavailable, NotInitialised or WrongSchema unless all is well."""
        self._read(b"SELECT 1 FROM ledger.head", ())

    # ------------------------------------------------------------ appends

    def append(self, append: Append) -> Future[Receipt]:
        """Queue an append; the future gives its receipt or a conflict.  Raises QueueFull."""
        return self._writer.submit(ready(append))

    def replace_documents(self, view: str, fresh: Iterable[StoredDocument], upto: int) -> None:
        """Swap a view for freshly folded documents, in one short transaction at the end."""
        rebuild = new_record_id()
        stream = iter(fresh)
        count = 0
        self._read(_FORGET_FRESH, (made_before(now() - STAGED_FOR),))
        try:
            while chunk := list(islice(stream, FRESH_CHUNK)):
                self._stage(rebuild, chunk)
                count += len(chunk)
            with self._connections.using(SWAP_S_MAX) as connection, connection.transaction():
                # It may take longer than a request may wait.
                connection.execute(f"SET LOCAL statement_timeout = '{SWAP_S_MAX}s'".encode())
                connection.execute(
                    "SELECT ledger.swap_documents(%s, %s, %s, %s)", (rebuild, view, upto, count)
                )
        except BaseException:
            with contextlib.suppress(errors.Refusal):
                self._read(b"DELETE FROM ledger.fresh_documents WHERE rebuild = %s", (rebuild,))
            raise

    def _stage(self, rebuild: str, chunk: Iterable[StoredDocument]) -> None:
        with (
            self._connections.using() as connection,
            connection.cursor() as cursor,
            cursor.copy(_STAGE) as copy,
        ):
            for one in chunk:
                at = microseconds(one.recorded_at)
                copy.write_row((rebuild, one.id, one.version, one.position, at, one.body))

    def subscribe_commits(self, wake: Callable[[int], None]) -> None:
        """Call ``wake(position)`` after each commit, of this process or another."""
        self._listener.woken.append(wake)
        self._listener.start()

    # ------------------------------------------------------------ reads for doors

    @contextlib.asynccontextmanager
    async def reading_here(self) -> AsyncIterator[None]:
        """Let the reads of the running loop go together over a connection of its own."""
        self._desk = desk = Desk(self._conninfo, self._place, self._timeout_s)
        try:
            yield
        finally:
            self._desk = None
            await desk.close()

    async def _look_up(self, table: str, shared: str, key: str) -> tuple[Any, ...] | None:
        if not findable(key) or not findable(shared):
            return None
        desk = self._desk_here()
        if desk is not None:
            return await desk.look_up(table, shared, key)
        rows = self._read(QUERIES[table], (shared, [key]))
        return rows[0] if rows else None

    def _desk_here(self) -> Desk | None:
        desk = self._desk
        return desk if desk is not None and desk.loop is asyncio.get_running_loop() else None

    async def _ask(self, query: bytes, given: tuple[Any, ...], _most: int = 1) -> list[Any]:
        desk = self._desk_here()
        if desk is not None:
            return await desk.fetch(query, given)
        return self._read(query, given)

    async def document(self, view: str, id_: str) -> StoredDocument | None:
        """Return the current document of a view, or None."""
        row = await self._look_up("documents", view, id_)
        return document_row(row) if row else None

    async def documents_of(self, view: str, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the current documents of a view by id; those that are not there are left out."""
        rows = await self._ask(QUERIES["documents"], (view, [*filter(findable, ids)]))
        return {row[0]: document_row(row) for row in rows}

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the stream that holds a reserved name, or None."""
        row = await self._look_up("reservations", kind, value)
        return row[1] if row else None

    async def owners_of(self, kind: str, values: Sequence[str]) -> dict[str, str]:
        """Return which streams hold reserved names, by name; free names are left out."""
        return dict(await self._ask(QUERIES["reservations"], (kind, [*filter(findable, values)])))

    async def artifact(self, digest: str) -> int | None:
        """Return the size in bytes of an artifact that is public, or None."""
        row = await self._look_up("artifacts", "", digest)
        return row[1] if row else None

    async def answered(self, idempotency: IdempotencyKey) -> Receipt | None:
        """Return the receipt that this key was answered with, or None; raises KeyConflict."""
        row = await self._look_up("idempotency", idempotency.actor, idempotency.key)
        if row is None or row[5] < microseconds(now()) - self._key_life_us:
            return None
        return replayed(idempotency, row[1], Receipt(row[2], row[3], row[4], moment(row[5])))

    async def stream(
        self, originator_id: str, after: int = 0, limit: int | None = None
    ) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""
        if not findable(originator_id):
            return []
        rows = await self._ask(_STREAM, (originator_id, after, limit))
        return [log_row(row) for row in rows]

    async def position(self) -> int:
        """Return the position of the last event, 0 for an empty log."""
        rows = await self._ask(b"SELECT position FROM ledger.head", ())
        position: int = rows[0][0]
        return position

    # ------------------------------------------------------------ reads in bulk

    def head(self) -> int:
        """Return the position of the last event, 0 for an empty log."""
        return self.max_notification_id() or 0

    def rows_of(self, originator_id: str, after: int = 0) -> list[LogRow]:
        """Return the rows of one stream with a version above ``after``, in order."""
        return [log_row(row) for row in self._read(_STREAM, (originator_id, after, None))]

    def rows(self, after: int = 0, upto: int | None = None, page: int = PAGE) -> Iterator[LogRow]:
        """Yield the log in order from position ``after`` + 1, reading ``page`` rows at a time."""
        while True:
            found = self._read(_LOG, (after, _LAST if upto is None else upto, page))
            yield from map(log_row, found)
            if len(found) < page:
                return
            after = found[-1][0]

    def rows_by_stream(self, upto: int, page: int = PAGE) -> Iterator[FactRow]:
        """Yield the facts up to position ``upto``, stream by stream, each in order."""
        after: tuple[str, int] = ("", 0)
        while True:
            found = self._read(
                b"SELECT %s FROM ledger.events WHERE (originator_id, originator_version) > "
                b"(%%b, %%b::bigint) AND position <= %%b::bigint "
                b"ORDER BY originator_id, originator_version LIMIT %%b::bigint" % _FACT,
                (*after, upto, page),
            )
            yield from map(fact_row, found)
            if len(found) < page:
                return
            after = (found[-1][2], found[-1][3])

    def documents(self, view: str) -> Iterator[StoredDocument]:
        """Yield every document of a view in order of id."""
        after = ""
        while True:
            found = self._read(
                b"SELECT %s FROM ledger.documents WHERE view = %%b AND id > %%b "
                b"ORDER BY id LIMIT %%b::bigint" % _DOCUMENT,
                (view, after, PAGE),
            )
            yield from map(document_row, found)
            if len(found) < PAGE:
                return
            after = found[-1][0]

    # ------------------------------------------------------------ the engine's recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **_kwargs: Any) -> list[int]:
        """Insert events as the engine does; raises its IntegrityError for a duplicate."""
        if not stored_events:
            return []
        wish = ready(Append(tuple(stored_events)))

        def write() -> list[int]:
            try:
                position = self._session.call([wish], dense=False)[0][4]
            except psycopg.errors.UniqueViolation as duplicate:
                raise IntegrityError(str(duplicate)) from duplicate
            return list(range(position - len(stored_events) + 1, position + 1))

        inserted: list[int] = self._writer.submit(write).result()
        return inserted

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """Return the events of one stream between two versions."""
        rows = self._read(
            b"SELECT originator_id, originator_version, topic, state FROM ledger.events "
            b"WHERE originator_id = %%b AND originator_version > %%b::bigint "
            b"AND originator_version <= %%b::bigint "
            b"ORDER BY originator_version %s LIMIT %%b::bigint" % (b"DESC" if desc else b"ASC"),
            (str(originator_id), -1 if gt is None else gt, _LAST if lte is None else lte, limit),
        )
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Return events of the log between two positions, of some topics or of all."""
        low = 0 if start is None else start if inclusive_of_start else start + 1
        rows = self._read(
            b"SELECT originator_id, originator_version, topic, state, position "
            b"FROM ledger.events WHERE position >= %b::bigint AND position <= %b::bigint "
            b"AND (%b OR topic = ANY(%b)) ORDER BY position LIMIT %b::bigint",
            (low, _LAST if stop is None else stop, not topics, list(topics), limit),
        )
        return [Notification(*row) for row in rows]

    def max_notification_id(self) -> int | None:
        """Return the position of the last event, None for an empty log."""
        position: int = self._read(b"SELECT position FROM ledger.head", ())[0][0]
        return position or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an iterator over the log that waits for commits."""
        self._listener.start()
        return CommitSubscription(self, gt, topics, self._listener.woken)

    # ------------------------------------------------------------ connections

    def _read(self, query: bytes, given: tuple[Any, ...]) -> list[Any]:
        with self._connections.using() as connection:
            cursor = connection.execute(query, given, binary=True)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Finish what is queued, then close every connection."""
        self._listener.close()
        self._writer.close()
        self._connections.close()
        self._session.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()
