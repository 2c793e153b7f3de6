"""What a batch costs on PostgreSQL, how look-ups go together, and how views are swapped there."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import psycopg
import pytest

import given_postgres
from given_patience import PATIENCE_S
from given_postgres import Database
from given_stores import event, one, positions
from ledger import errors
from ledger.store import (
    Append,
    Document,
    IdempotencyKey,
    Receipt,
    Reservation,
    StoredDocument,
    postgres,
)
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_arrays import packed
from ledger.store.sealing import ready

BATCH = 32


@pytest.fixture
def database() -> Database:
    return given_postgres.fresh_database()


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    with postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as opened:
        yield opened


def full(n: int) -> Append:
    """Return an append that uses every table."""
    return one(
        f"s{n}",
        documents=(Document("v", f"s{n}", 1, b"x"),),
        reservations=(Reservation("handle", f"h{n}", f"s{n}"),),
        guards=(("policy", 0),),
        idempotency=IdempotencyKey("actor", f"k{n}", "f"),
    )


def together(store: PostgresStore, appends: list[Append]) -> list[Future[Receipt]]:
    """Queue appends while the writer waits, so that they may share a batch."""
    gate = threading.Event()
    store._writer.submit(gate.wait)
    futures = [store.append(append) for append in appends]
    gate.set()
    return futures


# ------------------------------------------------------------ what a batch costs


def test_a_batch_is_one_statement_of_one_transaction(database: Database) -> None:
    database.server.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    with postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as store:
        # The first batch also connects, and looks for keys that are too old.
        store.append(one("warm")).result(60)
        log = database.server.folder / "log"
        before = log.stat().st_size
        receipts = [f.result(60) for f in together(store, [full(n) for n in range(BATCH)])]
        assert sorted(r.position for r in receipts) == list(range(2, BATCH + 2))
        said = log.read_bytes()[before:].decode().splitlines()
    statements = [line for line in said if re.search("LOG:  (statement|execute)", line)]
    assert len(statements) == 1
    assert "ledger.append" in statements[0]


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        ("integer", [0, 1, -1, 2**31 - 1]),
        ("bigint", [0, 1, -1, 2**63 - 1, -(2**63)]),
        ("text", ["", "NULL", '{"a",b}', "\u00e9\U0001f600", "x" * 100_000]),
        ("bytea", [b"", b"\x00\xff", bytes(100_000)]),
    ],
)
def test_a_list_that_is_sent_packed_arrives_as_it_was(
    store: PostgresStore, kind: str, items: list[Any]
) -> None:
    store.append(one("connected")).result(60)
    connection = store._session.connection
    query = f"SELECT a, pg_typeof(a)::text FROM (SELECT %b::{kind}[] AS a) AS given".encode()  # noqa: S608 - a constant
    for given in (items, items[:1], []):
        found = connection.execute(query, (packed(kind, given),), binary=True).fetchone()
        assert found == (given, f"{kind}[]")


def test_a_batch_takes_the_same_locks_whatever_its_size(store: PostgresStore) -> None:
    store.append(one("warm")).result(60)
    session = store._session

    def locks(appends: list[Append]) -> list[tuple[Any, ...]]:
        session.connection.execute("BEGIN")
        session.call([ready(append) for append in appends])
        found = session.connection.execute(
            "SELECT coalesce(relation::regclass::text, locktype), mode FROM pg_locks "
            "WHERE pid = pg_backend_pid() AND relation IS DISTINCT FROM 'pg_locks'::regclass "
            "ORDER BY 1, 2"
        ).fetchall()
        session.connection.execute("ROLLBACK")
        return found

    one_append, many = locks([full(0)]), locks([full(n) for n in range(BATCH)])
    assert one_append == many
    # On tables no lock that keeps others from reading or writing; the order comes from one row.
    assert {mode for name, mode in many if name.startswith("ledger.")} == {
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
    }
    assert {name for name, mode in many if mode == "RowShareLock"} == {"ledger.head"}


def test_only_what_touches_the_same_waits_for_the_next_batch(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    call = store._session.call

    def counted(wishes: Any, **more: Any) -> Any:
        calls.append(len(wishes))
        return call(wishes, **more)

    monkeypatch.setattr(store._session, "call", counted)
    streams = [event("a", 1), event("b", 1), event("a", 2), event("c", 1)]
    futures = together(store, [Append((e,)) for e in streams])
    assert [f.result(60).position for f in futures] == [1, 2, 3, 4]
    assert calls == [2, 2]


# ------------------------------------------------------------ look-ups that go together


def test_look_ups_that_come_at_any_moment_are_all_answered(store: PostgresStore) -> None:
    documents = tuple(Document("v", f"d{n}", 1, b"%d" % n) for n in range(50))
    store.append(one("a", documents=documents)).result(60)
    asked = 0

    async def ask(n: int, depth: int) -> None:
        nonlocal asked
        asked += 1
        found = await store.document("v", f"d{n % 60}")
        assert (found.body if found else None) == (b"%d" % (n % 60) if n % 60 < 50 else None)
        if depth:
            # Asked in the very turn of the loop in which the answers before it were given.
            await asyncio.gather(ask(n + 1, depth - 1), ask(n + 7, depth - 1))

    async def main() -> None:
        async with store.reading_here(), asyncio.timeout(60):
            for pause in range(8):
                tasks = [asyncio.create_task(ask(n, 4)) for n in range(4)]
                for _turn in range(pause):
                    await asyncio.sleep(0)
                tasks += [asyncio.create_task(ask(n, 3)) for n in range(9)]
                await asyncio.gather(*tasks)

    asyncio.run(main())
    assert asked == 8 * (4 * 31 + 9 * 15)


def test_look_ups_share_queries_and_see_what_was_committed_before_they_were_asked(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with store.reading_here():
            desk = store._desk
            assert desk is not None
            fetch, queries = desk._lookups.fetch, 0

            async def counted(query: bytes, given: tuple[Any, ...]) -> list[Any]:
                nonlocal queries
                queries += 1
                return await fetch(query, given)

            monkeypatch.setattr(desk._lookups, "fetch", counted)
            await asyncio.gather(*(store.document("v", f"d{n}") for n in range(200)))
            assert queries <= 2
            for version in range(1, 50):
                document = Document("v", "a", version, b"")
                others = [asyncio.create_task(store.document("v", "a")) for _ in range(3)]
                await asyncio.sleep(0)
                await asyncio.wrap_future(store.append(one("a", version, documents=(document,))))
                found = await store.document("v", "a")
                assert found is not None
                assert found.version == version
                await asyncio.gather(*others)

    asyncio.run(main())


def test_who_asks_and_goes_away_harms_nobody(store: PostgresStore) -> None:
    store.append(one("a", documents=(Document("v", "a", 1, b""),))).result(60)

    async def main() -> None:
        async with store.reading_here(), asyncio.timeout(60):
            for _round in range(20):
                gone: list[asyncio.Task[Any]] = [
                    asyncio.create_task(store.document("v", "a")) for _ in range(5)
                ]
                gone += [asyncio.create_task(store.stream("a")) for _ in range(3)]
                stays = asyncio.create_task(store.document("v", "a"))
                await asyncio.sleep(0)
                for task in gone:
                    task.cancel()
                assert await stays is not None
                assert len(await store.stream("a")) == 1

    asyncio.run(main())


# ------------------------------------------------------------ views that are swapped


def folded(store: PostgresStore, count: int) -> Iterator[StoredDocument]:
    at = store.append(one("at")).result(60)
    for n in range(count):
        yield StoredDocument(f"d{n}", 1, at.position, at.recorded_at, b"new")


def test_a_view_whose_staged_documents_were_lost_is_left_as_it_was(
    store: PostgresStore, database: Database
) -> None:
    store.append(one("a", documents=(Document("v", "a", 1, b"old"),))).result(60)

    def forgetful() -> Iterator[StoredDocument]:
        for n, document in enumerate(folded(store, 2_500)):
            if n == 2_400:
                # As a crash of the server does to a table that is not logged.
                database.server.execute("TRUNCATE ledger.fresh_documents", database.name)
            yield document

    with pytest.raises(errors.StoreUnavailable, match="lost on the way"):
        store.replace_documents("v", forgetful(), upto=2)
    assert [(d.id, d.body) for d in store.documents("v")] == [("a", b"old")]
    staged = "SELECT count(*) FROM ledger.fresh_documents"
    assert database.server.execute(staged, database.name) == [(0,)]


def test_appends_go_on_while_a_view_is_staged_and_swapped(
    store: PostgresStore, database: Database
) -> None:
    def slowly() -> Iterator[StoredDocument]:
        for n, document in enumerate(folded(store, 3_000)):
            if n % 500 == 0:
                assert store.append(one(f"during{n}")).result(60).version == 1
            yield document

    store.replace_documents("v", slowly(), upto=1)
    assert sum(1 for _ in store.documents("v")) == 3_000
    before = database.server.execute(
        "SELECT xmin::text, id FROM ledger.documents ORDER BY id", database.name
    )
    store.replace_documents("v", list(store.documents("v")), upto=10)
    after = database.server.execute(
        "SELECT xmin::text, id FROM ledger.documents ORDER BY id", database.name
    )
    # What does not differ is not written again.
    assert after == before
    assert positions(store) == list(range(1, 8))


def test_whatever_the_database_refuses_undoes_the_swap(store: PostgresStore) -> None:
    at = store.append(one("a", documents=(Document("v", "a", 1, b"old"),))).result(60)
    twice = [StoredDocument("d", 1, 1, at.recorded_at, b"new")] * 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.replace_documents("v", twice, upto=1)
    assert [(d.id, d.body) for d in store.documents("v")] == [("a", b"old")]
