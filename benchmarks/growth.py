"""How do the figures grow with the log?  The same measurements at each size, on each store."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import quote

import logs
import psycopg
from bench import Bench
from figures import told
from load import wrk
from projecting import LENGTH, following, rebuilt, scan
from reads import PAGE, asking, next_page
from servers import Ledger, Server, cpu_s, family

DEEP_PAGES = 1_000
ASKED = 30
FOLLOWED = 20_000
"""How many events the projector takes in when the views are there."""
RARE, COMMON = "Icelandic", "cross-lingual transfer"
"""Words of a few titles, and words of most abstracts."""


@dataclass(frozen=True)
class Size:
    """What was measured at one size."""

    store: str
    events: int
    load_s: float
    log_bytes_per_event: float
    documents_bytes_per_event: float
    views_bytes_per_event: float
    scan_per_s: float
    rebuild_s: float
    catch_up_per_s: float
    post_per_s: float
    post_p99_ms: float
    post_cpu_us: float
    post_database_cpu_us: float
    get_per_s: float
    get_p99_ms: float
    get_cpu_us: float
    get_database_cpu_us: float
    history_ms: float
    list_first_ms: float
    list_ms: float
    list_deep_ms: float
    search_rare_ms: float
    search_common_ms: float


def measure(bench: Bench, sizes: list[int], stores: list[str]) -> None:
    """Fill a new ledger for each size and measure it; what is done is told at once."""
    rows: list[Size] = []
    for store in stores:
        for events in sizes:
            ledger = bench.ledger(store)
            rows.append(_measured(bench, store, ledger, events))
            bench.report.extra = _table(rows)
            bench.report.write()
            bench.drop(ledger)


def _measured(bench: Bench, store: str, ledger: Ledger, events: int) -> Size:
    began = time.perf_counter()
    ids = logs.load(ledger, events // LENGTH, LENGTH)
    load_s = time.perf_counter() - began
    told(f"{store}: {events:,} events written in {load_s:.0f} s")
    log = _bytes(ledger, "ledger")
    rebuild_s = rebuilt(ledger)
    told(f"{store}, {events:,} events: rebuilt in {rebuild_s:.0f} s")
    documents = _bytes(ledger, "ledger") - log
    scanned = scan(ledger).rate
    with ledger.serving() as server:
        listed = _asked(server, ids)
        some = [f"/v1/records/{record}" for record in random.sample(ids, min(20_000, len(ids)))]
        before = _database_s(bench, ledger)
        got = wrk(server, "GET", bench.file(some), bench.seconds)
        between = _database_s(bench, ledger)
        posted = wrk(server, "POST", bench.bodies, bench.seconds)
        after = _database_s(bench, ledger)
    logs.load(ledger, FOLLOWED // LENGTH, LENGTH)
    followed = following(ledger).rate
    found = Size(
        store=store,
        events=ledger.head(),
        load_s=load_s,
        log_bytes_per_event=log / events,
        documents_bytes_per_event=documents / events,
        views_bytes_per_event=_bytes(ledger, "ledger_views") / events,
        scan_per_s=scanned,
        rebuild_s=rebuild_s,
        catch_up_per_s=followed,
        post_per_s=posted.rate,
        post_p99_ms=posted.p99_ms or 0,
        post_cpu_us=posted.cpu_us or 0,
        post_database_cpu_us=(after - between) / (posted.rate * bench.seconds) * 1_000_000,
        get_per_s=got.rate,
        get_p99_ms=got.p99_ms or 0,
        get_cpu_us=got.cpu_us or 0,
        get_database_cpu_us=(between - before) / (got.rate * bench.seconds) * 1_000_000,
        **listed,
    )
    told(str(found))
    return found


def _database_s(bench: Bench, ledger: Ledger) -> float:
    """Return the processor time of the database's own processes; a file has none."""
    return 0 if ledger.is_sqlite else cpu_s(*family(bench.postgres.pid))


def _asked(server: Server, ids: list[str]) -> dict[str, float]:
    """Return the milliseconds of single requests over one connection."""
    found = {}
    with asking(server) as ask:

        def took(path: str) -> float:
            began = time.perf_counter()
            json.loads(ask(path).read())
            return (time.perf_counter() - began) * 1_000

        def middle(path: str) -> float:
            return statistics.median(took(path) for _n in range(ASKED))

        page = f"/v1/records?limit={PAGE}"
        # The first list after the view has moved counts everything; the next ones know it.
        found["list_first_ms"] = took(page)
        found["list_ms"] = middle(page)
        deep = page
        for _page in range(min(DEEP_PAGES, len(ids) // PAGE - 1)):
            answer = ask(deep)
            answer.read()
            deep = next_page(answer) or deep
        found["list_deep_ms"] = middle(deep)
        found["search_rare_ms"] = took(f"{page}&q={quote(RARE)}")
        found["search_common_ms"] = took(f"{page}&q={quote(COMMON)}")
        found["history_ms"] = statistics.median(
            took(f"/v1/records/{record}/history") for record in random.sample(ids, ASKED)
        )
    return found


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
        "| | " + " | ".join(f"{row.store}, {row.events:,}" for row in rows) + " |",
        "|---|" + "---|" * len(rows),
    ]
    for column in fields(Size)[2:]:
        values = [getattr(row, column.name) for row in rows]
        shown = [f"{v:,.0f}" if v >= 100 else f"{v:.1f}" for v in values]
        lines.append(f"| {column.name.replace('_', ' ')} | {' | '.join(shown)} |")
    return "\n".join(lines)
