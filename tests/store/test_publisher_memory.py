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
