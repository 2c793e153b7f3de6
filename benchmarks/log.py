#!/usr/bin/env python3
"""How fast is the signed log?  Sequencer, merge delay, proofs, audit, and what writes pay for it.

    python benchmarks/log.py [--rows 200000] [--leaves 1000000] [--seconds 20] [--rounds 6]
        [--only sqlite,postgres] [--parts rates,delay,writes]

Prints one line for each figure, with its target.  Rates belong to one machine and day.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import given_postgres  # noqa: E402 - the tests' server, found by the line above
from ledger.service import Service, create  # noqa: E402
from ledger.settings import Settings  # noqa: E402
from ledger.store import Append, Store, adapters  # noqa: E402
from ledger.store.sealing import COMMITMENT_PREFIX  # noqa: E402
from ledger.transparency.auditing import Audit  # noqa: E402
from ledger.transparency.keeper import Keeper  # noqa: E402
from ledger.transparency.key_file import KeyFile  # noqa: E402
from ledger.transparency.publisher import Publisher  # noqa: E402
from ledger.transparency.reading import TreeReader  # noqa: E402
from ledger.transparency.sequencer import step  # noqa: E402
from ledger.vocabulary import Scope  # noqa: E402

BODY = b'{"actor":"pipeline","text":"%s"}'
SERVE = """
import sys, uvicorn
from ledger.service import Service
from ledger.settings import Settings
from ledger.transparency.keeper import Keeper
from ledger.web import create_app
if sys.argv[2] == "without":
    Keeper.start = lambda self, **_: None
uvicorn.run(create_app(Service(Settings())), port=int(sys.argv[1]), log_level="error")
"""


def say(what: str, figure: str, target: str = "") -> None:
    """Print one figure."""
    print(f"{what:<58} {figure:>22}  {target}", flush=True)


# ------------------------------------------------------------ ledgers


@contextmanager
def ledger(kind: str) -> Iterator[tuple[Settings, str]]:
    """Give the settings of a new ledger, and the address under which rows can be put into it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-log-"))
    try:
        if kind == "sqlite":
            settings = Settings(database_url=f"sqlite:///{folder}/ledger.db", data_dir=folder)
            create(settings)
            yield settings, settings.database_url
        else:
            made = given_postgres.fresh_database()
            settings = Settings(database_url=made.app_url, data_dir=folder)
            create(settings.model_copy(update={"database_url": made.owner_url}))
            KeyFile(settings.log_key).make("bench.example/log")
            yield settings, made.server.url(made.name)
    finally:
        shutil.rmtree(folder)


def opened(settings: Settings) -> Store:
    """Return the store of a ledger."""
    return adapters.open_store(
        settings.database_url, queue_max=10_000, idempotency_days=30, timeout_s=60
    )


def rows(start: int, count: int, text: bytes) -> Iterator[tuple[Any, ...]]:
    """Yield rows as the ledger would have sealed them."""
    state = BODY % text
    at = time.time_ns() // 1_000 + start
    for position in range(start, start + count):
        salt = os.urandom(32)
        commitment = hashlib.sha256(COMMITMENT_PREFIX + salt + state).digest()
        stream, version = f"01980f5e-6c1a-7cc3-9d3f-{position // 10:012x}", position % 10 + 1
        yield position, at + position, stream, version, "record.noted:1", state, salt, commitment


def fill(kind: str, place: str, start: int, count: int, text: bytes) -> None:
    """Put rows into the log, past the ledger, because only reading them is measured."""
    if kind == "sqlite":
        with closing(sqlite3.connect(place.removeprefix("sqlite:///"))) as file:
            file.execute("PRAGMA synchronous = OFF")
            file.executemany(
                "INSERT INTO events VALUES (?,?,?,?,?,?,?,?)", rows(start, count, text)
            )
            file.commit()
        return
    with psycopg.connect(place) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY ledger.events FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "int8", "text", "int8", "text", "bytea", "bytea", "bytea"])
            for row in rows(start, count, text):
                copy.write_row(row)
        cursor.execute("UPDATE ledger.head SET position = %s", (start + count - 1,))


# ------------------------------------------------------------ rates


def timed(work: Callable[[], Any]) -> float:
    """Return how long something took, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def sequenced(store: Store) -> int:
    """Put everything into the tree; returns how much there was."""
    taken = 0
    while count := step(store.tree):
        taken += count
    return taken


def rates(kind: str, count: int, leaves: int) -> None:
    """Measure the sequencer, the audit, and proofs from a large tree."""
    with ledger(kind) as (settings, place), opened(settings) as store:
        first = store.head() + 1
        fill(kind, place, first, count, b"x" * 660)
        began = time.perf_counter()
        taken = sequenced(store)
        rate = taken / (time.perf_counter() - began)
        say(f"{kind}: sequencer, {taken} rows of 700 B", f"{rate:,.0f} events/s", ">= 20,000")
        publisher = Publisher(store.tree, KeyFile(settings.log_key))
        publisher.publish()
        audited(kind, store)
        head = store.head()
        if leaves > head:
            fill(kind, place, head + 1, leaves - head, b"x")
            taken, seconds = leaves - head, timed(lambda: sequenced(store))
            say(f"{kind}: sequencer, {taken} rows of 40 B", f"{taken / seconds:,.0f} events/s")
        proofs(kind, store)


def audited(kind: str, store: Store) -> None:
    """Measure an audit of the whole log."""

    def pages() -> Iterator[list[Any]]:
        after = 0
        with asyncio.Runner() as runner:
            while page := runner.run(store.raw.log(after, 2**53, 5_000)):
                yield page
                after = page[-1][0]

    seconds = timed(lambda: Audit(store.tree).run(pages()))
    say(f"{kind}: audit", f"{store.head() / seconds:,.0f} rows/s", ">= 50,000")


def proofs(kind: str, store: Store) -> None:
    """Measure proofs from the tree as it is, without and with tiles that are held."""
    size = store.tree.head().size
    warm = TreeReader(store.tree)
    for held, reader in (("cold", lambda: TreeReader(store.tree)), ("warm", lambda: warm)):
        taken = {"inclusion": [], "consistency": []}  # type: dict[str, list[float]]
        for _ in range(400):
            n = random.randrange(1, size)
            here = reader()
            taken["inclusion"].append(timed(lambda n=n, here=here: here.inclusion(n, size)))
            here = reader()
            taken["consistency"].append(timed(lambda n=n, here=here: here.consistency(n, size)))
        for what, found in taken.items():
            p50, p99 = (statistics.quantiles(found, n=100)[at] * 1_000 for at in (49, 98))
            say(
                f"{kind}: {what} proof of {size} leaves, {held}",
                f"p50 {p50:.2f} p99 {p99:.2f} ms",
                "< 1 ms",
            )


# ------------------------------------------------------------ merge delay


def delay(kind: str, seconds: float) -> None:
    """Measure how long it takes from an append's answer to a checkpoint that covers it."""
    for per_second in (5, 200, 1_000):
        with ledger(kind) as (settings, _place), opened(settings) as store:
            keeper = Keeper(store, Publisher(store.tree, KeyFile(settings.log_key)))
            answered: dict[int, float] = {}
            covered: list[tuple[float, int]] = []
            note = covered.append
            keeper.published = lambda p, note=note: note((time.perf_counter(), p.size))
            keeper.start()
            appended(store, per_second, seconds, answered)
            while not covered or covered[-1][1] < max(answered):
                time.sleep(0.01)
            keeper.stop()
        delays, at = [], 0
        for position, when in sorted(answered.items()):
            while covered[at][1] < position:
                at += 1
            delays.append(max(0.0, covered[at][0] - when))
        p50, p99 = (statistics.quantiles(delays, n=100)[n] * 1_000 for n in (49, 98))
        say(
            f"{kind}: merge delay at {len(delays) / seconds:,.0f} appends/s",
            f"p50 {p50:.0f} p99 {p99:.0f} ms",
            "p99 < 2,000 ms",
        )


def appended(store: Store, per_second: int, seconds: float, answered: dict[int, float]) -> None:
    """Append at an even pace, and note when each append was answered."""
    lock = threading.Lock()

    def noted(future: Any) -> None:
        with lock:
            answered[future.result().position] = time.perf_counter()

    from eventsourcing.persistence import StoredEvent  # noqa: PLC0415 - one use

    began = time.perf_counter()
    futures = []
    for n in range(int(per_second * seconds)):
        wait = began + n / per_second - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        event = StoredEvent(str(uuid.uuid4()), 1, "record.noted:1", BODY % (b"x" * 660))
        future = store.append(Append((event,)))
        future.add_done_callback(noted)
        futures.append(future)
    for future in futures:
        future.result()


# ------------------------------------------------------------ what writes pay


def writes(kind: str, seconds: float, rounds: int) -> None:
    """Measure appends over HTTP with the log kept up by the same process, and without.

    Beside the median time of an append stands the processor time that the server took for each,
    which a busy machine does not blur.
    """
    for clients in (1, 8):
        arms: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
        for n in range(rounds):
            for arm in ("with", "without") if n % 2 else ("without", "with"):
                with ledger(kind) as (settings, _place):
                    arms[arm].append(written(settings, arm, clients, seconds))
        for at, what in enumerate(("p50", "processor time")):
            each = {arm: [one[at] * 1_000 for one in found] for arm, found in arms.items()}
            ratios = [a / b - 1 for a, b in zip(each["with"], each["without"], strict=True)]
            say(
                f"{kind}: append over HTTP, {clients} clients, {what}",
                " / ".join(f"{statistics.median(found):.2f}" for found in each.values()) + " ms",
                f"overhead {statistics.median(ratios):+.1%} (rounds "
                f"{', '.join(f'{ratio:+.0%}' for ratio in ratios)}); < 3 %",
            )


def written(settings: Settings, arm: str, clients: int, seconds: float) -> tuple[float, float]:
    """Return the median time of an append, and the processor time it took, both in seconds."""
    with Service(settings) as service:
        issued = service.ledger.issue_key("bench", (Scope.SUBMIT,), "operator")
        key, _ = asyncio.run(issued)
    port = given_postgres.free_port()
    env = {
        **os.environ,
        "LEDGER_DATABASE_URL": settings.database_url,
        "LEDGER_DATA_DIR": str(settings.data_dir),
    }
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(port), arm], env=env)  # noqa: S603
    try:
        return asyncio.run(_load(server.pid, port, key, clients, seconds))
    finally:
        server.terminate()
        server.wait()


def processor_s(pid: int) -> float:
    """Return the processor time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _load(pid: int, port: int, key: str, clients: int, seconds: float) -> tuple[float, float]:
    for _ in range(200):
        try:
            _, probe = await asyncio.open_connection("127.0.0.1", port)
            probe.close()
            break
        except OSError:
            await asyncio.sleep(0.05)
    found: list[float] = []
    count = [0]
    warm = time.perf_counter() + 1.0

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps({"content": {"title": "A study " * 20, "publisher": "P" * 200}}).encode()
        while time.perf_counter() < warm + seconds:
            head = (
                f"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
                f'Idempotency-Key: "{uuid.uuid4()}"\r\nContent-Type: application/json\r\n'
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + body)
            told = await reader.readuntil(b"\r\n\r\n")
            length = int(told.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if not told.startswith(b"HTTP/1.1 201"):
                raise SystemExit(told.decode())
            count[0] += 1
            if began > warm:
                found.append(time.perf_counter() - began)
        writer.close()

    before = processor_s(pid)
    await asyncio.gather(*(client() for _ in range(clients)))
    # What is still to be put into the tree is part of the price.
    await asyncio.sleep(0.5)
    return statistics.median(found), (processor_s(pid) - before) / count[0]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="sqlite,postgres")
    parser.add_argument("--parts", default="rates,delay,writes")
    asked = parser.parse_args()
    for kind in asked.only.split(","):
        if "rates" in asked.parts:
            rates(kind, asked.rows, asked.leaves)
        if "delay" in asked.parts:
            delay(kind, asked.seconds)
        if "writes" in asked.parts:
            writes(kind, asked.seconds, asked.rounds)


if __name__ == "__main__":
    main()
