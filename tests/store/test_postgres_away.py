"""What is answered while PostgreSQL is away, comes back, or is lost in the middle of an append."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import given_postgres
from given_postgres import Database, Server
from given_stores import one, positions
from ledger import errors
from ledger.store import Append, IdempotencyKey, Receipt, adapters, postgres
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_patience import Patient

UNKNOWN = "Whether it was written is not known"


class Proxy:
    """Stands between a ledger and its server, and cuts the line where it is told."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flows: list[threading.Thread] = []
        self.cut_questions = self.cut_answers = False
        threading.Thread(target=self._accept, daemon=True).start()

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

    def close(self) -> None:
        self._listener.close()
        for client, server in self._pairs:
            client.close()
            server.close()


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
    with postgres.open_store(through, timeout_s=10) as opened:
        yield opened


def asked_again(store: PostgresStore, append: Append) -> Receipt:
    """Return the answer to an append that is asked until the store is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return store.append(append).result(30)
        except errors.StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# ------------------------------------------------------------ lost in the middle


def test_a_lost_answer_is_told_truthfully_to_whoever_asks_again(
    store: PostgresStore, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    store.append(one("before")).result(10)
    lost = [one(f"s{n}", idempotency=IdempotencyKey("actor", f"k{n}", "f")) for n in range(5)]
    proxy.cut_answers = True
    futures = [store.append(append) for append in lost]
    for future in futures:
        with pytest.raises(errors.StoreUnavailable):
            future.result(10)
    assert UNKNOWN in caplog.text
    proxy.cut_answers = False
    again = [asked_again(store, append) for append in lost]
    assert again[0].replayed  # the first call reached the server and stands
    assert sorted(receipt.position for receipt in again) == positions(store)[1:]
    assert positions(store) == [1, 2, 3, 4, 5, 6]


def test_a_lost_question_is_written_when_it_is_asked_again(
    store: PostgresStore, proxy: Proxy
) -> None:
    store.append(one("before")).result(10)
    append = one("a", idempotency=IdempotencyKey("actor", "k", "f"))
    proxy.cut_questions = True
    with pytest.raises(errors.StoreUnavailable, match=UNKNOWN):
        store.append(append).result(10)
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
        postgres.open_store(database.app_url) as listening,
        postgres.open_store(database.app_url) as writing,
    ):
        listening.subscribe_commits(heard.put)
        for position in range(1, 4):
            assert writing.append(one(f"s{position}")).result(10).position == position
            while heard.get(timeout=10) < position:
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
    with postgres.open_store(database.app_url) as store:
        database.server.execute("REVOKE SELECT ON ledger.head FROM ledger_app", database.name)
        tried.queue.clear()
        store.subscribe_commits(lambda _position: None)
        for _attempt in range(4):
            tried.get(timeout=30)
        database.server.execute("GRANT SELECT ON ledger.head TO ledger_app", database.name)
        deadline = time.monotonic() + 30
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
    append = one("b", idempotency=IdempotencyKey("actor", "k", "f"))
    children: list[int] = []

    async def ask() -> None:
        async with store.reading_here():
            assert (await asyncio.wrap_future(store.append(one("a")))).position == 1
            assert await store.document("v", "a") is None
            assert len(await store.stream("a")) == 1
            store.check()
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
        assert positions(store) == [1, 2]


# ------------------------------------------------------------ not there, or not as it should be


def test_a_server_that_is_away_is_no_reason_not_to_open(caplog: pytest.LogCaptureFixture) -> None:
    port = given_postgres.free_port()
    with postgres.open_store(f"postgresql://u:hunter2@127.0.0.1:{port}/d", timeout_s=2) as store:
        assert [r.levelno for r in caplog.records] == [logging.WARNING]
        assert f"127.0.0.1:{port}/d cannot be used" in caplog.text
        assert "Connection refused" in caplog.text
        with pytest.raises(errors.StoreUnavailable, match="Connection refused"):
            store.append(one("a")).result(10)
        with pytest.raises(errors.StoreUnavailable, match="Connection refused"):
            store.check()

        async def ask() -> None:
            async with store.reading_here():
                with pytest.raises(errors.StoreUnavailable, match="Connection refused"):
                    await store.document("v", "a")
                with pytest.raises(errors.StoreUnavailable, match="Connection refused"):
                    await store.stream("a")

        asyncio.run(ask())
    assert "hunter2" not in caplog.text


def test_what_is_found_when_the_server_comes_is_said_to_everybody() -> None:
    server = given_postgres.session_server()
    name = f"ledger_{time.time_ns()}"
    empty = server.create_database(name)
    store = PostgresStore(empty.app_url, queue_max=9, idempotency_days=30, timeout_s=2)
    with store:
        for _twice in range(2):
            with pytest.raises(errors.NotInitialised, match="run ledger init"):
                store.append(one("a")).result(10)
            with pytest.raises(errors.NotInitialised, match="run ledger init"):
                asyncio.run(store.position())
        adapters.create(empty.owner_url)
        time.sleep(0.3)
        assert store.append(one("a")).result(10).position == 1


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:hunter2%zz@h/d",
        "postgresql://u:hunter2@h:port:1/d",
        "postgresql://u:hunter2@[::1/d",
        "postgresql://u:hunter2@h/d?no_such_word=hunter2",
        "postgresql://u:hunter2@h1,h2:1,2,3/d",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.suppress(errors.StoreUnavailable), postgres.open_store(address, timeout_s=2):
        pass
    with pytest.raises(errors.StoreUnavailable) as refusal:
        adapters.create(address)
    assert "hunter2" not in str(refusal.value) + caplog.text
    assert "\n" not in str(refusal.value)


def test_a_wrong_name_is_a_sentence(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for url, why in (
        (database.server.url(database.name, "nobody_at_all"), 'role "nobody_at_all" does not'),
        (database.server.url("no_such_database", given_postgres.APP), '"no_such_database" does'),
    ):
        with postgres.open_store(url, timeout_s=2):
            assert why in caplog.text
        caplog.clear()


def test_a_wrong_password_is_a_sentence_without_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.execute("CREATE ROLE secretive LOGIN PASSWORD 'right'")
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("host all secretive 127.0.0.1/32 scram-sha-256\n" + before)
    server.execute("SELECT pg_reload_conf()")
    url = f"postgresql://secretive:hunter2@127.0.0.1:{server.port}/postgres"
    with postgres.open_store(url, timeout_s=2):
        pass
    assert 'password authentication failed for user "secretive"' in caplog.text
    assert "hunter2" not in caplog.text


def test_too_many_readers_are_refused_in_time(database: Database) -> None:
    with (
        postgres.open_store(database.app_url, timeout_s=2) as store,
        contextlib.ExitStack() as busy,
    ):
        for _connection in range(8):
            busy.enter_context(store._connections.using())
        with pytest.raises(errors.StoreUnavailable, match="All 8 connections"):
            store.check()


def test_a_database_that_asks_for_stricter_isolation_changes_nothing(database: Database) -> None:
    stricter = f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable"
    database.server.execute(stricter)
    stores = [postgres.open_store(database.app_url) for _ in range(2)]
    with stores[0], stores[1]:
        futures = [stores[n % 2].append(one(f"s{n}")) for n in range(200)]
        assert sorted(f.result(10).position for f in futures) == list(range(1, 201))


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

    def write(store: PostgresStore, writer: int) -> tuple[list[Receipt], int]:
        receipts: list[Receipt] = []
        refused = 0
        while not done.is_set():
            name = f"w{writer}-{len(receipts)}"
            append = one(name, idempotency=IdempotencyKey("actor", name, "f"))
            try:
                receipts.append(store.append(append).result(20))
            except errors.StoreUnavailable:
                refused += 1
                time.sleep(0.02)
        return receipts, refused

    with postgres.open_store(database.app_url, timeout_s=2) as store, ThreadPoolExecutor(8) as pool:
        store.subscribe_commits(heard.append)
        writers = [pool.submit(write, store, n) for n in range(8)]
        for end in (server.stop, server.kill):
            time.sleep(0.5)
            end()
            time.sleep(0.3)
            server.start()
        time.sleep(1)
        done.set()
        found = [writer.result(30) for writer in writers]
        receipts = {r.originator_id: r.position for mine, _refused in found for r in mine}
        assert all(refused for _mine, refused in found)
        rows = {row.originator_id: row.position for row in store.rows()}
        assert receipts.items() <= rows.items()
        # What was written and never acknowledged is at most what was in flight at the end.
        assert len(rows) - len(receipts) <= 8
        assert sorted(rows.values()) == list(range(1, len(rows) + 1))
        assert heard == sorted(heard)
        assert heard[-1] == len(rows)
