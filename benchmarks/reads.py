"""R1 to R3, H1 and L1: reads over HTTP from a ledger of many records."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import logs
import payload
from baseline import filled
from bench import STORES, Bench
from figures import Arm, Goal, Measured
from load import wrk
from servers import Ledger, Server, baseline

R1 = Goal("R1", "GET a record on SQLite, 32 connections / FastAPI hello", 0.75)
R2 = Goal("R2", "GET a record on PostgreSQL, 32 connections / FastAPI hello", 0.6)
R3_SHORT = Goal("R3", "GET a record of 3 events, SQLite: ours / library's repository.get", 3)
R3_LONG = Goal("R3", "GET a record of 1,000 events, SQLite: ours / library's repository.get", 25)
H1 = "history of 10,000 events over HTTP, {}: library's repository.get / ours, all pages"
L1 = "list {:,} records over HTTP, {}: p50 of a deep page / of page 1"
SHORT, LONG, LONGEST = 3, 1_000, 10_000
LENGTHS = {SHORT: 200, LONG: 20, LONGEST: 1}
"""How many records of which length stand beside those of one event."""
PAGE = 50
LISTED = 1
"""Connections that list: a page's own cost is wanted, not how many fit side by side."""


Ask = Callable[[str], http.client.HTTPResponse]


@dataclass
class Library:
    """A ledger of many records with what a reader may ask of it."""

    ledger: Ledger
    short: list[str]
    by_length: dict[int, list[str]]


def measure(bench: Bench) -> None:
    """Fill a ledger on each store, then read."""
    if not bench.wants("R1", "R2", "R3", "H1", "L1"):
        return
    with contextlib.ExitStack() as stack:
        hello = stack.enter_context(baseline("hello"))
        arms = {"FastAPI hello": _getting(bench, hello, ["/"])}
        served = {}
        for store in _stores(bench):
            library = _filled(bench, store)
            server = stack.enter_context(library.ledger.serving())
            served[store] = (library, server)
            some = random.Random(1).sample(library.short, min(20_000, len(library.short)))
            arms[f"ledger serve, {store}"] = _getting(bench, server, _paths(some))
        title = f"GET one of {bench.records:,} records, 32 connections"
        if bench.wants("R1", "R2"):
            found = bench.report.interleaved(title, arms, bench.rounds)
            for goal, store in ((R1, "SQLite"), (R2, "PostgreSQL")):
                if store in served:
                    ours = found[f"ledger serve, {store}"]
                    bench.report.ratio(goal, ours, found["FastAPI hello"])
        if bench.wants("R3") and "SQLite" in served:
            _against_rebuilding(bench, *served["SQLite"])
        for store, (library, server) in served.items():
            if bench.wants("H1"):
                _histories(bench, store, library, server)
            if bench.wants("L1"):
                _pages(bench, store, server)


def _stores(bench: Bench) -> list[str]:
    if bench.wants("R2", "H1", "L1"):
        return list(STORES)
    return ["SQLite"]


def _filled(bench: Bench, store: str) -> Library:
    ledger = bench.ledger(store)
    began = time.perf_counter()
    short = logs.load(ledger, bench.records, 1)
    by_length = {length: logs.load(ledger, count, length) for length, count in LENGTHS.items()}
    loaded = time.perf_counter() - began
    ledger.run("rebuild")
    took = time.perf_counter() - began - loaded
    bench.report.note(
        f"{store}: the log of {bench.records:,} records to read from ({ledger.head():,} events) "
        f"took {loaded:.0f} s to write, and all of its views {took:.0f} s to build."
    )
    return Library(ledger, short, by_length)


def _paths(ids: list[str]) -> list[str]:
    return [f"/v1/records/{record_id}" for record_id in ids]


def _getting(bench: Bench, server: Server, paths: list[str]) -> Arm:
    given = bench.file(paths)
    wrk(server, "GET", given, 1)
    return lambda: wrk(server, "GET", given, bench.seconds)


def _against_rebuilding(bench: Bench, library: Library, server: Server) -> None:
    file = str(bench.folder / "histories.db")
    for goal, length in ((R3_SHORT, SHORT), (R3_LONG, LONG)):
        theirs = filled(file, _bodies(length, LENGTHS[length]))
        with baseline("library", file) as plain:
            paths = [f"/records/{record_id}" for record_id in theirs]
            arms = {
                "ledger serve": _getting(bench, server, _paths(library.by_length[length])),
                "repository.get": _getting(bench, plain, paths),
            }
            title = f"GET a record of {length:,} events, SQLite, 32 connections"
            found = bench.report.interleaved(title, arms, bench.rounds)
        bench.report.ratio(goal, found["ledger serve"], found["repository.get"])


def _bodies(length: int, count: int) -> list[list[str]]:
    """Return as many histories as event bodies, the same that the ledger was filled with."""
    made = payload.templates(length, min(count, 20))
    some = itertools.islice(itertools.cycle(made), count)
    return [[body.decode() for _topic, body in template.rows] for template in some]


# ---------------------------------------------------------------- one client, one after the other


@contextlib.contextmanager
def asking(server: Server) -> Iterator[Ask]:
    """Give a function that asks over one connection; anything but 200 ends the run."""
    connection = http.client.HTTPConnection(urlsplit(server.urls[0]).netloc, timeout=60)

    def ask(path: str) -> http.client.HTTPResponse:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise SystemExit(f"GET {path} gave {answer.status}: {answer.read().decode()}")
        return answer

    with contextlib.closing(connection):
        yield ask


def next_page(answer: http.client.HTTPResponse) -> str | None:
    """Return the path of the page after this one, None after the last."""
    found = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
    if not found:
        return None
    parts = urlsplit(found[1])
    return f"{parts.path}?{parts.query}"


def _timed(once: Callable[[], object]) -> Measured:
    began = time.perf_counter()
    once()
    took = time.perf_counter() - began
    return Measured(1 / took, took * 1_000)


def _histories(bench: Bench, store: str, library: Library, server: Server) -> None:
    """H1: the whole history of a long record."""
    database = bench.database() if store == "PostgreSQL" else str(bench.folder / "longest.db")
    (theirs,) = filled(database, _bodies(LONGEST, 1))
    (ours,) = library.by_length[LONGEST]
    with baseline("library", database) as plain, asking(server) as ask, asking(plain) as other:

        def whole() -> list[bytes]:
            path: str | None = f"/v1/records/{ours}/history?limit=1000"
            pages = []
            while path is not None:
                answer = ask(path)
                pages.append(answer.read())
                path = next_page(answer)
            return pages

        events = sum(len(json.loads(page)["items"]) for page in whole())
        if events != LONGEST:
            raise SystemExit(f"The history has {events} events, not {LONGEST}.")

        arms: dict[str, Arm] = {
            "ledger serve, 10 pages of 1,000": lambda: _timed(whole),
            "repository.get": lambda: _timed(lambda: other(f"/records/{theirs}").read()),
        }
        title = f"History of {LONGEST:,} events, {store}, 1 connection"
        mine, rebuilt = bench.report.interleaved(title, arms, bench.rounds).values()
    bench.report.ratio(Goal("H1", H1.format(store), 10), rebuilt, mine, "p50_ms")


def _pages(bench: Bench, store: str, server: Server) -> None:
    """L1: a page in the middle of the list against the first."""
    first = f"/v1/records?limit={PAGE}"
    deep = first
    with asking(server) as ask:
        for _page in range(bench.records // PAGE // 2):
            answer = ask(deep)
            answer.read()
            deep = next_page(answer) or deep
    arms: dict[str, Arm] = {}
    for name, path in (("page 1", first), (f"page {bench.records // PAGE // 2:,}", deep)):
        given = bench.file([path])
        arms[name] = lambda given=given: wrk(server, "GET", given, bench.seconds, LISTED)  # type: ignore[misc]
    title = f"List {bench.records:,} records, pages of {PAGE}, {store}, 1 connection"
    shallow, far = bench.report.interleaved(title, arms, bench.rounds).values()
    goal = Goal("L1", L1.format(bench.records, store), 1.3, at_most=True)
    bench.report.ratio(goal, far, shallow, "p50_ms")
    middle = statistics.median(m.p50_ms or 0 for m in shallow)
    bench.report.note(f"{store}: page 1 of the list takes {middle:.2f} ms over HTTP.")
