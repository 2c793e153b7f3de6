"""What is answered while PostgreSQL is away, comes back, or is lost in the middle of an append."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import operator
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import given_postgres
from given_patience import PATIENCE_S
from given_postgres import Database, Server
from given_stores import one, positions
from ledger import errors
from ledger.store import Append, IdempotencyKey, Receipt, adapters, postgres
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_patience import Patient

UNKNOWN = "Whether it was written is not known"
FIN_WAIT_1 = 4
"""The state of a TCP connection whose end has not come to the other side (Linux, ``tcp_states.h``).
"""


class Proxy:
    """Stands between a ledger and its server, and cuts the line where it is told."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flows: list[threading.Thread] = []
        self.cut_questions = self.cut_answers = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._pairs.append((client, server))
                for flow in ((client, server, True), (server, client, False)):
                    thread = threading.Thread(target=self._pass_on, args=flow, daemon=True)
                    self._flows.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asks: bool) -> None:  # noqa: FBT001 - which way
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.cut_questions if asks else self.cut_answers:
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Wait until the ends of lines that the server has ended have come to the ledger."""
        for flow in self._flows:
            flow.join()
        for client, _server in self._pairs:
            while client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == FIN_WAIT_1:
                time.sleep(0.001)

    def close(self) -> None:
        # Shut down first: what is only closed wakes nobody who waits for it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        ends = [end for pair in self._pairs for end in pair]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for flow in self._flows:
            flow.join()
        for end in ends:
            end.close()


@pytest.fixture
def database() -> Database:
    return given_postgres.fresh_database()


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    with contextlib.closing(Proxy(database.server.port)) as between:
        yield between


@pytest.fixture
def store(database: Database, proxy: Proxy) -> Iterator[PostgresStore]:
    through = database.app_url.replace(f":{database.server.port}/", f":{proxy.port}/")
    with postgres.open_store(through, timeout_s=PATIENCE_S) as opened:
        yield opened


def asked_again(store: PostgresStore, append: Append) -> Receipt:
    """Return the answer to an append that is asked until the store is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return store.append(append).result(60)
        except errors.StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# ------------------------------------------------------------ lost in the middle


def test_a_lost_answer_is_told_truthfully_to_whoever_asks_again(
    store: PostgresStore, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    store.append(one("before")).result(60)
    lost = [one(f"s{n}", idempotency=IdempotencyKey("actor", f"k{n}", "f")) for n in range(5)]
    proxy.cut_answers = True
    futures = [store.append(append) for append in lost]
    for future in futures:
        with pytest.raises(errors.StoreUnavailable):
            future.result(60)
    assert UNKNOWN in caplog.text
    proxy.cut_answers = False
    again = [asked_again(store, append) for append in lost]
    assert again[0].replayed  # the first call reached the server and stands
    assert sorted(receipt.position for receipt in again) == positions(store)[1:]
    assert positions(store) == [1, 2, 3, 4, 5, 6]


def test_a_lost_question_is_written_when_it_is_asked_again(
    store: PostgresStore, proxy: Proxy
) -> None:
    store.append(one("before")).result(60)
    append = one("a", idempotency=IdempotencyKey("actor", "k", "f"))
    proxy.cut_questions = True
    with pytest.raises(errors.StoreUnavailable, match=UNKNOWN):
        store.append(append).result(60)
    proxy.cut_questions = False
    receipt = asked_again(store, append)
    assert (receipt.position, receipt.replayed) == (2, False)


def test_what_was_idle_while_the_line_was_cut_is_not_noticed(
    store: PostgresStore, database: Database, proxy: Proxy
) -> None:
    async def use() -> None:
        async with store.reading_here():
            for version in range(1, 4):
                receipt = await asyncio.wrap_future(store.append(one("a", version)))
                assert receipt.position == version
                assert await store.position() == version
                assert await store.document("v", "a") is None
                store.check()
                cut(database)
                proxy.hang_up()

    asyncio.run(use())


def cut(database: Database) -> None:
    """End every connection to a database, and wait until these are gone; others may have come."""
    mine = f"FROM pg_stat_activity WHERE datname = '{database.name}' AND backend_type ~ 'client'"
    database.server.execute(f"SELECT pg_terminate_backend(pid, 60000) {mine}")


def test_what_others_commit_is_heard_also_after_nobody_could_listen(database: Database) -> None:
    heard: queue.Queue[int] = queue.Queue()
    with (
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as listening,
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as writing,
    ):
        listening.subscribe_commits(heard.put)
        for position in range(1, 4):
            assert asked_again(writing, one(f"s{position}")).position == position
            while heard.get(timeout=60) < position:
                pass
            cut(database)


def test_what_cannot_be_listened_to_is_tried_less_and_less_often(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: queue.Queue[str] = queue.Queue()
    connect = Patient.to

    def connected(conninfo: str, limit_s: float) -> Patient:
        tried.put(conninfo)
        return connect(conninfo, limit_s)

    monkeypatch.setattr(Patient, "to", connected)
    with postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as store:
        database.server.execute("REVOKE SELECT ON ledger.head FROM ledger_app", database.name)
        tried.queue.clear()
        store.subscribe_commits(lambda _position: None)
        for _attempt in range(4):
            tried.get(timeout=60)
        database.server.execute("GRANT SELECT ON ledger.head TO ledger_app", database.name)
        deadline = time.monotonic() + 60
        while not any("again" in line for line in caplog.messages):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    nobody, again = (line for line in caplog.messages if "isten" in line)
    assert nobody.startswith("Nobody listens")
    assert "permission denied" in nobody
    assert again.startswith("Listening to")
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_server_that_hangs_is_given_up_in_time(server: Server) -> None:
    database = server.create_database("hanging")
    adapters.create(database.owner_url)
    store = PostgresStore(database.app_url, queue_max=9, idempotency_days=30, timeout_s=3)
    first, append = (
        one(name, idempotency=IdempotencyKey("actor", name, "f")) for name in ("a", "b")
    )
    children: list[int] = []

    async def use_all() -> None:
        """Have every connection made and used once."""
        assert (await asyncio.wrap_future(store.append(first))).position == 1
        assert await store.document("v", "a") is None
        assert len(await store.stream("a")) == 1
        store.check()

    async def ask() -> None:
        async with store.reading_here():
            for attempt in itertools.count(1):
                try:
                    await use_all()
                    break
                except errors.StoreUnavailable:
                    # A busy machine may stand still for longer than the store waits, but not often.
                    assert attempt < 20
            children.extend(row[0] for row in server.execute("SELECT pid FROM pg_stat_activity"))
            tell(signal.SIGSTOP)
            asked = (
                asyncio.wrap_future(store.append(append)),
                store.document("v", "a"),
                store.owner("doi", "x"),
                store.stream("a"),
                asyncio.to_thread(store.check),
            )
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(refusal) for refusal in found] == [errors.StoreUnavailable] * 5
            assert UNKNOWN in str(found[0])

    def tell(what: signal.Signals) -> None:
        for pid in (*children, server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    with store:
        try:
            asyncio.run(ask())
        finally:
            tell(signal.SIGCONT)
        assert asked_again(store, append).version == 1
    with postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as patient:
        assert positions(patient) == [1, 2]


def test_a_wrong_password_is_a_sentence_without_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.execute("CREATE ROLE secretive LOGIN PASSWORD 'right'")
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("host all secretive 127.0.0.1/32 scram-sha-256\n" + before)
    server.execute("SELECT pg_reload_conf()")
    url = f"postgresql://secretive:hunter2@127.0.0.1:{server.port}/postgres"
    # Until the server has come to read the file again, anybody is let in.
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            psycopg.connect(url).close()
    postgres.open_store(url, timeout_s=PATIENCE_S).close()
    assert 'password authentication failed for user "secretive"' in caplog.text
    assert "hunter2" not in caplog.text


# ------------------------------------------------------------ stopped and started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with given_postgres.running() as own:
        yield own


def test_a_server_that_stops_and_starts_under_load_loses_nothing(server: Server) -> None:
    database = server.create_database("restarted")
    adapters.create(database.owner_url)
    done = threading.Event()
    heard: list[int] = []
    received: list[list[Receipt]] = [[] for _writer in range(8)]
    refused = [0] * 8

    def write(store: PostgresStore, writer: int) -> None:
        while not done.is_set():
            name = f"w{writer}-{len(received[writer])}"
            append = one(name, idempotency=IdempotencyKey("actor", name, "f"))
            try:
                received[writer].append(store.append(append).result(120))
            except errors.StoreUnavailable:
                refused[writer] += 1
                time.sleep(0.02)

    def until_more(counts: Callable[[], list[int]]) -> None:
        """Wait until every writer has met something ten times more."""
        wanted = [count + 10 for count in counts()]
        deadline = time.monotonic() + 60
        while any(map(operator.lt, counts(), wanted)):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with (
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as store,
        ThreadPoolExecutor(8) as pool,
        contextlib.ExitStack() as end,
    ):
        end.callback(done.set)
        store.subscribe_commits(heard.append)
        writers = [pool.submit(write, store, n) for n in range(8)]
        for away in (server.stop, server.kill):
            until_more(lambda: [*map(len, received)])
            away()
            until_more(lambda: refused)
            server.start()
        until_more(lambda: [*map(len, received)])
        done.set()
        for writer in writers:
            writer.result(120)
        receipts = {r.originator_id: r.position for mine in received for r in mine}
        rows = {row.originator_id: row.position for row in store.rows()}
        assert receipts.items() <= rows.items()
        # What was written and never acknowledged is at most what was in flight at the end.
        assert len(rows) - len(receipts) <= 8
        assert sorted(rows.values()) == list(range(1, len(rows) + 1))
        assert heard == sorted(heard)
        assert heard[-1] == len(rows)
