"""An ordered erasure rewrites one row together with the event that says so, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import given_postgres
import given_stores
from given_stores import Place, event, one
from ledger.store import (
    Append,
    Document,
    Erasure,
    GuardConflict,
    IdempotencyKey,
    LogRow,
    Store,
    VersionConflict,
)
from ledger.store.postgres import PostgresStore

place, store = given_stores.place, given_stores.store

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
SECRET = b'{"text":"Jane Q. Doe was here"}'
REDACTED = b'{"text":"[erased]"}'


def erasure(
    stream: str, version: int, position: int, body: bytes = REDACTED, **more: Any
) -> Append:
    """Return an append that erases; ``named`` may tell another position, ``digest`` other bytes."""
    told = {
        "position": more.pop("named", position),
        "redacted_digest": "sha256:" + hashlib.sha256(more.pop("digest", body)).hexdigest(),
    }
    topic = more.pop("topic", "payload.erased:1")
    fact = StoredEvent(stream, version, topic, json.dumps(told).encode())
    return Append((fact,), erasure=Erasure(position, body), **more)


@pytest.fixture
def held(store: Store) -> Store:
    """Give a store with two streams; what is to go is at position 2."""
    store.append(one("a")).result(60)
    store.append(Append((event("a", 2, SECRET),))).result(60)
    store.append(one("b")).result(60)
    return store


def test_an_erasure_rewrites_one_row_and_says_so(held: Store) -> None:
    before = list(held.rows())
    document = Document("public_view", "a", 3, b"{}")
    receipt = held.append(erasure("a", 3, 2, documents=(document,))).result(60)
    after = list(held.rows())
    assert (receipt.version, receipt.position) == (3, 4)
    assert (after[1].state, after[1].salt) == (REDACTED, b"")
    assert after[1].payload_commitment == before[1].payload_commitment
    assert after[1].recorded_at == before[1].recorded_at
    assert [after[0], after[2]] == [before[0], before[2]]
    assert after[3].topic == "payload.erased:1"
    assert len(after[3].salt) == 32
    written = asyncio.run(held.document("public_view", "a"))
    assert written is not None
    assert (written.version, written.position) == (3, 4)


def test_a_row_can_be_rewritten_again_by_another_erasure(held: Store) -> None:
    held.append(erasure("a", 3, 2)).result(60)
    held.append(erasure("a", 4, 2, b'{"text":null}')).result(60)
    row = list(held.rows())[1]
    assert (row.state, row.salt) == (b'{"text":null}', b"")


def test_an_erasure_is_not_rewritten_by_another(held: Store) -> None:
    held.append(erasure("a", 3, 2)).result(60)
    with pytest.raises(REFUSED):
        held.append(erasure("a", 4, 4)).result(60)


def test_a_row_may_be_erased_from_in_the_midst_of_a_crowd(held: Store) -> None:
    futures = [held.append(one(f"s{n}")) for n in range(40)]
    futures.insert(20, held.append(erasure("a", 3, 2)))
    futures += [held.append(one(f"t{n}")) for n in range(40)]
    receipts = [future.result(60) for future in futures]
    assert sorted(receipt.position for receipt in receipts) == list(range(4, 85))
    assert list(held.rows())[1].state == REDACTED


@pytest.mark.parametrize(
    "wrong",
    [
        erasure("b", 2, 2),  # of another stream
        erasure("a", 3, 2, named=1),  # of another row
        erasure("a", 3, 9),  # of no row
        erasure("a", 3, 4),  # of itself
        erasure("a", 3, 2, topic="record.submitted:1"),  # that is none
        Append((event("a", 3),), erasure=Erasure(2, REDACTED)),  # that is none, and says nothing
    ],
)
def test_a_row_is_not_rewritten_without_its_erasure(held: Store, wrong: Append) -> None:
    before = list(held.rows())
    with pytest.raises(REFUSED):
        held.append(wrong).result(60)
    assert list(held.rows()) == before
    assert held.append(one("b", 2)).result(60).position == 4


def test_a_conflict_rewrites_nothing(held: Store) -> None:
    before = list(held.rows())
    with pytest.raises(VersionConflict):
        held.append(erasure("a", 2, 2)).result(60)
    with pytest.raises(GuardConflict):
        held.append(erasure("a", 3, 2, guards=(("b", 9),))).result(60)
    assert list(held.rows()) == before


def test_a_retry_rewrites_nothing_and_gets_the_first_answer(held: Store) -> None:
    key = IdempotencyKey("admin", "k", "f")
    first = held.append(erasure("a", 3, 2, idempotency=key)).result(60)
    held.append(erasure("a", 4, 2, b'{"text":null}')).result(60)
    again = held.append(erasure("a", 3, 2, idempotency=key)).result(60)
    assert again.replayed
    assert again.position == first.position
    assert list(held.rows())[1].state == b'{"text":null}'


@contextlib.contextmanager
def outside(place: Place) -> Iterator[Any]:
    """Give a connection of somebody who owns the database."""
    if place.adapter == "sqlite":
        with contextlib.closing(sqlite3.connect(place.place, isolation_level=None)) as connection:
            yield connection
    else:
        url = place.place.replace(given_postgres.APP, given_postgres.OWNER)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


def refused(place: Place, changed: str, position: int) -> None:
    """Expect that an owner of the database cannot change a row."""
    table = "events" if place.adapter == "sqlite" else "ledger.events"
    with outside(place) as connection, pytest.raises(REFUSED):
        connection.execute(f"UPDATE {table} SET {changed} WHERE position = {position}")  # noqa: S608


@pytest.mark.parametrize(
    "changed",
    [
        "state = salt",
        "state = state",
        "salt = payload_commitment",
        "position = 7",
        "recorded_at = 7",
        "originator_id = 'c'",
        "originator_version = 9",
        "topic = 'x:1'",
        "payload_commitment = salt",
    ],
)
def test_not_even_after_an_erasure_is_anything_else_rewritten(
    held: Store, place: Place, changed: str
) -> None:
    held.append(erasure("a", 3, 2)).result(60)
    before = list(held.rows())
    for position in (1, 3, 4):
        refused(place, changed, position)
    # Of the row itself PostgreSQL holds the body to its digest; SQLite knows no SHA-256.
    if changed != "state = state" and (place.adapter == "postgres" or changed != "state = salt"):
        refused(place, changed, 2)
    assert list(held.rows()) == before


def test_an_erasure_that_is_not_the_last_event_opens_nothing(held: Store, place: Place) -> None:
    held.append(erasure("a", 3, 2)).result(60)
    held.append(one("b", 2)).result(60)
    refused(place, "state = state", 2)


def test_postgresql_holds_the_body_to_the_digest_that_the_erasure_names(held: Store) -> None:
    wrong = erasure("a", 3, 2, digest=b"other bytes")
    if isinstance(held, PostgresStore):
        with pytest.raises(REFUSED):
            held.append(wrong).result(60)
        assert list(held.rows())[1].state == SECRET
    else:
        held.append(wrong).result(60)
        assert list(held.rows())[1].state == REDACTED


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_whatever_is_erased_the_rest_of_the_log_stays_as_it_was(
    store: Store, data: st.DataObject
) -> None:
    rows = list(store.rows())
    stream = data.draw(st.sampled_from(["a", "b", "c"]))
    version = sum(row.originator_id == stream for row in rows) + 1
    plain: list[LogRow] = [
        r for r in rows if r.originator_id == stream and not r.topic.startswith("payload")
    ]
    erasing: bool = data.draw(st.booleans())
    if plain and erasing:
        at: LogRow = data.draw(st.sampled_from(plain))
        body = json.dumps({"text": data.draw(st.text(max_size=5))}).encode()
        store.append(erasure(stream, version, at.position, body)).result(60)
        rows[at.position - 1] = type(at)(
            at.position, at.recorded_at, at.originator_id, at.originator_version, at.topic, body,
            b"", at.payload_commitment,
        )  # fmt: skip
    else:
        store.append(one(stream, version)).result(60)
    assert list(store.rows())[: len(rows)] == rows
