"""How long a key holds, what artifacts the log names, and look-ups of many names at once."""

from __future__ import annotations

import asyncio

import pytest

import given_stores
from given_stores import Place, event, one, positions
from ledger.store import (
    Append,
    Artifact,
    Document,
    IdempotencyKey,
    Receipt,
    Reservation,
    Store,
    VersionConflict,
)

place, store = given_stores.place, given_stores.store
KEY = IdempotencyKey("actor", "key", "f")


def test_a_key_that_is_too_old_is_unknown_and_is_taken_over(place: Place) -> None:
    with place.open() as store:
        first = store.append(one("a", idempotency=KEY)).result(60)
        assert asyncio.run(store.answered(KEY)) == Receipt(
            "a", 1, first.position, first.recorded_at, replayed=True
        )
    with place.open(idempotency_days=0) as store:
        assert asyncio.run(store.answered(KEY)) is None
        # Whatever it asked for then: another request may use it now.
        other = IdempotencyKey("actor", "key", "g")
        second = store.append(one("b", idempotency=other)).result(60)
        assert (second.position, second.replayed) == (2, False)
        third = store.append(one("c", idempotency=KEY)).result(60)
        assert (third.position, third.replayed) == (3, False)
    with place.open() as store:
        again = store.append(one("d", idempotency=KEY)).result(60)
        assert (again.position, again.replayed) == (3, True)


def test_old_keys_are_forgotten_and_young_ones_kept(place: Place) -> None:
    keys = [IdempotencyKey("actor", f"k{n}", "f") for n in range(20)]
    with place.open() as store:
        for future in [store.append(one(k.key, idempotency=k)) for k in keys]:
            future.result(60)
    with place.open() as store:
        store.append(one("young")).result(60)
        assert all(asyncio.run(store.answered(key)) for key in keys)
    with place.open(idempotency_days=0) as store:
        store.append(one("old")).result(60)
    with place.open() as store:
        assert not any(asyncio.run(store.answered(key)) for key in keys)


def test_an_artifact_is_named_with_the_event_that_names_it_or_not_at_all(store: Store) -> None:
    store.append(one("a", artifacts=(Artifact("d1", 7), Artifact("d2", 8)))).result(60)
    refused = one("a", 1, artifacts=(Artifact("d3", 9),))
    assert isinstance(store.append(refused).exception(60), VersionConflict)
    store.append(one("a", 2, artifacts=(Artifact("d1", 7),))).result(60)
    assert [asyncio.run(store.artifact(d)) for d in ("d1", "d2", "d3")] == [7, 8, None]


def test_many_names_are_looked_up_at_once(store: Store) -> None:
    for n in range(5):
        doi = Reservation("doi", f"10.1/{n}", f"s{n}")
        document = Document("v", f"s{n}", 1, b"%d" % n)
        store.append(one(f"s{n}", documents=(document,), reservations=(doi,))).result(60)

    async def look() -> None:
        wanted = ["s1", "s3", "none", "s1", "a\0b", "\ud800"]
        found = await store.documents_of("v", wanted)
        assert {key: (d.id, d.body) for key, d in found.items()} == {
            "s1": ("s1", b"1"),
            "s3": ("s3", b"3"),
        }
        assert await store.documents_of("w", wanted) == {}
        assert await store.documents_of("v", []) == {}
        owners = await store.owners_of("doi", ["10.1/0", "10.1/4", "10.1/9", "10.1/0\0"])
        assert owners == {"10.1/0": "s0", "10.1/4": "s4"}
        assert await store.owners_of("handle", ["10.1/0"]) == {}

    asyncio.run(look())


@pytest.mark.parametrize("name", ["s\0", "\0", "\ud800", "s\udfff"])
def test_what_no_database_can_hold_is_not_there(store: Store, name: str) -> None:
    store.append(one("s", documents=(Document("v", "s", 1, b""),))).result(60)

    async def look() -> list[object]:
        return [
            await store.document("v", name),
            await store.document(name, "s"),
            await store.owner("doi", name),
            await store.artifact(name),
            await store.stream(name),
            await store.answered(IdempotencyKey("actor", name, "f")),
        ]

    async def here() -> list[object]:
        async with store.reading_here():
            return await look()

    nothing: list[object] = [None, None, None, None, [], None]
    assert asyncio.run(look()) == nothing
    assert asyncio.run(here()) == nothing


def test_an_append_that_says_one_thing_twice_means_the_last_and_holds_it_once(
    store: Store,
) -> None:
    twice = Append(
        (event("a", 1), event("a", 2)),
        documents=(Document("v", "a", 1, b"first"), Document("v", "a", 2, b"last")),
        reservations=(Reservation("doi", "x", "a"),) * 2,
        artifacts=(Artifact("d", 1),) * 2,
    )
    assert store.append(twice).result(60).position == 2
    assert [(d.version, d.body) for d in store.documents("v")] == [(2, b"last")]
    torn = one("b", reservations=(Reservation("doi", "y", "b"), Reservation("doi", "y", "c")))
    assert store.append(torn).exception(60) is not None
    assert asyncio.run(store.owner("doi", "y")) is None
    assert positions(store) == [1, 2]
