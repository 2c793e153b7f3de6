"""The four gates: what must never happen, counted while 32 clients write through two processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import payload
import psycopg
from bench import Bench
from figures import Goal, told
from servers import Ledger, Server

from ledger import governance
from ledger.codec import decode
from ledger.in_force import InForce
from projections import public_view

WRITERS = 32
SETTLE_S = 1.0
RACES = 40
"""How many versions of one record are raced for."""
KILLS = 4
PATIENCE_S = 60
MISSED = Goal("gate", "events missed by a tailing reader, 32 writers, 2 processes", 0, True, "")  # noqa: FBT003 - at most
WINNERS = Goal("gate", "versions won twice, 32 racing clients, 2 processes", 0, True, "")  # noqa: FBT003 - at most
UNEQUAL = Goal("gate", "views that differ from the fold of their events", 0, True, "")  # noqa: FBT003 - at most
LOST = Goal("gate", "acknowledged but absent, or there twice, after SIGKILL", 0, True, "")  # noqa: FBT003 - at most


def measure(bench: Bench) -> None:
    """Run all four on PostgreSQL."""
    if not bench.wants("gates"):
        return
    ledger = bench.ledger("PostgreSQL")
    with ledger.serving(2) as server:
        written, missed = _tailed(bench, ledger, server)
        bench.report.judge(MISSED, [missed])
        attempts, twice = _raced(server)
        bench.report.judge(WINNERS, [twice])
    acknowledged, lost = _killed(bench, ledger)
    bench.report.judge(LOST, [lost])
    views, unequal = _folded(ledger)
    bench.report.judge(UNEQUAL, [unequal])
    bench.report.note(
        f"Gates: {written:,} events tailed, {attempts:,} attempts at {RACES} versions, "
        f"{acknowledged:,} acknowledged appends over {KILLS} kills of API processes and one of "
        f"PostgreSQL, {views:,} views folded anew."
    )


@dataclass
class Writer:
    """A client that appends new records over one connection until it is told to stop."""

    url: str
    key: str
    name: str
    bodies: list[bytes]
    acknowledged: dict[str, str] = field(default_factory=dict)
    """The record id that each idempotency key was answered with."""

    def write(self, ending: threading.Event) -> None:
        """Append; what fails is sent again under the same key, until it is acknowledged."""
        number = 0
        while not ending.is_set():
            number += 1
            key = f"{self.name}-{number}"
            body = random.choice(self.bodies)
            patience = time.monotonic() + PATIENCE_S
            while (record_id := self._once(key, body)) is None and time.monotonic() < patience:
                time.sleep(0.05)
            if record_id is None:
                raise SystemExit(f"{self.url} did not come back within {PATIENCE_S} s.")
            self.acknowledged[key] = record_id

    def _once(self, key: str, body: bytes) -> str | None:
        try:
            status, answer = posted(self._connected(), "/v1/records", body, self.key, key)
        except (OSError, http.client.HTTPException):
            self._connection = None
            return None
        if status == http.client.SERVICE_UNAVAILABLE:
            return None
        if status != http.client.CREATED:
            raise SystemExit(f"An append was answered {status}: {answer}")
        return str(answer["record_id"])

    _connection: http.client.HTTPConnection | None = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        return self._connection


def posted(
    connection: http.client.HTTPConnection, path: str, body: bytes, key: str, idempotency: str,
    **headers: str,
) -> tuple[int, Any]:  # fmt: skip
    """Send one append and return the status and the answer."""
    given = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {key}",
        "Idempotency-Key": f'"{idempotency}"',
    }
    connection.request("POST", path, body, given | headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@contextlib.contextmanager
def _writing(urls: tuple[str, ...], key: str, run: str) -> Iterator[list[Writer]]:
    """Let 32 clients write, spread over the servers, and wait for them at the end."""
    bodies = payload.bodies(200)
    writers = [Writer(urls[n % len(urls)], key, f"{run}-{n}", bodies) for n in range(WRITERS)]
    ending = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool:
        working = [pool.submit(writer.write, ending) for writer in writers]
        try:
            yield writers
        finally:
            ending.set()
        for work in working:
            work.result()


def _tailed(bench: Bench, ledger: Ledger, server: Server) -> tuple[int, int]:
    """Follow the log by position while it is written; what was passed by was missed."""
    seen: list[int] = []
    ending = threading.Event()
    start = ledger.head()

    def tail() -> None:
        query = (
            b"SELECT position FROM ledger.events WHERE position > %s ORDER BY position LIMIT 1000"
        )
        with psycopg.connect(str(ledger.where), autocommit=True) as connection:
            after, last = start, False
            while True:
                rows = connection.execute(query, (after,)).fetchall()
                if rows:
                    seen.extend(row[0] for row in rows)
                    after = rows[-1][0]
                elif last:
                    return
                else:
                    # One more look after the last writer is done.
                    last = ending.is_set()

    with ThreadPoolExecutor(1) as pool:
        tailing = pool.submit(tail)
        with _writing(server.urls, server.key, "tail"):
            time.sleep(2 * bench.seconds)
        ending.set()
        tailing.result()
    with psycopg.connect(str(ledger.where)) as connection:
        query = b"SELECT position FROM ledger.events WHERE position > %s"
        there = {row[0] for row in connection.execute(query, (start,))}
    return len(there), len(there.symmetric_difference(seen)) + len(seen) - len(set(seen))


def _raced(server: Server) -> tuple[int, int]:
    """Let all clients append to one record at the same version; each version has one winner."""
    record = server.send(payload.bodies(1)[0], "raced")["record_id"]
    won: Counter[int] = Counter()
    attempts = 0
    meeting = threading.Barrier(WRITERS)

    def race(n: int) -> list[tuple[int, int]]:
        connection = http.client.HTTPConnection(
            urlsplit(server.urls[n % len(server.urls)]).netloc, timeout=30
        )
        found = []
        for version in range(1, RACES + 1):
            meeting.wait(PATIENCE_S)
            correction = {
                "correction_type": "METADATA",
                "nature": "clarification",
                "public_note": f"Client {n} was here at version {version}.",
                "asserted_by": f"Client {n}",
            }
            status, _answer = posted(
                connection, f"/v1/records/{record}/corrections", json.dumps(correction).encode(),
                server.key, f"race-{n}-{version}", **{"If-Match": f'"{version}"'},
            )  # fmt: skip
            found.append((version, status))
        return found

    with ThreadPoolExecutor(WRITERS) as pool:
        for result in pool.map(race, range(WRITERS)):
            for version, status in result:
                attempts += 1
                won[version] += status == http.client.CREATED
    # A version without a winner is as wrong as one with two.
    return attempts, sum(won[version] != 1 for version in range(1, RACES + 1))


def _killed(bench: Bench, ledger: Ledger) -> tuple[int, int]:
    """Kill API processes and then PostgreSQL under load; look for what was acknowledged."""
    acknowledged: dict[str, str] = {}
    for kill in range(KILLS):
        with ledger.serving(1) as one, ledger.serving(1) as other:
            with _writing_until_killed(one, other, f"kill-{kill}") as writers:
                time.sleep(random.uniform(0.5, 2.0))
                os.kill(one.pids[0], signal.SIGKILL)
                time.sleep(0.2)
            for writer in writers:
                acknowledged |= writer.acknowledged
        told(f"killed an API process, {len(acknowledged):,} acknowledged so far")
    with ledger.serving() as server, _writing(server.urls, server.key, "postgres") as writers:
        time.sleep(SETTLE_S)
        bench.postgres.kill()
        time.sleep(0.2)
        bench.postgres.start()
        time.sleep(SETTLE_S)
    for writer in writers:
        acknowledged |= writer.acknowledged
    told(f"killed PostgreSQL, {len(acknowledged):,} acknowledged in all")
    with psycopg.connect(str(ledger.where)) as connection:
        query = b"SELECT originator_id FROM ledger.events WHERE originator_version = 1"
        there = Counter(row[0] for row in connection.execute(query))
        query = b"SELECT key, originator_id FROM ledger.idempotency"
        keys: dict[str, str] = dict(connection.execute(query).fetchall())
    # A retry may not have made a second record: what a key stands for is the record it was told.
    wrong = sum(
        there[record] != 1 or keys.get(key) != record for key, record in acknowledged.items()
    )
    return len(acknowledged), wrong


@contextlib.contextmanager
def _writing_until_killed(one: Server, other: Server, run: str) -> Iterator[list[Writer]]:
    """Let clients write to two servers, the first of which dies; its clients go to the second."""
    with _writing((one.urls[0], other.urls[0]), one.key, run) as writers:
        yield writers
        for writer in writers:
            writer.url = other.urls[0]


def _folded(ledger: Ledger) -> tuple[int, int]:
    """Fold every record's events anew and compare with the document that the append stored."""
    with psycopg.connect(str(ledger.where)) as connection:
        rows = connection.execute(
            "SELECT originator_id, originator_version, topic, state FROM ledger.events "
            "ORDER BY position"
        ).fetchall()
        stored: dict[str, bytes] = dict(
            connection.execute(
                "SELECT id, body FROM ledger.documents WHERE view = %s", (public_view.NAME,)
            ).fetchall()
        )
    in_force = InForce()
    pages: dict[str, Any] = {}
    for stream, version, topic, state in rows:
        event = decode(stream, version, topic, bytes(state))
        if stream == governance.STREAM:
            in_force = in_force.after(event)
        elif topic.startswith("actor."):
            continue
        else:
            pages[stream] = public_view.evolve(pages.get(stream), event)
    bodies = {record: public_view.body(page, in_force) for record, page in pages.items()}
    unequal = sum(bytes(stored.get(record, b"")) != body for record, body in bodies.items())
    return len(bodies), unequal + len(stored.keys() - bodies.keys())
