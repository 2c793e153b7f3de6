"""How do the figures grow with the log?  The same measurements at each size, on each store."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import logs
import psycopg
from bench import Bench
from figures import Measured, told
from load import wrk
from projecting import LENGTH, following, rebuilt, scan
from reads import PAGE, Ask, asking, next_page
from servers import Ledger, Server, cpu_s, family

DEEP_PAGES = 1_000
ASKED = 30
FOLLOWED = 20_000
"""How many events the projector takes in when the views are there."""
RARE, COMMON = "Icelandic", "cross-lingual transfer"
"""Words of a few titles, and words of most abstracts."""


Size = dict[str, Any]
"""What was measured at one size, each under the words of its line in the table."""


def measure(bench: Bench, sizes: list[int], stores: list[str], *, views: bool) -> None:
    """Fill a new ledger for each size and measure it; what is done is told at once."""
    rows: list[Size] = []
    for store in stores:
        for events in sizes:
            ledger = bench.ledger(store)
            found = {"store": store} | _log(bench, ledger, events)
            if views:
                found |= _views(bench, ledger, events)
            told(str(found))
            rows.append(found)
            bench.report.extra = _table(rows)
            bench.report.write()
            bench.drop(ledger)


def _log(bench: Bench, ledger: Ledger, events: int) -> Size:
    """Measure what needs the log alone: its size, a scan, appends."""
    began = time.perf_counter()
    logs.load(ledger, events // LENGTH, LENGTH)
    found: Size = {"events": ledger.head(), "write the log, s": time.perf_counter() - began}
    told(f"{ledger.where}: {events:,} events written in {found['write the log, s']:.0f} s")
    found["log, bytes per event"] = _bytes(ledger, "ledger") / events
    found["raw scan, events/s"] = scan(ledger).rate
    began = time.perf_counter()
    ledger.run("log", "step")
    found["put into the tree, events/s"] = events / (time.perf_counter() - began)
    with ledger.serving() as server:
        before = _database_s(bench, ledger)
        posted = wrk(server, "POST", bench.bodies, bench.seconds)
        found |= _told("POST", posted, bench, _database_s(bench, ledger) - before)
    return found


def _views(bench: Bench, ledger: Ledger, events: int) -> Size:
    """Measure what readers meet: documents, lists, searches, and the projector behind the log."""
    log = _bytes(ledger, "ledger")
    found: Size = {"rebuild all views, s": rebuilt(ledger)}
    told(f"{ledger.where}: rebuilt in {found['rebuild all views, s']:.0f} s")
    found["documents, bytes per event"] = (_bytes(ledger, "ledger") - log) / events
    found["views, bytes per event"] = _bytes(ledger, "ledger_views") / events
    with ledger.serving() as server:
        paths, listed = _listed(server)
        before = _database_s(bench, ledger)
        got = wrk(server, "GET", bench.file(paths), bench.seconds)
        found |= _told("GET", got, bench, _database_s(bench, ledger) - before) | listed
    logs.load(ledger, FOLLOWED // LENGTH, LENGTH)
    found["project, events/s"] = following(ledger).rate
    return found


def _told(name: str, measured: Measured, bench: Bench, database_s: float) -> Size:
    return {
        f"{name}, per second": measured.rate,
        f"{name}, p99 ms": measured.p99_ms or 0,
        f"{name}, CPU us of the server": measured.cpu_us or 0,
        f"{name}, CPU us of the database": database_s / measured.rate / bench.seconds * 1_000_000,
    }


def _took(ask: Ask, path: str) -> float:
    """Return the milliseconds that one answer took."""
    began = time.perf_counter()
    ask(path).read()
    return (time.perf_counter() - began) * 1_000


def _listed(server: Server) -> tuple[list[str], Size]:
    """Return the paths of listed records, and the milliseconds of single requests for lists."""
    page = f"/v1/records?limit={PAGE}"
    with asking(server) as ask:
        # The first list after the view has moved counts everything; the next ones know it.
        found: Size = {"first list after a change, ms": _took(ask, page)}
        found["list, page 1, ms"] = statistics.median(_took(ask, page) for _n in range(ASKED))
        deep, pages = page, 0
        paths: list[str] = []
        following: str | None = page
        while following is not None and pages < DEEP_PAGES:
            deep = following
            answer = ask(deep)
            shown = json.loads(answer.read())["items"]
            paths += [f"/v1/records/{entry['record_id']}" for entry in shown]
            following, pages = next_page(answer), pages + 1
        found[f"list, page {DEEP_PAGES:,} or the last, ms"] = statistics.median(
            _took(ask, deep) for _n in range(ASKED)
        )
        found["history of a record, ms"] = statistics.median(
            _took(ask, f"{path}/history") for path in random.sample(paths, ASKED)
        )
        found["search, a rare word, ms"] = _took(ask, f"{page}&q={quote(RARE)}")
        found["search, words of most records, ms"] = _took(ask, f"{page}&q={quote(COMMON)}")
    return paths, found


def _database_s(bench: Bench, ledger: Ledger) -> float:
    """Return the processor time of the database's own processes; a file has none."""
    return 0 if ledger.is_sqlite else cpu_s(*family(bench.postgres.pid))


def _bytes(ledger: Ledger, schema: str) -> int:
    """Return how much disk the log with its documents takes, or the other views."""
    if isinstance(ledger.where, Path):
        suffix = ".views" if schema == "ledger_views" else ""
        files = [Path(f"{ledger.where}{suffix}{end}") for end in ("", "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())
    query = (
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'"
    )
    with psycopg.connect(ledger.where) as connection, contextlib.closing(connection.cursor()) as c:
        (size,) = c.execute(query.encode(), (schema,)).fetchone() or (0,)
    return int(size)


def _table(rows: list[Size]) -> str:
    """Return one column for each size."""
    lines = [
        "## Growth",
        "",
        "| | " + " | ".join(f"{row['store']}, {row['events']:,}" for row in rows) + " |",
        "|---|" + "---|" * len(rows),
    ]
    names = dict.fromkeys(name for row in rows for name in row if name not in {"store", "events"})
    lines += [f"| {name} | {' | '.join(_shown(row.get(name)) for row in rows)} |" for name in names]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
