"""How do many readers of one event loop share one connection?  Look-ups wait, and go together.

While one query is under way, whatever else is asked waits for the next, which serves all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any, Final

import psycopg

from ledger import errors
from ledger.store.postgres_connections import TROUBLE, check_async, sentence
from ledger.store.postgres_patience import PatientAsync

TOGETHER_MAX: Final = 500
"""Look-ups in one query."""

QUERIES: Final = {
    "documents": b"SELECT id, version, position, recorded_at, body FROM ledger.documents "
    b"WHERE view = %b AND id = ANY(%b)",
    "reservations": b"SELECT value, owner FROM ledger.reservations "
    b"WHERE kind = %b AND value = ANY(%b)",
    "idempotency": b"SELECT key, fingerprint, originator_id, version, position, recorded_at "
    b"FROM ledger.idempotency WHERE actor = %b AND key = ANY(%b)",
    "artifacts": b"SELECT digest, size_bytes FROM ledger.artifacts "
    b"WHERE %b = '' AND digest = ANY(%b)",
}
"""By table: what is asked of it, given one text that all keys share and the list of keys."""

Row = tuple[Any, ...]
Asked = tuple[str, str]
"""A table, and the text that the keys share: the view, the kind or the actor."""


class Desk:
    """Look-ups over one connection of the running loop; streams go over another."""

    def __init__(self, conninfo: str, place: str, timeout_s: float) -> None:
        """Connect at the first question."""
        self.loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._lookups = _Line(conninfo, place)
        self._streams = _Line(conninfo, place)
        self._one_stream = asyncio.Lock()
        self._waiting: dict[Asked, dict[str, asyncio.Future[Row | None]]] = defaultdict(dict)
        self._at_work: asyncio.Task[None] | None = None

    async def look_up(self, table: str, shared: str, key: str) -> Row | None:
        """Return the row of a key, or None; refuses StoreUnavailable."""
        waiting = self._waiting[table, shared]
        answer = waiting.get(key)
        if answer is None:
            answer = waiting[key] = self.loop.create_future()
        # A worker that is done has seen nothing waiting, and nothing can have come since: between
        # its last look and its end it does not give the loop away.
        if self._at_work is None or self._at_work.done():
            self._at_work = self.loop.create_task(self._work())
        # Shielded: others may wait for the same row.
        return await asyncio.shield(answer)

    async def _work(self) -> None:
        while self._waiting:
            asked, waiting = next(iter(self._waiting.items()))
            del self._waiting[asked]
            batch = dict(list(waiting.items())[:TOGETHER_MAX])
            if rest := dict(list(waiting.items())[TOGETHER_MAX:]):
                self._waiting[asked] = rest
            try:
                table, shared = asked
                async with asyncio.timeout(self._timeout_s):
                    rows = await self._lookups.fetch(QUERIES[table], (shared, list(batch)))
            except Exception as trouble:  # noqa: BLE001 - whoever waits has to hear of it
                refusal = self._lookups.refusal(trouble)
                if isinstance(trouble, TimeoutError):
                    # Whoever waited behind it has waited long enough too.
                    refused = [batch, *self._waiting.values()]
                    self._waiting.clear()
                else:
                    refused = [batch]
                for answer in (answer for waiting in refused for answer in waiting.values()):
                    if not answer.done():
                        answer.set_exception(refusal)
                        answer.exception()  # retrieved here: all who asked may have gone away
                continue
            found = {row[0]: row for row in rows}
            for key, answer in batch.items():
                if not answer.done():
                    answer.set_result(found.get(key))

    async def fetch(self, query: bytes, given: tuple[Any, ...]) -> list[Row]:
        """Return the rows of a query of its own; refuses StoreUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_s), self._one_stream:
                return await self._streams.fetch(query, given)
        except Exception as trouble:
            raise self._streams.refusal(trouble) from trouble

    async def close(self) -> None:
        """Answer what is asked, then let go of the connections."""
        if self._at_work is not None:
            await self._at_work
        await self._lookups.close()
        await self._streams.close()


class _Line:
    """One connection, made when it is needed and made again after it broke."""

    def __init__(self, conninfo: str, place: str) -> None:
        self._conninfo = conninfo
        self._place = place
        self._connection: psycopg.AsyncConnection[Row] | None = None

    async def fetch(self, query: bytes, given: tuple[Any, ...]) -> list[Row]:
        connection = self._connection
        if connection is None or connection.closed:
            # Tried again once: a connection that was idle while the server restarted is no news.
            connection = await self._connect()
        try:
            return await self._rows(connection, query, given)
        except TROUBLE:
            if not connection.closed:
                raise
        connection = await self._connect()
        return await self._rows(connection, query, given)

    async def _rows(
        self, connection: psycopg.AsyncConnection[Row], query: bytes, given: tuple[Any, ...]
    ) -> list[Row]:
        cursor = await connection.execute(query, given, prepare=True, binary=True)
        return await cursor.fetchall()

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        connection = await PatientAsync.connect(self._conninfo, autocommit=True)
        try:
            await check_async(connection, self._place)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    def refusal(self, trouble: Exception) -> errors.Refusal:
        if isinstance(trouble, errors.Refusal):
            return trouble
        why = (
            "it did not answer in time" if isinstance(trouble, TimeoutError) else sentence(trouble)
        )
        refusal = errors.StoreUnavailable(f"The database at {self._place} cannot be used: {why}.")
        refusal.__cause__ = trouble
        return refusal

    async def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None
