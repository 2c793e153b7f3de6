"""P1 to P3: how fast views follow the log, and how fast they are built anew from it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import baseline
import logs
import payload
import psycopg
from bench import STORES, Bench
from figures import Arm, Goal, Measured
from servers import Ledger, run

P1 = Goal("P1", "catch-up on PostgreSQL, 1 row, nothing to fold: our runner / the library's", 15)
P1_VIEWS = Goal("P1", "… our runner with 4 views and all their rules / the library's, 1 row", None)
P2 = {"SQLite": 0.10, "PostgreSQL": 0.20}
P3_S_MAX = 15
LENGTH = 5
"""Events of each record."""
APART = 3
"""Events of each record where no batch may hold two of one record: a batch has up to 5,000 events,
as many records are at work at a time, and a log of five each would be made anew, not followed."""
RUNNER_EVENTS = 9_000
"""How many events the library's runner is given: it goes one by one, so more tell nothing more."""
PAGE = 1_000
ONE_ROW = Path(__file__).with_name("one_row.py")
REBUILT = re.compile(r" from \d+ events in ([\d.]+) s")
BUILT: dict[str, tuple[str, ...]] = {"all 5 views": (), "public_view alone": ("public_view",)}
"""What is built anew, and how ``ledger rebuild`` is asked for it."""


def measure(bench: Bench) -> None:
    """P1 and P2 on logs of everyday size."""
    if bench.wants("P1"):
        _catch_up(bench)
    for store in STORES:
        if bench.wants("P2"):
            _follow_and_rebuild(bench, store)


def rebuild_many(bench: Bench) -> None:
    """P3: a long log, built anew once on each store."""
    if not bench.wants("P3"):
        return
    for store in STORES:
        ledger = _log(bench, store, bench.many)
        events = ledger.head()
        for says, names in BUILT.items():
            seconds = rebuilt(ledger, *names)
            goal = Goal(
                "P3", f"rebuild from {events:,} events, {store}: {says}",
                P3_S_MAX * events / 1_000_000, at_most=True, unit="s",
            )  # fmt: skip
            bench.report.judge(goal, [seconds])
            # The same as P2, where starting the program no longer counts.
            rate = events / seconds / scan(ledger).rate
            bench.report.judge(
                Goal("P2", f"… of {says}, {events:,} events, {store}", P2[store]), [rate]
            )
        bench.drop(ledger)


def rebuilt(ledger: Ledger, *names: str) -> float:
    """Build a view anew, or all of them; returns the seconds that the command tells."""
    printed = ledger.run("rebuild", *names)
    took = [float(seconds) for seconds in REBUILT.findall(printed)]
    if not took:
        raise SystemExit(f"ledger rebuild told no times:\n{printed}")
    return sum(took)


def _log(bench: Bench, store: str, events: int, length: int = LENGTH) -> Ledger:
    ledger = bench.ledger(store)
    began = time.perf_counter()
    logs.load(ledger, events // length, length)
    took = time.perf_counter() - began
    bench.report.note(f"{store}: a log of {ledger.head():,} events took {took:.0f} s to write.")
    return ledger


def _catch_up(bench: Bench) -> None:
    """P1: two runners with the same least view, and ours with the views that it is there for."""
    ledger = _log(bench, "PostgreSQL", logs.WINDOW * APART, APART)
    ours, views, theirs = (
        "the ledger's runner, 1 row", "ledger project, 4 views", "the library's runner, 1 row"
    )  # fmt: skip

    def four() -> Measured:
        ledger.without_views()
        return following(ledger)

    arms: dict[str, Arm] = {
        ours: lambda: _one_row(ledger),
        views: four,
        theirs: _runner(bench),
    }
    found = bench.report.interleaved("Catching up, PostgreSQL", arms, bench.rounds)
    bench.report.ratio(P1, found[ours], found[theirs])
    bench.report.ratio(P1_VIEWS, found[views], found[theirs])
    bench.drop(ledger)


def _one_row(ledger: Ledger) -> Measured:
    """Let our runner keep the least view, and look whether it is whole."""
    ledger.without_views()
    events = ledger.head()
    took = _alone("ledger", ledger.env["LEDGER_DATABASE_URL"], events)
    with psycopg.connect(str(ledger.where)) as server:
        wanted = "SELECT count(*), min(version), max(version) FROM ledger_views.shown"
        shown = server.execute(wanted).fetchone()
    if shown != (logs.WINDOW, APART, APART):
        raise SystemExit(f"The view of one row shows {shown}.")
    return Measured(events / took)


def _alone(whose: str, url: str, events: int) -> float:
    """Let a runner follow in a process of its own; returns the seconds that it took."""
    return float(run([sys.executable, str(ONE_ROW), whose, url, str(events)]))


def _follow_and_rebuild(bench: Bench, store: str) -> None:
    ledger = _log(bench, store, bench.events)
    events = ledger.head()

    def from_nothing() -> Measured:
        ledger.without_views()
        return following(ledger)

    arms: dict[str, Arm] = {
        "ledger project, from empty views": from_nothing,
        **{
            f"ledger rebuild, {says}": partial(_building, ledger, names, events)
            for says, names in BUILT.items()
        },
        "raw scan of the log": lambda: scan(ledger),
    }
    # A first build fills what later ones replace.
    rebuilt(ledger)
    found = bench.report.interleaved(f"Projecting {events:,} events, {store}", arms, bench.rounds)
    for says in BUILT:
        goal = Goal("P2", f"rebuild of {says}, events/s / raw scan, {store}", P2[store])
        bench.report.ratio(goal, found[f"ledger rebuild, {says}"], found["raw scan of the log"])
    bench.drop(ledger)


def _building(ledger: Ledger, names: tuple[str, ...], events: int) -> Measured:
    return Measured(events / rebuilt(ledger, *names))


def following(ledger: Ledger) -> Measured:
    """Let a projector bring the views to the end of the log: the rate once it runs."""
    start = ledger.standing()
    with ledger.projecting() as projector:
        way = ledger.caught_up(projector)
    # The time from its first step: starting the program is no projecting.
    began, first = next((place for place in way if place[1] > start), way[0])
    ended, last = way[-1]
    if last == first:
        return Measured((last - start) / (ended - way[0][0]))
    return Measured((last - first) / (ended - began))


def scan(ledger: Ledger) -> Measured:
    """Read every row of the log, and do nothing with it."""
    began = time.perf_counter()
    count = sum(1 for _row in _rows(ledger))
    return Measured(count / (time.perf_counter() - began))


def _rows(ledger: Ledger) -> Iterator[tuple[object, ...]]:
    columns = "position, recorded_at, originator_id, originator_version, topic, state"
    if isinstance(ledger.where, Path):
        with contextlib.closing(sqlite3.connect(ledger.where)) as connection:
            yield from connection.execute(f"SELECT {columns} FROM events ORDER BY position")  # noqa: S608 - constants
        return
    page = f"SELECT {columns} FROM ledger.events WHERE position > %s ORDER BY position LIMIT {PAGE}"  # noqa: S608 - constants
    with psycopg.connect(ledger.where) as connection:
        after = 0
        while rows := connection.execute(page.encode(), (after,)).fetchall():
            yield from rows
            after = rows[-1][0]


def _runner(bench: Bench) -> Arm:
    """Return the arm of the library's runner; each round has a fresh copy of the same log."""
    filled = bench.database()
    made = islice(cycle(payload.templates(APART)), RUNNER_EVENTS // APART)
    bodies = [[body.decode() for _topic, body in template.rows] for template in made]
    baseline.filled(filled, bodies)
    name = filled.rpartition("/")[2]

    def arm() -> Measured:
        copy = f"{name}_{time.time_ns()}"
        bench.postgres.create_database(copy, name)
        took = _alone("library", bench.postgres.url(copy), RUNNER_EVENTS)
        bench.postgres.drop_database(copy)
        return Measured(RUNNER_EVENTS / took)

    return arm
