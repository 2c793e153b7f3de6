"""What is answered where PostgreSQL is not there, or is not as it should be."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest

import given_postgres
from given_patience import PATIENCE_S
from given_postgres import Database
from given_stores import one
from ledger import errors
from ledger.store import adapters, postgres
from ledger.store.postgres import PostgresStore


@pytest.fixture
def database() -> Database:
    return given_postgres.fresh_database()


def test_a_server_that_is_away_is_no_reason_not_to_open(caplog: pytest.LogCaptureFixture) -> None:
    port = given_postgres.free_port()
    url = f"postgresql://u:hunter2@127.0.0.1:{port}/d"
    with postgres.open_store(url, timeout_s=PATIENCE_S) as store:
        assert [r.levelno for r in caplog.records] == [logging.WARNING]
        assert f"127.0.0.1:{port}/d cannot be used" in caplog.text
        assert "Connection refused" in caplog.text
        with pytest.raises(errors.StoreUnavailable, match="Connection refused"):
            store.append(one("a")).result(60)
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
    with PostgresStore(
        empty.app_url, queue_max=9, idempotency_days=30, timeout_s=PATIENCE_S
    ) as store:
        for _twice in range(2):
            with pytest.raises(errors.NotInitialised, match="run ledger init"):
                store.append(one("a")).result(60)
            with pytest.raises(errors.NotInitialised, match="run ledger init"):
                asyncio.run(store.position())
        adapters.create(empty.owner_url)
        time.sleep(0.3)
        assert store.append(one("a")).result(60).position == 1


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
    with contextlib.suppress(errors.StoreUnavailable):
        postgres.open_store(address, timeout_s=PATIENCE_S).close()
    with pytest.raises(errors.StoreUnavailable) as refusal:
        adapters.create(address)
    assert "hunter2" not in str(refusal.value) + caplog.text
    assert "\n" not in str(refusal.value)


def test_a_wrong_name_is_a_sentence(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for url, why in (
        (database.server.url(database.name, "nobody_at_all"), 'role "nobody_at_all" does not'),
        (database.server.url("no_such_database", given_postgres.APP), '"no_such_database" does'),
    ):
        with postgres.open_store(url, timeout_s=PATIENCE_S):
            assert why in caplog.text
        caplog.clear()


def test_too_many_readers_are_refused_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        postgres.open_store(database.app_url, timeout_s=PATIENCE_S) as store,
        contextlib.ExitStack() as busy,
    ):
        for _connection in range(8):
            busy.enter_context(store._connections.using())
        monkeypatch.setattr(store._connections, "_timeout_s", 0.1)
        with pytest.raises(errors.StoreUnavailable, match="All 8 connections"):
            store.check()


def test_a_database_that_asks_for_stricter_isolation_changes_nothing(database: Database) -> None:
    stricter = f"ALTER DATABASE {database.name} SET default_transaction_isolation = serializable"
    database.server.execute(stricter)
    stores = [postgres.open_store(database.app_url, timeout_s=PATIENCE_S) for _ in range(2)]
    with stores[0], stores[1]:
        futures = [stores[n % 2].append(one(f"s{n}")) for n in range(200)]
        assert sorted(f.result(60).position for f in futures) == list(range(1, 201))
