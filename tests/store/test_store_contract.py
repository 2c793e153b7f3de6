"""What every store promises, whatever it stands on."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

import given_stores
from given_stores import Place, event, one, positions
from ledger import errors
from ledger.store import (
    Append,
    Document,
    GuardConflict,
    IdempotencyKey,
    KeyConflict,
    QueueFull,
    Receipt,
    Reservation,
    ReservationConflict,
    Store,
    StoredDocument,
    VersionConflict,
)

place, store = given_stores.place, given_stores.store


def test_positions_are_dense_and_times_increase_under_many_writers(store: Store) -> None:
    def write(writer: int) -> list[Receipt]:
        return [store.append(one(f"s{writer}", v)).result() for v in range(1, 41)]

    with ThreadPoolExecutor(32) as pool:
        receipts = [r for found in pool.map(write, range(32)) for r in found]
    rows = list(store.rows(page=97))
    assert [row.position for row in rows] == list(range(1, 32 * 40 + 1))
    times = [row.recorded_at for row in rows]
    assert all(a < b for a, b in itertools.pairwise(times))
    placed = {(r.originator_id, r.version): (r.position, r.recorded_at) for r in receipts}
    assert placed == {
        (row.originator_id, row.originator_version): (row.position, row.recorded_at) for row in rows
    }


def test_the_log_can_be_read_stream_by_stream(store: Store) -> None:
    for version in range(1, 6):
        for stream in ("b", "a", "c-1"):
            store.append(one(stream, version)).result()
    read = store.rows_by_stream(upto=13, page=4)
    found = [(row.originator_id, row.originator_version) for row in read]
    # In order of position, event 13 is the fifth of "b", and 14 that of "a".
    assert found == [
        *(("a", version) for version in range(1, 5)),
        *(("b", version) for version in range(1, 6)),
        *(("c-1", version) for version in range(1, 5)),
    ]


def test_every_reader_of_rows_gives_what_seals_them(store: Store) -> None:
    store.append(Append((event("a", 1, b'{"n":1}'), event("a", 2, b'{"n":2}')))).result()
    rows = list(store.rows())
    assert store.rows_of("a") == asyncio.run(store.stream("a")) == rows
    for row in rows:
        sealed = b"ledger.payload.v1\n" + row.salt + row.state
        assert hashlib.sha256(sealed).digest() == row.payload_commitment
    assert rows[0].salt != rows[1].salt


def test_a_clock_that_steps_back_never_takes_time_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.append(one("a")).result()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000_000_000_000)
    after = store.append(one("b")).result()
    assert after.recorded_at > before.recorded_at


def test_an_append_of_several_events_happens_wholly_or_not_at_all(store: Store) -> None:
    receipt = store.append(Append((event("a", 1), event("a", 2), event("b", 1)))).result()
    assert (receipt.originator_id, receipt.version, receipt.position) == ("b", 1, 3)
    with pytest.raises(VersionConflict):
        store.append(Append((event("c", 1), event("a", 2)))).result()
    assert positions(store) == [1, 2, 3]
    assert store.append(one("c")).result().position == 4


@pytest.mark.parametrize("version", [0, 1, 3, 99])
def test_only_the_next_version_of_a_stream_is_taken(store: Store, version: int) -> None:
    store.append(one("a")).result()
    with pytest.raises(VersionConflict):
        store.append(one("a", version)).result()
    assert store.append(one("a", 2)).result().version == 2


def test_of_many_that_saw_the_same_version_one_wins(store: Store) -> None:
    futures = [store.append(one("a")) for _n in range(64)]
    outcomes = [future.exception(60) for future in futures]
    assert outcomes.count(None) == 1
    assert all(isinstance(o, VersionConflict) for o in outcomes if o is not None)


def test_a_reserved_name_belongs_to_one_stream(store: Store) -> None:
    doi = Reservation("doi", "10.1/x", "a")
    store.append(one("a", reservations=(doi,))).result()
    with pytest.raises(ReservationConflict) as conflict:
        store.append(one("b", reservations=(Reservation("doi", "10.1/x", "b"),))).result()
    assert conflict.value.owner == "a"
    assert asyncio.run(store.owner("doi", "10.1/x")) == "a"
    assert asyncio.run(store.owner("handle", "10.1/x")) is None
    assert positions(store) == [1]
    store.append(one("a", 2, reservations=(doi,))).result()


def test_a_guard_refuses_when_what_was_read_has_moved_on(store: Store) -> None:
    store.append(one("read")).result()
    store.append(one("a", guards=(("read", 1),))).result()
    store.append(one("read", 2)).result()
    with pytest.raises(GuardConflict):
        store.append(one("a", 2, guards=(("read", 1),))).result()
    store.append(one("a", 2, guards=(("read", 2), ("never", 0)))).result()


def test_one_key_is_one_event_and_one_answer_for_many_clients(store: Store) -> None:
    key = IdempotencyKey("actor", "key", "f")
    futures = [store.append(one(f"s{n}", idempotency=key)) for n in range(32)]
    receipts = [future.result(60) for future in futures]
    assert len({(r.originator_id, r.version, r.position, r.recorded_at) for r in receipts}) == 1
    assert [r.replayed for r in receipts].count(False) == 1
    assert positions(store) == [1]
    assert asyncio.run(store.answered(key)) == receipts[-1]
    with pytest.raises(KeyConflict):
        store.append(one("z", idempotency=IdempotencyKey("actor", "key", "g"))).result()
    store.append(one("z", idempotency=IdempotencyKey("another", "key", "g"))).result()


def test_documents_are_written_with_the_events_that_made_them(store: Store) -> None:
    receipt = store.append(one("a", documents=(Document("v", "a", 1, b"one"),))).result()
    with pytest.raises(VersionConflict):
        store.append(one("a", 1, documents=(Document("v", "a", 9, b"no"),))).result()
    found = asyncio.run(store.document("v", "a"))
    assert found == StoredDocument("a", 1, receipt.position, receipt.recorded_at, b"one")
    assert asyncio.run(store.document("v", "b")) is None


def test_a_swapped_view_keeps_what_live_appends_wrote_later(store: Store) -> None:
    first = store.append(one("a", documents=(Document("v", "a", 1, b"old"),))).result()
    store.append(one("gone", documents=(Document("v", "gone", 1, b"x"),))).result()
    store.append(one("a", 2, documents=(Document("v", "a", 2, b"live"),))).result()
    fresh = [
        StoredDocument("a", 1, first.position, first.recorded_at, b"folded"),
        StoredDocument("b", 1, first.position, first.recorded_at, b"folded"),
    ]
    store.replace_documents("v", fresh, upto=2)
    assert [(d.id, d.body) for d in store.documents("v")] == [("a", b"live"), ("b", b"folded")]


def test_a_caller_that_goes_away_cancels_nothing(store: Store) -> None:
    future = store.append(one("a"))
    assert future.cancel() is False
    assert future.result(60).position == 1


class Hold:
    """Keeps the writer in its first commit, so that what follows shares one batch."""

    def __init__(self, store: Store) -> None:
        self._held, self._there = threading.Event(), threading.Event()
        store.subscribe_commits(self._wait)
        self.first = store.append(one("first"))
        assert self._there.wait(60)

    def _wait(self, _position: int) -> None:
        self._there.set()
        self._held.wait(60)

    def release(self) -> None:
        self._held.set()


def test_a_poisoned_append_fails_alone(store: Store) -> None:
    hold = Hold(store)
    good = store.append(one("good"))
    nobody = StoredEvent("bad", 1, None, b"")  # type: ignore[arg-type]
    poisoned = [
        store.append(Append((event("bad", 1), nobody))),
        store.append(one("\ud800")),
        store.append(one("odd", documents=(Document("v", "odd", 2**70, b""),))),
        store.append(
            one("taken", reservations=(Reservation("doi", "x", "a"),) * 2, guards=(("q", 1),)),
        ),
    ]
    also = store.append(one("also"))
    with pytest.raises(ValueError, match="no event"):
        store.append(Append(()))
    hold.release()
    assert good.result(60).version == also.result(60).version == 1
    assert all(future.exception(60) is not None for future in poisoned)
    assert {row.originator_id for row in store.rows()} == {"first", "good", "also"}
    assert positions(store) == [1, 2, 3]
    assert asyncio.run(store.owner("doi", "x")) is None


def test_a_batch_judges_its_appends_in_order(store: Store) -> None:
    key = IdempotencyKey("actor", "key", "f")
    hold = Hold(store)
    first, second, again = store.append(one("a")), store.append(one("a", 2)), store.append(one("a"))
    keyed, replayed = (store.append(one("b", idempotency=key)) for _ in range(2))
    other = store.append(one("c", idempotency=IdempotencyKey("actor", "key", "g")))
    hold.release()
    assert [f.result(60).position for f in (hold.first, first, second)] == [1, 2, 3]
    assert isinstance(again.exception(60), VersionConflict)
    assert (keyed.result(60).replayed, replayed.result(60).replayed) == (False, True)
    assert keyed.result().position == replayed.result().position == 4
    assert isinstance(other.exception(60), KeyConflict)


@pytest.mark.parametrize(
    "name", ['a"b\\c', "ü✓𝄞", "", "'; --", "\u2028", "12", "1e5", "null", "[1]"]
)
def test_a_name_is_taken_as_it_is_written(store: Store, name: str) -> None:
    key = IdempotencyKey(name, name, "f")
    held = (Reservation(name, name, name),)
    first = store.append(one(name, reservations=held, idempotency=key)).result(60)
    again = store.append(one(name, reservations=held, idempotency=key)).result(60)
    assert (first.replayed, again.replayed, again.position) == (False, True, first.position)
    assert isinstance(store.append(one(name)).exception(60), VersionConflict)
    taken = one("other", reservations=(Reservation(name, name, "other"),))
    assert isinstance(store.append(taken).exception(60), ReservationConflict)
    stale = one("other", guards=((name, 0),))
    assert isinstance(store.append(stale).exception(60), GuardConflict)
    assert store.append(one("other", guards=((name, 1),))).result(60).position == 2


def test_a_batch_larger_than_one_statement_is_written_whole(store: Store) -> None:
    hold = Hold(store)
    futures = [
        store.append(one(f"s{n}", documents=(Document("v", f"s{n % 90}", n, b"%d" % n),)))
        for n in range(200)
    ]
    hold.release()
    assert [future.result(60).position for future in futures] == list(range(2, 202))
    # Of several appends in a batch that wrote one document, the last is what stands.
    found = {d.id: (d.version, d.position) for d in store.documents("v")}
    assert found == {f"s{n % 90}": (n, n + 2) for n in range(200)}


def test_a_subscriber_that_fails_harms_nobody(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_position: int) -> None:
        raise LookupError

    woken: list[int] = []
    store.subscribe_commits(fail)
    store.subscribe_commits(woken.append)
    assert store.append(one("a")).result(60).position == 1
    assert store.append(one("a", 7)).exception(60) is not None
    assert store.append(one("b")).result(60).position == 2
    assert woken == [1, 2]
    assert "a subscriber to commits failed" in caplog.text


def test_a_full_queue_refuses_at_once(place: Place) -> None:
    with place.open(queue_max=4) as store:
        hold = Hold(store)
        taken: list[Future[Receipt]] = []

        def fill() -> None:
            for n in range(10):
                taken.append(store.append(one(f"s{n}")))  # noqa: PERF401 - it stops by raising

        with pytest.raises(QueueFull):
            fill()
        hold.release()
        assert len(taken) >= 4
        assert all(future.result(60).version == 1 for future in taken)


def test_closing_finishes_what_was_queued(place: Place) -> None:
    store = place.open()
    futures = [store.append(one(f"s{n}")) for n in range(200)]
    store.close()
    assert all(future.result(0).version == 1 for future in futures)
    with pytest.raises(errors.StoreUnavailable):
        store.append(one("late"))
    with pytest.raises(errors.StoreUnavailable):
        list(store.rows())


def test_closing_while_busy_breaks_no_reader_and_loses_no_answer(place: Place) -> None:
    store = place.open()
    busy = threading.Barrier(9)
    answers: list[Future[Receipt]] = []

    def write() -> None:
        busy.wait(60)
        for n in range(1_000):
            try:
                answers.append(store.append(one(f"{threading.get_ident()}-{n}")))
            except (errors.StoreUnavailable, QueueFull):
                return

    def read() -> None:
        busy.wait(60)
        with pytest.raises(errors.StoreUnavailable):
            next(row for _n in itertools.count() for row in store.rows(page=10) if not row.topic)

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(task) for task in (write, read) * 4]
        busy.wait(60)
        time.sleep(0.05)
        store.close()
        for done in work:
            done.result(60)
    acknowledged = {answer.result(0).position for answer in answers}
    with place.open() as reopened:
        assert positions(reopened) == sorted(acknowledged)


WRITER = """
import sys
from given_stores import Place, one
store = Place(sys.argv[1], sys.argv[2]).open()
for n in range(int(sys.argv[4])):
    waiting = [store.append(one(f"{sys.argv[3]}-{n}-{k}")) for k in range(4)]
    for future in waiting:
        print(future.result().originator_id, future.result().position, flush=True)
store.close()
"""


def writing(place: Place, name: str, rounds: int) -> subprocess.Popen[str]:
    """Start a process that appends and prints what was acknowledged."""
    arguments = [sys.executable, "-c", WRITER, place.adapter, place.place, name, str(rounds)]
    environment = os.environ | {"PYTHONPATH": str(Path(given_stores.__file__).parent)}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def acknowledged(output: str) -> dict[str, int]:
    """Return stream and position of every whole line."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {stream: int(position) for stream, position in lines}


def test_several_processes_append_to_one_dense_log(store: Store, place: Place) -> None:
    processes = [writing(place, name, 50) for name in ("p", "q")]
    receipts: dict[str, int] = {}
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        receipts |= acknowledged(output)
    assert positions(store) == list(range(1, 401))
    assert {row.originator_id: row.position for row in store.rows()} == receipts


def test_what_was_acknowledged_survives_a_kill(store: Store, place: Place) -> None:
    receipts: dict[str, int] = {}
    for n in range(5):
        process = writing(place, f"run{n}", 100_000)
        assert process.stdout is not None
        head = [process.stdout.readline() for _line in range(20 + 30 * n)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
        process.wait(60)
        process.stdout.close()
        receipts |= acknowledged("".join(head) + rest)
    rows = list(store.rows())
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    found = {row.originator_id: row.position for row in rows}
    assert len(found) == len(rows)
    assert receipts.items() <= found.items()
