"""What the log remembers of itself: the file counts, and what anyone put into the database not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import given_stores
from given_stores import Place
from given_tree import ORIGIN, another, fill
from ledger import errors
from ledger.store import Store
from ledger.store.tree import Published
from ledger.transparency.keeper import Keeper
from ledger.transparency.key_file import KeyFile
from ledger.transparency.notes import Checkpoint, Note, SigningKey
from ledger.transparency.publisher import Heard, Publisher
from ledger.vocabulary import now

place, store = given_stores.place, given_stores.store


@pytest.fixture
def files(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "keys" / "log.key")
    made.make(ORIGIN)
    return made


@pytest.mark.parametrize("forget", [False, True])
def test_a_checkpoint_that_was_put_into_the_database_vouches_for_nothing(
    place: Place, store: Store, files: KeyFile, tmp_path: Path, *, forget: bool
) -> None:
    fill(store, 10)
    Publisher(store.tree, files).publish()
    with another(place, tmp_path, 12) as other:
        reader = Publisher(other.tree, files).reader
        forged = Checkpoint(ORIGIN, 12, reader.root(12))
        note = bytes(forged.signed(SigningKey.generate(ORIGIN)))
        other.tree.publish(Published(12, forged.root, note, now()))
        if forget:
            (files.path.parent / "log.key.published").unlink()
        fill(other, 1)
        expected = errors.LogStopped if forget else errors.LogRolledBack
        with pytest.raises(expected):
            Publisher(other.tree, files).publish()


def test_a_memory_that_was_lost_or_is_behind_is_made_anew(store: Store, files: KeyFile) -> None:
    fill(store, 10)
    publisher = Publisher(store.tree, files)
    publisher.publish()
    first = files.remembered()
    assert first is not None
    fill(store, 1)
    publisher.publish()
    last = files.remembered()
    memory = files.path.parent / "log.key.published"
    memory.write_bytes(first[1])
    assert publisher.publish() is None
    assert files.remembered() == last
    memory.unlink()
    assert publisher.publish() is None
    assert files.remembered() == last


def test_what_witnesses_were_asked_about_counts_as_seen(
    place: Place, store: Store, files: KeyFile, tmp_path: Path
) -> None:
    fill(store, 10)
    seen = []

    def few(note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
        seen.append(Checkpoint.parse(note.text))
        return Heard(enough=False)

    asking = Publisher(store.tree, files, ask=few)
    for _ in range(2):
        with pytest.raises(errors.WitnessesMissing):
            asking.publish()
    assert files.asked() == seen[0]
    assert files.remembered() is None
    with another(place, tmp_path, 8) as other:
        publisher = Publisher(other.tree, files, ask=few)
        with pytest.raises(errors.LogRolledBack):
            publisher.check()
        fill(other, 4)
        publisher.check()
        with pytest.raises(errors.LogRolledBack):
            publisher.publish()
        assert len(seen) == 2
    files.begin_anew()
    assert files.asked() is None
    assert Publisher(store.tree, files).publish() is not None


def test_what_witnesses_hold_is_looked_at_before_anything_is_signed(
    store: Store, files: KeyFile
) -> None:
    fill(store, 10)
    key = files.read()
    assert key is not None
    published = Publisher(store.tree, files).publish()
    assert published is not None
    longer = bytes(Checkpoint(ORIGIN, 11, bytes(32)).signed(key))
    answers = [{"w": published.note}, {}, {"w": longer}]
    looked: list[str] = []

    def look(origin: str) -> dict[str, bytes]:
        looked.append(origin)
        return answers[len(looked) - 1]

    publisher = Publisher(store.tree, files, ask=unasked, look=look)
    # Once at the beginning, though there is nothing to sign, and then before each signature.
    assert publisher.publish() is None
    assert publisher.publish() is None
    assert looked == [ORIGIN]
    fill(store, 1)
    with pytest.raises(AssertionError, match="was signed"):
        publisher.publish()
    with pytest.raises(errors.LogStopped, match="w shows a checkpoint of 11 events"):
        publisher.publish()
    assert looked == [ORIGIN] * 3
    assert store.tree.published() == published
    # Whoever meets the database from now on takes no appends.
    keeper = Keeper(store, Publisher(store.tree, files))
    keeper.check()
    assert keeper.standing.code == "log-stopped"
    with pytest.raises(errors.LogRolledBack, match="another history"):
        keeper.may_append()
    files.begin_anew()
    assert keeper.catch_up() is not None


def unasked(_note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
    """Be no witness to whom anything is shown."""
    message = "a checkpoint was signed"
    raise AssertionError(message)
