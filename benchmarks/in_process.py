"""The arms without HTTP: what a store alone takes, each on a fresh file, for some seconds."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from baseline import Records, Research
from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent
from figures import Measured
from payload import BODY

from ledger.store import Append, Document, IdempotencyKey, Reservation
from ledger.store.sqlite import create, open_store

APPENDERS = 32


def raw(folder: Path, seconds: float) -> Measured:
    """One connection of SQLite: insert a row, commit, again.  The limit of one commit per event."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE events (position INTEGER PRIMARY KEY, id TEXT, version INTEGER, topic TEXT, "
        "state BLOB, UNIQUE (id, version))"
    )

    def once() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO events (id, version, topic, state) VALUES (?, 1, 't:1', ?)",
            (str(uuid.uuid4()), BODY),
        )
        connection.execute("COMMIT")

    measured = _threads(once, seconds, 1)
    connection.close()
    return measured


def library(folder: Path, seconds: float) -> Measured:
    """The library's default SQLite recorder through ``Application.save``."""
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "lib.db")}
    application: Application[uuid.UUID] = Records(env=env)
    body = BODY.decode()
    measured = _threads(lambda: application.save(Research(body)), seconds, APPENDERS)
    application.close()
    return measured


def ours(folder: Path, seconds: float) -> Measured:
    """Our store from threads, each append with its document, reservation and idempotency key."""
    create(folder / "ours.db")
    with open_store(folder / "ours.db") as store:
        return _threads(lambda: store.append(_append()).result(), seconds, APPENDERS)


def ours_from_a_loop(folder: Path, seconds: float) -> Measured:
    """The same from tasks of one event loop, as the server does it."""
    create(folder / "loop.db")

    async def run() -> Measured:
        took: list[float] = []
        end = time.perf_counter() + seconds

        async def appender() -> None:
            while (start := time.perf_counter()) < end:
                await asyncio.wrap_future(store.append(_append()))
                took.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(appender() for _n in range(APPENDERS)))
        return _measured(took, time.perf_counter() - start)

    with open_store(folder / "loop.db") as store:
        return asyncio.run(run())


def _append() -> Append:
    # Ids ordered by time, as the ledger's own are.
    name = f"{time.time_ns():016x}{os.urandom(8).hex()}"
    return Append(
        events=(StoredEvent(name, 1, "record.submitted:1", BODY),),
        documents=(Document("public_view", name, 1, BODY),),
        reservations=(Reservation("handle", name, name),),
        guards=(("ledger", 0),),
        idempotency=IdempotencyKey("actor", name, "f" * 64),
    )


def _threads(once: Callable[[], object], seconds: float, count: int) -> Measured:
    def appender() -> list[float]:
        took = []
        while (start := time.perf_counter()) < end:
            once()
            took.append(time.perf_counter() - start)
        return took

    with ThreadPoolExecutor(count) as pool:
        start = time.perf_counter()
        end = start + seconds
        working = [pool.submit(appender) for _n in range(count)]
        # A thread that failed ends the run here, rather than leaving a flattering figure.
        took = [t for work in working for t in work.result()]
        return _measured(took, time.perf_counter() - start)


def _measured(took: list[float], elapsed: float) -> Measured:
    cuts = statistics.quantiles(took, n=100)
    return Measured(len(took) / elapsed, cuts[49] * 1_000, cuts[98] * 1_000)
