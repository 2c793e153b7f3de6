"""A log comes back as it was, or not at all: rows written verbatim, on both databases."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import given_postgres
import given_stores
from given_patience import PATIENCE_S
from given_stores import Place, one
from ledger import errors
from ledger.store import Artifact, LogRow, Reservation, adapters
from ledger.store.restoring import NotALog, Restored
from ledger.store.sealing import COMMITMENT_PREFIX

place = given_stores.place
EPOCH = datetime(2026, 7, 1, tzinfo=UTC)


def row(position: int, stream: str, version: int, **changes: object) -> LogRow:
    """Return a row with a salt and the commitment to its body."""
    salt, state = os.urandom(32), f'{{"n":{position}}}'.encode()
    made = LogRow(
        position,
        EPOCH + timedelta(microseconds=7 * position),
        stream,
        version,
        "test.happened:1",
        state,
        salt,
        hashlib.sha256(COMMITMENT_PREFIX + salt + state).digest(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def history(count: int) -> list[LogRow]:
    """Return the rows of three streams in turn, one of them erased."""
    rows = [row(n + 1, "abc"[n % 3], n // 3 + 1) for n in range(count)]
    rows[2] = replace(rows[2], salt=b"", state=b'{"n":null}')
    return rows


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that is yet to be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'ledger.db'}"
    server = given_postgres.session_server()
    return server.create_database(f"restored_{os.urandom(8).hex()}").owner_url


def restore(url: str, rows: list[LogRow]) -> None:
    with adapters.restored(url, [Restored(row) for row in rows]):
        pass


def rows_at(url: str) -> list[LogRow]:
    with adapters.open_store(url, queue_max=10, idempotency_days=1, timeout_s=PATIENCE_S) as store:
        return list(store.rows())


def is_empty(url: str) -> bool:
    """Whether nothing of a ledger is there, not even its tables, or no event is in them."""
    if url.startswith("sqlite"):
        folder = Path(url.removeprefix("sqlite:///")).parent
        return not folder.exists() or not list(folder.iterdir())
    return rows_at(url) == []


def test_rows_come_back_as_they_were(url: str) -> None:
    rows = history(2_500)
    restore(url, rows)
    assert rows_at(url) == rows


def test_a_restored_log_goes_on(url: str) -> None:
    restore(url, history(7))
    with adapters.open_store(url, queue_max=10, idempotency_days=1, timeout_s=PATIENCE_S) as store:
        receipt = store.append(one("a", 4)).result(60)
        assert receipt.position == 8
        assert store.head() == 8


def test_names_and_artifacts_come_with_their_rows(url: str) -> None:
    given = [
        Restored(row(1, "a", 1), (Reservation("handle", "SRCH:A", "a"),)),
        Restored(row(2, "b", 1), (Reservation("doi", "10.1/b", "b"),), (Artifact("d", 5),)),
        Restored(row(3, "b", 2), (Reservation("doi", "10.1/b", "b"),), (Artifact("d", 5),)),
    ]
    with adapters.restored(url, given):
        pass
    with adapters.open_store(url, queue_max=10, idempotency_days=1, timeout_s=PATIENCE_S) as store:

        async def found() -> tuple[object, ...]:
            return (
                await store.owner("handle", "SRCH:A"),
                await store.owner("doi", "10.1/b"),
                await store.artifact("d"),
            )

        assert asyncio.run(found()) == ("a", "b", 5)


def test_a_name_of_two_streams_is_refused(url: str) -> None:
    given = [
        Restored(row(1, "a", 1), (Reservation("doi", "10.1/x", "a"),)),
        Restored(row(2, "b", 1), (Reservation("doi", "10.1/x", "b"),)),
    ]
    with pytest.raises(NotALog, match=r"position 2: the doi 10\.1/x belongs to a"):  # noqa: SIM117
        with adapters.restored(url, given):
            pass
    assert is_empty(url)


Change = Callable[[list[LogRow]], object]
WRONG: dict[str, tuple[int, Change]] = {
    "a row is missing": (5, lambda rows: rows.pop(3)),
    "two rows are swapped": (4, lambda rows: rows.insert(2, rows.pop(3))),
    "a row comes twice": (4, lambda rows: rows.insert(4, rows[3])),
    "it begins later": (2, lambda rows: rows.pop(0)),
    "time stands still": (
        6,
        lambda rows: rows.__setitem__(5, replace(rows[5], recorded_at=rows[4].recorded_at)),
    ),
    "a version is skipped": (
        7,
        lambda rows: rows.__setitem__(6, replace(rows[6], originator_version=4)),
    ),
    "a version comes twice": (
        7,
        lambda rows: rows.__setitem__(6, replace(rows[6], originator_version=2)),
    ),
    "versions are swapped": (
        4,
        lambda rows: (
            rows.__setitem__(3, replace(rows[3], originator_version=3)),
            rows.__setitem__(6, replace(rows[6], originator_version=2)),
        ),
    ),
    "a stream begins at 0": (
        1,
        lambda rows: rows.__setitem__(0, replace(rows[0], originator_version=0)),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_rows_that_are_no_log_are_refused_whole(url: str, wrong: str) -> None:
    rows = history(9)
    position, change = WRONG[wrong]
    change(rows)
    with pytest.raises(NotALog) as refused:
        restore(url, rows)
    assert refused.value.position == position, refused.value
    assert is_empty(url)
    restore(url, history(9))
    assert len(rows_at(url)) == 9


def test_a_source_that_breaks_off_leaves_nothing(url: str) -> None:
    def broken() -> Iterator[Restored]:
        yield from [Restored(row) for row in history(1_500)]
        raise errors.BrokenArchive

    with pytest.raises(errors.BrokenArchive), adapters.restored(url, broken()):
        pass
    assert is_empty(url)


def test_a_ledger_with_events_is_left_alone(place: Place) -> None:
    with place.open() as store:
        store.append(one("a")).result(60)
    url = place.place
    if place.adapter == "postgres":
        url = url.replace(f"{given_postgres.APP}@", f"{given_postgres.OWNER}@")
    else:
        url = f"sqlite:///{url}"
    with pytest.raises(errors.LedgerNotEmpty, match="1 events"):
        restore(url, history(3))
    with place.open() as store:
        assert [r.originator_id for r in store.rows()] == ["a"]


def test_an_empty_ledger_is_filled_where_it_stands(place: Place) -> None:
    url = place.place
    if place.adapter == "postgres":
        url = url.replace(f"{given_postgres.APP}@", f"{given_postgres.OWNER}@")
    else:
        url = f"sqlite:///{url}"
    rows = history(20)
    with pytest.raises(NotALog):
        restore(url, [*rows[:-1], rows[0]])
    with place.open() as store:
        assert list(store.rows()) == []
    restore(url, rows)
    with place.open() as store:
        assert list(store.rows()) == rows


def test_the_role_that_serves_may_not_restore() -> None:
    database = given_postgres.fresh_database()
    with pytest.raises(errors.StoreUnavailable, match="permission denied"):
        restore(database.app_url, history(3))
    with psycopg.connect(database.app_url) as connection:
        row = connection.execute("SELECT count(*) FROM ledger.events").fetchone()
    assert row == (0,)


def test_the_journal_of_a_lost_ledger_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "ledger.db-wal").write_bytes(b"what was acknowledged")
    with pytest.raises(errors.StoreUnavailable, match=r"ledger\.db-wal belongs to a ledger"):
        restore(f"sqlite:///{tmp_path / 'ledger.db'}", history(3))
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db-wal"]


def test_one_restoration_at_a_time_in_a_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"

    def another() -> Iterator[Restored]:
        with pytest.raises(errors.StoreUnavailable, match="under way"):
            restore(url, history(3))
        yield from [Restored(row) for row in history(5)]

    with adapters.restored(url, another()):
        pass
    assert len(rows_at(url)) == 5
