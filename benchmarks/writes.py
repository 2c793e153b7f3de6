"""W1 to W7: appends over HTTP, against the library, the framework, and the disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import payload
from bench import Bench
from figures import Arm, Goal, Measured
from load import CONNECTIONS, SCHEMA, pgbench, wrk
from servers import Ledger, Server, baseline

W1 = Goal("W1", "POST on PostgreSQL, 32 connections, 1 process: ours / library's default", 5)
W1_FOLLOWED = Goal("W1", "… the same while `ledger project` follows on the same cores", 5)
W2 = Goal("W2", "W1 with a commit that takes 3 ms (commit_delay)", 10)
W3 = Goal("W3", "W1: ours / POST without a database (FastAPI and pydantic)", 0.65)
W4 = Goal("W4", "W1: ours / pgbench, single-row inserts at 32 clients", 0.25)
W5 = Goal(
    "W5", "POST on PostgreSQL, 1 connection, p50: ours / library's default", 0.6, at_most=True
)
W6 = Goal("W6", "POST on SQLite, 32 connections: ours / library's default, both FULL", 3)
W6_FOLLOWED = Goal("W6", "… the same while `ledger project` follows on the same cores", 3)
W7 = Goal("W7", "POST on PostgreSQL: ours with 2 processes / with 1", 1.1)
LATENCY = Goal("W5", "… in milliseconds", 5, at_most=True, unit="ms")

OURS = "ledger serve, 1 process"
TWO = "ledger serve, 2 processes"
FOLLOWED = "ledger serve, 1 process, and ledger project"
LIBRARY = "FastAPI on the library's default recorder"
HELLO = "FastAPI without a database"
DISK = "pgbench, one row per transaction"
SLOW_COMMIT_US = 3_000
WARM_UP_S = 1


@dataclass
class Posting:
    """POSTs of the same bodies to any server."""

    bench: Bench

    def to(self, server: Server, connections: int = CONNECTIONS) -> Arm:
        """Return the arm that loads a server; it is warmed up now."""
        self.load(server, WARM_UP_S, connections)
        return lambda: self.load(server, self.bench.seconds, connections)

    def load(self, server: Server, seconds: float, connections: int = CONNECTIONS) -> Measured:
        """Load a server for a while."""
        return wrk(server, "POST", self.bench.bodies, seconds, connections)

    def followed(self, ledger: Ledger, server: Server) -> Arm:
        """Return the arm that loads a server while a projector keeps the views up to date."""

        def arm() -> Measured:
            with ledger.projecting() as projector:
                # What earlier arms left is projected first: it is no work of this one.
                ledger.caught_up(projector)
                measured = self.load(server, self.bench.seconds)
                behind = ledger.head() - ledger.standing()
                began = time.perf_counter()
                ledger.caught_up(projector)
                self.behind.append((behind, time.perf_counter() - began))
            return measured

        self.load(server, WARM_UP_S)
        return arm

    def __post_init__(self) -> None:
        """Have seen no lag."""
        self.behind: list[tuple[int, float]] = []

    def tell_lag(self, store: str) -> None:
        """Say how far the views were behind after loads that they followed."""
        if self.behind:
            events, seconds = max(self.behind)
            self.bench.report.note(
                f"{store}: at the end of a load of {self.bench.seconds:g} s the views were at most "
                f"{events:,} events behind, and caught up in {seconds:.1f} s."
            )


def on_postgresql(bench: Bench) -> None:
    """W1, W3, W4, W7."""
    if not bench.wants("W1", "W3", "W4", "W7"):
        return
    posting = Posting(bench)
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(baseline("library", bench.database()))
        nothing = stack.enter_context(baseline("hello"))
        ledgers = [bench.ledger("PostgreSQL") for _n in range(3)]
        one = stack.enter_context(ledgers[0].serving())
        two = stack.enter_context(ledgers[1].serving(2))
        followed = stack.enter_context(ledgers[2].serving())
        arms = {
            OURS: posting.to(one),
            LIBRARY: posting.to(plain),
            HELLO: posting.to(nothing),
            DISK: _inserting(bench),
            TWO: posting.to(two),
            FOLLOWED: posting.followed(ledgers[2], followed),
        }
        found = bench.report.interleaved("POST on PostgreSQL, 32 connections", arms, bench.rounds)
    report = bench.report
    report.ratio(W1, found[OURS], found[LIBRARY])
    report.ratio(W1_FOLLOWED, found[FOLLOWED], found[LIBRARY])
    report.ratio(W3, found[OURS], found[HELLO])
    report.ratio(W4, found[OURS], found[DISK])
    report.ratio(W7, found[TWO], found[OURS])
    posting.tell_lag("PostgreSQL")


def on_a_slow_disk(bench: Bench) -> None:
    """W2."""
    if not bench.wants("W2"):
        return
    with _pair(bench) as (one, plain), _slow(bench):
        found = _against(bench, "POST on PostgreSQL, 3 ms commits, 32 connections", one, plain)
    bench.report.ratio(W2, found[OURS], found[LIBRARY])


def alone(bench: Bench) -> None:
    """W5."""
    if not bench.wants("W5"):
        return
    with _pair(bench) as (one, plain):
        found = _against(bench, "POST on PostgreSQL, 1 connection", one, plain, 1)
    bench.report.ratio(W5, found[OURS], found[LIBRARY], "p50_ms")
    bench.report.judge(LATENCY, _p50(found[OURS]))


def on_sqlite(bench: Bench) -> None:
    """W6."""
    if not bench.wants("W6"):
        return
    posting = Posting(bench)
    with contextlib.ExitStack() as stack:
        ledger, shadowed = bench.ledger("SQLite"), bench.ledger("SQLite")
        one = stack.enter_context(ledger.serving())
        followed = stack.enter_context(shadowed.serving())
        plain = stack.enter_context(baseline("library", str(bench.folder / "plain.db")))
        arms = {
            OURS: posting.to(one),
            LIBRARY: posting.to(plain),
            FOLLOWED: posting.followed(shadowed, followed),
        }
        found = bench.report.interleaved("POST on SQLite, 32 connections", arms, bench.rounds)
    bench.report.ratio(W6, found[OURS], found[LIBRARY])
    bench.report.ratio(W6_FOLLOWED, found[FOLLOWED], found[LIBRARY])
    posting.tell_lag("SQLite")


def _p50(found: Sequence[Measured]) -> list[float]:
    return [m.p50_ms for m in found if m.p50_ms is not None]


@contextlib.contextmanager
def _pair(bench: Bench) -> Iterator[tuple[Server, Server]]:
    """Serve a new ledger and the library on the same PostgreSQL."""
    ledger = bench.ledger("PostgreSQL")
    with ledger.serving() as one, baseline("library", bench.database()) as plain:
        yield one, plain


def _against(
    bench: Bench, title: str, one: Server, plain: Server, connections: int = CONNECTIONS
) -> dict[str, list[Measured]]:
    posting = Posting(bench)
    arms = {OURS: posting.to(one, connections), LIBRARY: posting.to(plain, connections)}
    return bench.report.interleaved(title, arms, bench.rounds)


@contextlib.contextmanager
def _slow(bench: Bench) -> Iterator[None]:
    """Let every commit of the whole server wait, as a far disk or a synchronous replica does."""
    server = bench.postgres
    server.execute(f"ALTER SYSTEM SET commit_delay = {SLOW_COMMIT_US}")
    server.execute("ALTER SYSTEM SET commit_siblings = 0")
    server.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET ALL")
        server.execute("SELECT pg_reload_conf()")


def _inserting(bench: Bench) -> Arm:
    database = "limits"
    bench.postgres.create_database(database)
    bench.postgres.execute(SCHEMA, database)
    body = payload.bodies(1)[0].decode()
    return lambda: pgbench(bench.postgres, database, body, CONNECTIONS, bench.seconds)
