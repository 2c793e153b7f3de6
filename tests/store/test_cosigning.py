"""A witness that was away cosigns what was published without it, and holds nobody up."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import given_stores
from given_stores import one
from given_tree import ORIGIN, fill
from ledger import errors
from ledger.store import Store
from ledger.store.tree import Published
from ledger.transparency.keeper import AGAIN_S, AGAIN_S_MAX, Keeper
from ledger.transparency.key_file import KeyFile
from ledger.transparency.notes import COSIGNATURE, Checkpoint, Note, SigningKey, open_checkpoint
from ledger.transparency.publisher import Heard, Publisher

place, store = given_stores.place, given_stores.store

WITNESS = SigningKey("w.example", COSIGNATURE, b"\x02" * 32)
AWAY = Heard(troubles={"w": "It cannot be reached."})


@pytest.fixture
def files(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "log.key")
    made.make(ORIGIN)
    return made


class Witness:
    """One witness, away until it is told to be back."""

    def __init__(self) -> None:
        self.asked: list[Note] = []
        self.away = True

    def __call__(self, note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
        self.asked.append(note)
        if any(line.name == WITNESS.name for line in note.signatures):
            return Heard()
        return AWAY if self.away else Heard((WITNESS.sign(note.text, 1_700_000_000),))


def latest(store: Store) -> Published:
    found = store.tree.published()
    assert found is not None
    return found


def cosigned(store: Store, files: KeyFile) -> bool:
    key = files.read()
    assert key is not None
    return bool(open_checkpoint(latest(store).note, key.verifier, [WITNESS.verifier])[1])


def test_a_witness_that_is_back_cosigns_what_was_published_without_it(
    store: Store, files: KeyFile
) -> None:
    fill(store, 5)
    witness = Witness()
    publisher = Publisher(store.tree, files, ask=witness, again=witness)
    before = publisher.publish()
    assert before == latest(store)
    assert publisher.cosign()
    assert latest(store) == before
    assert publisher.heard.troubles
    witness.away = False
    assert not publisher.cosign()
    after = latest(store)
    assert after.note.startswith(before.note)
    assert after == replace(before, note=after.note)
    assert cosigned(store, files)
    assert not publisher.heard.troubles
    # That is all: another look changes nothing, and nothing new is signed.
    assert not publisher.cosign()
    assert publisher.publish() is None
    assert list(store.tree.checkpoints()) == [after]


def test_where_nobody_is_asked_nothing_is_missing(store: Store, files: KeyFile) -> None:
    assert not Publisher(store.tree, files).cosign()
    assert not Publisher(store.tree, files, again=Witness()).cosign()
    fill(store, 1)
    published = Publisher(store.tree, files).publish()
    assert not Publisher(store.tree, files).cosign()
    assert latest(store) == published


def test_two_processes_add_one_cosignature(store: Store, files: KeyFile) -> None:
    fill(store, 2)
    published = Publisher(store.tree, files).publish()
    assert published is not None

    def meanwhile(note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
        line = WITNESS.sign(note.text, 1_700_000_000)
        assert store.tree.cosign(2, published.note, published.note + f"{line}\n".encode())
        return Heard((WITNESS.sign(note.text, 1_800_000_000),))

    Publisher(store.tree, files, again=meanwhile).cosign()
    assert latest(store).note.count(b"w.example") == 1


def test_a_witness_that_is_back_and_shows_a_fork_stops_the_log(
    store: Store, files: KeyFile
) -> None:
    fill(store, 2)
    key = files.read()
    assert key is not None
    shown = bytes(Checkpoint(key.name, 2, bytes(32)).signed(key))
    publisher = Publisher(
        store.tree, files, again=lambda _note, _prove: Heard(refused=True, shown={"w": shown})
    )
    assert publisher.publish() is not None
    with pytest.raises(errors.LogStopped, match="holds another history"):
        publisher.cosign()
    assert publisher.stopped


def test_on_a_quiet_log_the_cosignature_comes_by_itself(store: Store, files: KeyFile) -> None:
    fill(store, 3)
    witness = Witness()
    publisher = Publisher(store.tree, files, ask=witness, again=witness)
    keeper = Keeper(store, publisher, cycle_s=0.01, again_s=0.01)
    keeper.start()
    try:
        while len(witness.asked) < 3:
            os.sched_yield()
        assert not cosigned(store, files)
        witness.away = False
        while not cosigned(store, files):
            os.sched_yield()
    finally:
        keeper.stop()
    assert latest(store).size == 3
    assert keeper.standing.trouble is None


def test_a_witness_that_dawdles_holds_up_no_checkpoint(store: Store, files: KeyFile) -> None:
    asked, answer = threading.Event(), threading.Event()

    def dawdle(_note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
        asked.set()
        answer.wait()
        return AWAY

    fill(store, 1)
    publisher = Publisher(store.tree, files, again=dawdle)
    keeper = Keeper(store, publisher, cycle_s=0.01, again_s=0.01)
    keeper.start()
    try:
        asked.wait()
        for n in range(3):
            position = store.append(one(f"r{n}")).result(60).position
            assert asyncio.run(keeper.covered(position, 60)) is not None
    finally:
        answer.set()
        keeper.stop()


class Pauses(threading.Event):
    """Keeps how long somebody wants to wait, does something instead, and ends when told so."""

    def __init__(self, *instead: Callable[[], object]) -> None:
        super().__init__()
        self.told: list[float | None] = []
        self._instead = [*instead]

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        if self._instead:
            self._instead.pop(0)()
            return False
        return True


def test_it_is_asked_ever_less_often_until_something_is_published(
    store: Store, files: KeyFile
) -> None:
    fill(store, 1)
    witness = Witness()
    publisher = Publisher(store.tree, files, ask=witness, again=witness)
    publisher.publish()

    def nothing() -> None:
        pass

    def grow() -> None:
        fill(store, 1)
        publisher.publish()

    def back() -> None:
        witness.away = False

    steps = [*[nothing] * 7, grow, nothing, back, nothing]
    keeper = Keeper(store, publisher)
    keeper._stopping = pauses = Pauses(*steps)
    keeper._ask_again()
    # The first look only sees which checkpoint there is.
    growing = [10, 20, 40, 80, 160, 320]
    assert pauses.told == [AGAIN_S, *growing, AGAIN_S_MAX, AGAIN_S, 20, AGAIN_S, AGAIN_S]
    assert cosigned(store, files)
