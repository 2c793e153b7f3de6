"""A leader without a standby: its commits wait, and nobody is told what only one disk has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any, TypeVar

import psycopg
import pytest

import given_postgres
from given_postgres import Server
from given_stores import event
from ledger import errors
from ledger.store import Append, IdempotencyKey, Receipt, Store
from ledger.store import postgres as postgres_store
from ledger.store.postgres_migrate import migrate

ANSWERED_S_MAX = 60
"""For a machine that is busy; without the limit that is tested here there is no answer at all."""

Answer = TypeVar("Answer")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with given_postgres.running() as running:
        yield running


@pytest.fixture
def store(server: Server, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A new ledger that waits for its server so many seconds at most."""
    database = server.create_database(f"ledger_{abs(hash(request.node.name))}")
    migrate(database.owner_url)
    with postgres_store.open_store(database.app_url, timeout_s=request.param) as opened:
        yield opened
        synchronous_with(server, "")


def synchronous_with(server: Server, standby: str) -> None:
    """Have every commit of a server wait for a standby; an empty name for none."""
    server.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
    server.execute("SELECT pg_reload_conf()")
    until(server, f"SELECT current_setting('synchronous_standby_names') = '{standby}'")
    while standby and not commits_wait(server):
        pass


def commits_wait(server: Server) -> bool:
    """Whether a commit waits: not before the checkpointer, too, has come to read the setting."""
    with closing(psycopg.connect(server.url("postgres"), autocommit=True)) as probe:
        probe.pgconn.send_query(b"SELECT pg_logical_emit_message(true, '', '')")
        mine = f"FROM pg_stat_activity WHERE pid = {probe.info.backend_pid}"
        while probe.pgconn.is_busy():
            if server.execute(f"SELECT 1 {mine} AND wait_event = 'SyncRep'"):
                server.execute(f"SELECT pg_terminate_backend(pid, 60000) {mine}")
                return True
            probe.pgconn.consume_input()
        return False


def until(server: Server, query: str) -> Any:
    """Return the first true answer of a query."""
    deadline = time.monotonic() + ANSWERED_S_MAX
    while time.monotonic() < deadline:
        if (rows := server.execute(query)) and rows[0][0]:
            return rows[0][0]
        time.sleep(0.05)
    message = f"never true: {query}"
    raise AssertionError(message)


def appended(store: Store, name: str) -> Future[Receipt]:
    return store.append(Append((event(name, 1),), idempotency=IdempotencyKey("a", name, "f")))


@pytest.mark.parametrize("store", [1], indirect=True)
def test_an_append_that_no_standby_takes_is_refused_and_its_retry_gets_the_truth(
    server: Server, store: Store
) -> None:
    retried(lambda: appended(store, "before").result(ANSWERED_S_MAX))
    synchronous_with(server, "nobody")
    for _attempt in range(2):
        with pytest.raises(errors.StoreUnavailable):
            appended(store, "waiting").result(ANSWERED_S_MAX)
    synchronous_with(server, "")
    receipt = retried(lambda: appended(store, "waiting").result(ANSWERED_S_MAX))
    assert (receipt.position, receipt.version) == (2, 1)
    rows = retried(lambda: list(store.rows()))
    assert [row.originator_id for row in rows] == ["before", "waiting"]


@pytest.mark.parametrize("store", [ANSWERED_S_MAX], indirect=True)
def test_an_append_whose_wait_is_cancelled_is_not_acknowledged(
    server: Server, store: Store
) -> None:
    appended(store, "before").result(ANSWERED_S_MAX)
    synchronous_with(server, "nobody")
    waiting = appended(store, "waiting")
    stuck = until(server, "SELECT min(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    server.execute(f"SELECT pg_cancel_backend({stuck})")
    with pytest.raises(errors.StoreUnavailable):
        waiting.result(ANSWERED_S_MAX)
    synchronous_with(server, "")
    assert retried(lambda: appended(store, "waiting").result(ANSWERED_S_MAX)).replayed


def retried(ask: Callable[[], Answer]) -> Answer:
    """Ask again until there is an answer: a busy machine is late now and then."""
    deadline = time.monotonic() + ANSWERED_S_MAX
    while True:
        try:
            return ask()
        except errors.StoreUnavailable:
            if time.monotonic() > deadline:
                raise
