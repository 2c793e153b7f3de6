"""The two adapters judge in different ways, Python here and SQL there, and answer alike."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from given_stores import ADAPTERS, event
from ledger.store import (
    Append,
    Artifact,
    Document,
    IdempotencyKey,
    Receipt,
    Reservation,
    ReservationConflict,
    Store,
)

STREAMS = ("a", "b", "c")
_examples = itertools.count()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    folder: Path = tmp_path_factory.mktemp("both")
    one, other = (adapter.open(adapter.create(folder)) for adapter in ADAPTERS.values())
    with one, other:
        yield one, other


@st.composite
def streams(draw: st.DrawFn) -> tuple[Any, ...]:
    """Events of one append: runs of versions that are often, but not always, the next."""
    found = []
    for stream in draw(st.lists(st.sampled_from(STREAMS), min_size=1, max_size=2)):
        first = draw(st.integers(1, 3))
        found += [event(stream, first + n, b"%d" % n) for n in range(draw(st.integers(1, 2)))]
    return tuple(found)


appends = st.builds(
    Append,
    events=streams(),
    documents=st.lists(
        st.builds(
            Document,
            st.just("v"),
            st.sampled_from(STREAMS),
            st.integers(1, 9),
            st.binary(max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    reservations=st.lists(
        st.builds(
            Reservation, st.just("doi"), st.sampled_from(("x", "y")), st.sampled_from(("", "a"))
        ),
        max_size=2,
    ).map(tuple),
    guards=st.lists(st.tuples(st.sampled_from(STREAMS), st.integers(0, 1)), max_size=2).map(tuple),
    idempotency=st.none()
    | st.builds(
        IdempotencyKey, st.just("actor"), st.sampled_from(("k", "l")), st.sampled_from(("f", "g"))
    ),
    artifacts=st.lists(
        st.builds(Artifact, st.sampled_from(("d", "e")), st.integers(0, 9)), max_size=2
    ).map(tuple),
)


def apart(append: Append, example: str) -> Append:
    """Return an append whose names occur in one example alone."""
    key = append.idempotency
    return Append(
        tuple(event(example + str(e.originator_id), e.originator_version, e.state)
              for e in append.events),
        tuple(replace(d, id=example + d.id) for d in append.documents),
        tuple(replace(r, value=example + r.value, owner=r.owner and example + r.owner)
              for r in append.reservations),
        tuple((example + stream, version) for stream, version in append.guards),
        key and replace(key, key=example + key.key),
        tuple(replace(a, digest=example + a.digest) for a in append.artifacts),
    )  # fmt: skip


def answers(store: Store, appends: list[Append]) -> list[Any]:
    """Return what is answered to appends that queue together."""
    gate = threading.Event()
    store._writer.submit(gate.wait)  # type: ignore[attr-defined]
    futures = [store.append(append) for append in appends]
    gate.set()
    return [seen(future.exception(60) or future.result()) for future in futures]


def seen(answer: Any) -> Any:
    """Return an answer without its time, which differs."""
    match answer:
        case Receipt():
            return (answer.originator_id, answer.version, answer.position, answer.replayed)
        case ReservationConflict():
            return ("reserved", answer.reservation, answer.owner)
        case _:
            return (type(answer).__name__, str(answer))


def held(store: Store, example: str, after: int) -> list[Any]:
    """Return everything that an example has left behind."""

    async def look() -> list[Any]:
        names = [example + name for name in (*STREAMS, "x", "y", "d", "e")]
        documents = await store.documents_of("v", names)
        return [
            {key: (d.version, d.position, d.body) for key, d in documents.items()},
            await store.owners_of("doi", names),
            [await store.artifact(name) for name in names],
        ]

    rows = store.rows(after)
    return [
        [(r.position, r.originator_id, r.originator_version, r.topic, r.state) for r in rows],
        *asyncio.run(look()),
    ]


@settings(max_examples=150, deadline=None)
@given(batches=st.lists(st.lists(appends, min_size=1, max_size=8), min_size=1, max_size=3))
def test_the_same_batches_get_the_same_answers_and_leave_the_same_behind(
    both: tuple[Store, Store], batches: list[list[Append]]
) -> None:
    one, other = both
    example = f"{next(_examples)}-"
    after = asyncio.run(one.position())
    assert asyncio.run(other.position()) == after
    for batch in batches:
        wanted = [apart(append, example) for append in batch]
        assert answers(one, wanted) == answers(other, wanted)
    assert held(one, example, after) == held(other, example, after)
