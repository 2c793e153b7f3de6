"""What the SQLite adapter does beyond the contract: its file, its guards, its bad days."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from given_stores import event, one, positions
from ledger import errors
from ledger.store import Append, Artifact, IdempotencyKey, Reservation, adapters
from ledger.store import sqlite as sqlite_store
from ledger.store.migrations import steps
from ledger.store.sqlite import SQLiteStore
from ledger.store.sqlite_files import APPLICATION_ID


@pytest.fixture
def path(tmp_path: Path) -> Path:
    created = tmp_path / "ledger.db"
    sqlite_store.create(created)
    return created


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with sqlite_store.open_store(path) as opened:
        yield opened


class Failing:
    """A session whose commit fails as often as it is told."""

    def __init__(self, session: Any, times: int) -> None:
        self._session, self._times = session, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def commit(self) -> None:
        if self._times:
            self._times -= 1
            raise sqlite3.OperationalError("disk I/O error")
        self._session.commit()


COPY = (
    "SELECT {}, recorded_at, originator_id, {}, topic, x'00', salt, payload_commitment "
    "FROM events WHERE position = 1"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET state = x'00'",
        "UPDATE OR REPLACE events SET originator_version = 1 WHERE position = 2",
        "UPDATE events SET recorded_at = 1",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events " + COPY.format("position", "originator_version"),
        "REPLACE INTO events " + COPY.format("3", "originator_version"),
        "REPLACE INTO events " + COPY.format("position", "9"),
        "INSERT INTO events " + COPY.format("4", "9"),
        "INSERT INTO events " + COPY.format("NULL", "9"),
    ],
)
def test_an_outsider_cannot_change_remove_or_skip(
    store: SQLiteStore, path: Path, statement: str
) -> None:
    store.append(Append((event("a", 1), event("a", 2)))).result()
    before = list(store.rows())
    with sqlite3.connect(path) as outsider, pytest.raises(sqlite3.IntegrityError, match="events"):
        outsider.execute(statement)
    outsider.close()
    assert list(store.rows()) == before


def test_the_commitment_is_that_of_the_exact_bytes(store: SQLiteStore, path: Path) -> None:
    state = '{"title":"Ünïcode ✓"}'.encode()
    store.append(Append((event("a", 1, state),))).result()
    with sqlite3.connect(path) as outsider:
        row = outsider.execute("SELECT state, salt, payload_commitment FROM events").fetchone()
    outsider.close()
    assert row[0] == state
    assert len(row[1]) == 32
    assert row[2] == hashlib.sha256(b"ledger.payload.v1\n" + row[1] + state).digest()


def test_state_that_is_not_bytes_is_refused_before_it_queues(store: SQLiteStore) -> None:
    with pytest.raises(TypeError):
        store.append(Append((event("a", 1, "text"),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "append",
    [
        one("a\0b"),
        one("a", guards=(("read\0", 0),)),
        one("a", reservations=(Reservation("doi", "x\0", "a"),)),
        one("a", idempotency=IdempotencyKey("actor", "k\0", "f")),
    ],
)
def test_a_name_that_sqlite_would_cut_short_is_refused(store: SQLiteStore, append: Append) -> None:
    with pytest.raises(ValueError, match="NUL"):
        store.append(append)
    assert positions(store) == []


def test_the_file_survives_a_power_cut(store: SQLiteStore) -> None:
    connection = store._session.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


# ------------------------------------------------------------ bad days


def held(store: SQLiteStore) -> threading.Event:
    """Keep the writer in a commit until the event is set, so that what follows shares a batch."""
    there, release = threading.Event(), threading.Event()

    def wait(_position: int) -> None:
        there.set()
        release.wait(60)

    store.subscribe_commits(wait)
    store.append(one("first"))
    assert there.wait(60)
    return release


def test_a_full_disk_is_said_and_survived(store: SQLiteStore) -> None:
    store.append(one("a")).result()
    connection = store._session.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(errors.StoreUnavailable):
        store.append(Append((event("big", 1, b"x" * 200_000),))).result(60)
    assert positions(store) == [1]
    # The writer opened a connection of its own again, which knows no such bound.
    assert store.append(one("b")).result(60).position == 2


def test_what_is_too_big_for_the_disk_fails_alone(store: SQLiteStore) -> None:
    release = held(store)
    connection = store._session.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 8}")
    before = store.append(one("before"))
    big = store.append(Append((event("big", 1, b"x" * 200_000),)))
    after = store.append(one("after"))
    release.set()
    assert [before.result(60).position, after.result(60).position] == [2, 3]
    assert isinstance(big.exception(60), errors.StoreUnavailable)
    assert positions(store) == [1, 2, 3]


def test_what_is_too_big_for_sqlite_fails_alone(store: SQLiteStore) -> None:
    release = held(store)
    store._session.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
    big = store.append(Append((event("big", 1, b"x" * 200_000),)))
    after = store.append(one("after"))
    release.set()
    assert isinstance(big.exception(60), sqlite3.DataError)
    assert after.result(60).position == 2


def test_when_a_commit_fails_everybody_hears_of_it_and_the_writer_goes_on(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    release = held(store)
    store._writer._session = Failing(store._session, 1)
    lost = [store.append(one(f"s{n}")) for n in range(5)]
    release.set()
    assert {type(future.exception(60)) for future in lost} == {errors.StoreUnavailable}
    assert "5 appends could not be written" in caplog.text
    assert positions(store) == [1]
    assert store.append(one("s0")).result(60).position == 2


def test_a_lock_that_never_comes_is_said(
    store: SQLiteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store._session.connection.execute("PRAGMA busy_timeout = 50")
    with sqlite3.connect(path, isolation_level=None) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.ERROR), pytest.raises(errors.StoreUnavailable):
            store.append(one("a")).result(60)
        outsider.execute("ROLLBACK")
    outsider.close()
    assert store.append(one("a")).result(60).position == 1


# ------------------------------------------------------------ connections


def test_a_thread_that_ends_takes_its_connection_with_it(store: SQLiteStore) -> None:
    for _n in range(20):
        thread = threading.Thread(target=store.max_notification_id)
        thread.start()
        thread.join()
    gc.collect()
    assert len(store._readers._all) == 0


def test_a_subscription_that_stops_is_woken_no_more(store: SQLiteStore) -> None:
    with store.subscribe(gt=0) as subscription:
        store.append(one("a")).result()
        assert next(subscription).id == 1
        assert len(store._writer.woken) == 1
    assert store._writer.woken == []


@pytest.mark.parametrize("name", ["a%20b.db", "what?.db", "x#y.db", "an ünusual name.db"])
def test_any_file_name_names_that_file(tmp_path: Path, name: str) -> None:
    sqlite_store.create(tmp_path / name)
    with sqlite_store.open_store(tmp_path / name) as store:
        store.append(one("a")).result()
        assert {file.name for file in tmp_path.iterdir()} >= {name}
        assert all(file.name.startswith(name) for file in tmp_path.iterdir())


def test_a_missing_or_foreign_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(errors.NotInitialised, match="ledger init"):
        sqlite_store.open_store(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"not a database at all, but some text" * 100)
    with pytest.raises(errors.StoreUnavailable):
        sqlite_store.open_store(foreign)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(errors.NotInitialised, match="not a ledger"):
        sqlite_store.open_store(tmp_path / "other.db")


def test_another_schema_version_is_refused_by_name(path: Path) -> None:
    with sqlite3.connect(path) as outsider:
        outsider.execute("PRAGMA user_version = 99")
    outsider.close()
    with pytest.raises(
        errors.WrongSchema,
        match=rf"version 99, this program has {steps('sqlite')[-1].version}: use its program",
    ):
        sqlite_store.open_store(path)


def test_a_ledger_of_the_first_schema_is_refused_until_it_is_migrated(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    first = steps("sqlite")[0].statements
    with sqlite3.connect(old) as outsider:
        outsider.executescript(first)
        outsider.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        outsider.execute("PRAGMA user_version = 1")
        outsider.execute(
            "INSERT INTO events VALUES (1, 1, 's', 1, 'test.happened:1', x'7b7d', x'00', x'00')"
        )
    outsider.close()
    with pytest.raises(errors.WrongSchema, match=r"version 1, .* run ledger init to migrate it"):
        sqlite_store.open_store(old)
    assert adapters.create(f"sqlite:///{old}") == "migrated"
    with sqlite_store.open_store(old) as store:
        kept = Append((event("s", 2),), artifacts=(Artifact("sha256:aa", 7),))
        assert store.append(kept).result(60).position == 2
        assert asyncio.run(store.artifact("sha256:aa")) == 7
    assert adapters.create(f"sqlite:///{old}") == "unchanged"
