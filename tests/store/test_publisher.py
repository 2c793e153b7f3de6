"""Checkpoints are signed in order, remembered outside the database, and contradict no other."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import given_stores
from given_stores import Place, event, one
from given_tree import ORIGIN, another, fill
from ledger import errors
from ledger.store import Append, Store
from ledger.store.tree import Published
from ledger.transparency.keeper import Keeper
from ledger.transparency.key_file import KeyFile
from ledger.transparency.notes import Checkpoint, Note, SigningKey, open_checkpoint
from ledger.transparency.publisher import Ask, Heard, Publisher

place, store = given_stores.place, given_stores.store


@pytest.fixture
def files(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "keys" / "log.key")
    made.make(ORIGIN)
    return made


def verified(published: Published | None, files: KeyFile) -> Checkpoint:
    assert published is not None
    key = files.read()
    assert key is not None
    checkpoint, _ = open_checkpoint(published.note, key.verifier)
    assert (checkpoint.size, checkpoint.root) == (published.size, published.root)
    return checkpoint


def test_a_checkpoint_says_what_the_tree_holds(store: Store, files: KeyFile) -> None:
    publisher = Publisher(store.tree, files)
    assert publisher.publish() is None
    for count in (3, 300):
        fill(store, count)
        checkpoint = verified(publisher.publish(), files)
        assert checkpoint.root == publisher.reader.root(store.head())
        assert checkpoint.origin == ORIGIN
        assert publisher.publish() is None
    latest = store.tree.published()
    assert latest is not None
    assert latest.size == 303
    assert files.remembered() == (checkpoint, latest.note)


def test_without_a_key_nothing_is_published_and_the_tree_grows(
    store: Store, tmp_path: Path
) -> None:
    fill(store, 3)
    publisher = Publisher(store.tree, KeyFile(tmp_path / "log.key"))
    assert publisher.key() is None
    assert publisher.publish() is None
    assert store.tree.published() is None
    assert store.tree.head().size == 3


def test_a_key_that_comes_later_is_taken(store: Store, tmp_path: Path) -> None:
    fill(store, 3)
    files = KeyFile(tmp_path / "log.key")
    publisher = Publisher(store.tree, files)
    assert publisher.publish() is None
    files.make(ORIGIN)
    assert verified(publisher.publish(), files).size == 3


def test_a_key_that_has_published_is_missed(store: Store, files: KeyFile) -> None:
    fill(store, 3)
    keeper = Keeper(store, Publisher(store.tree, files))
    kept = files.path.rename(files.path.with_name("kept"))
    assert keeper.catch_up() is None
    kept.rename(files.path)
    published = keeper.catch_up()
    fill(store, 1)
    files.path.rename(kept)
    for refused in (keeper.catch_up, files.not_lost):
        with pytest.raises(errors.LogKeyUnusable, match="though 3 events were published with it"):
            refused()
    assert store.tree.published() == published
    # One that was drawn under the same name cannot go on, but nobody's appends wait for that.
    files.make(ORIGIN)
    keeper.start()
    try:
        while keeper.standing.code != "log-stopped":
            os.sched_yield()
        keeper.may_append()
        kept.replace(files.path)
        while keeper.standing.trouble is not None:
            os.sched_yield()
    finally:
        keeper.stop()
    assert verified(store.tree.published(), files).size == 4


def test_a_crash_between_memory_and_database_is_mended(
    store: Store, files: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 5)
    publisher = Publisher(store.tree, files)

    def crash(_published: Published) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store.tree, "publish", crash)
        with pytest.raises(KeyboardInterrupt):
            publisher.publish()
    assert store.tree.published() is None
    fill(store, 2)
    assert verified(Publisher(store.tree, files).publish(), files).size == 7
    first = store.tree.published(6)
    assert verified(first, files).size == 5


def test_an_older_database_is_never_signed(
    place: Place, store: Store, files: KeyFile, tmp_path: Path
) -> None:
    fill(store, 10)
    Publisher(store.tree, files).publish()
    with another(place, tmp_path, 4) as older:
        publisher = Publisher(older.tree, files)
        with pytest.raises(errors.LogRolledBack, match=r"holds 4 events .* checkpoint of 10"):
            publisher.check()
        with pytest.raises(errors.LogRolledBack):
            publisher.publish()
        assert older.tree.published() is None


@pytest.mark.parametrize("count", [10, 11])
def test_another_history_of_the_same_length_is_never_signed(
    place: Place, store: Store, files: KeyFile, tmp_path: Path, count: int
) -> None:
    fill(store, 10)
    Publisher(store.tree, files).publish()
    before = files.remembered()
    with another(place, tmp_path, count) as other:
        with pytest.raises(errors.LogRolledBack, match="not those of which"):
            Publisher(other.tree, files).publish()
        assert other.tree.published() is None
    assert files.remembered() == before


def test_a_lost_memory_is_no_licence(
    place: Place, store: Store, files: KeyFile, tmp_path: Path
) -> None:
    fill(store, 10)
    published = Publisher(store.tree, files).publish()
    (files.path.parent / "log.key.published").unlink()
    fill(store, 1)
    assert verified(Publisher(store.tree, files).publish(), files).size == 11
    with another(place, tmp_path, 10) as other:
        # What the database itself says of its past has to agree with its rows, too.
        assert published is not None
        other.tree.publish(published)
        (files.path.parent / "log.key.published").unlink()
        fill(other, 1)
        with pytest.raises(errors.LogRolledBack):
            Publisher(other.tree, files).publish()


def test_the_way_out_is_a_log_of_another_name(
    place: Place, store: Store, files: KeyFile, tmp_path: Path
) -> None:
    fill(store, 10)
    Publisher(store.tree, files).publish()
    with another(place, tmp_path, 4) as older:
        with pytest.raises(errors.LogKeyExists, match=r"named ledger\.example/log already"):
            files.another(ORIGIN)
        files.another(f"{ORIGIN}/2")
        # Until the old memory is put aside, the new key signs nothing.
        with pytest.raises(errors.LogRolledBack):
            Publisher(older.tree, files).check()
        with pytest.raises((errors.LogRolledBack, errors.LogKeyUnusable)):
            Publisher(older.tree, files).publish()
        files.another(f"{ORIGIN}/2")
        files.begin_anew()
        checkpoint = verified(Publisher(older.tree, files).publish(), files)
        assert (checkpoint.origin, checkpoint.size) == (f"{ORIGIN}/2", 4)
    kept = sorted(file.name for file in files.path.parent.iterdir())
    assert "log.key.published.10" in kept


def test_a_key_of_another_log_signs_nothing(store: Store, files: KeyFile) -> None:
    fill(store, 2)
    named = Publisher(store.tree, files, origin="other.example/log")
    with pytest.raises(errors.LogKeyUnusable, match=r"is that of ledger\.example/log, and not of"):
        named.publish()
    Publisher(store.tree, files).publish()
    files.path.unlink()
    files.make("other.example/log")
    fill(store, 1)
    with pytest.raises(errors.LogKeyUnusable, match="ledger log init"):
        Publisher(store.tree, files).publish()


def test_another_key_signs_nothing_unless_a_fact_says_that_the_log_goes_on_under_it(
    store: Store, files: KeyFile, tmp_path: Path
) -> None:
    fill(store, 2)
    Publisher(store.tree, files, begun=set[str]().__contains__).publish()
    fill(store, 1)
    wrong = KeyFile(tmp_path / "elsewhere" / "log.key")
    wrong.make("other.example/log")
    with pytest.raises(errors.LogKeyUnusable, match="another log has signed the last checkpoint"):
        Publisher(store.tree, wrong, begun={ORIGIN}.__contains__).publish()
    assert wrong.remembered() is None
    said = Publisher(store.tree, wrong, begun={"other.example/log"}.__contains__).publish()
    assert verified(said, wrong).size == 3


def refusing(shown: bytes) -> Ask:
    """Return a witness that refuses and shows something for a reason."""
    return lambda _note, _prove: Heard(
        refused=True, shown={"w": shown}, troubles={"w": "It has seen another history."}
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_the_key_has_signed_before_stops_the_log_for_good(
    store: Store, files: KeyFile, size: int
) -> None:
    fill(store, 2)
    key = files.read()
    assert key is not None
    shown = bytes(Checkpoint(key.name, size, bytes(32)).signed(key))
    held = "2" if size == 3 else "another history"
    said = f"The witness w shows a checkpoint of {size} events that the log has signed"
    with pytest.raises(errors.LogStopped, match=f"{said}, and the database holds {held}"):
        Publisher(store.tree, files, ask=refusing(shown)).publish()
    assert store.tree.published() is None
    assert files.remembered() is None
    with pytest.raises(errors.LogStopped, match=said):
        Publisher(store.tree, files).publish()
    files.begin_anew()
    assert verified(Publisher(store.tree, files).publish(), files).size == 2


def test_a_witness_that_only_says_so_stops_nothing_for_good(store: Store, files: KeyFile) -> None:
    fill(store, 2)
    key, stranger = files.read(), SigningKey.generate("ledger.example/log")
    assert key is not None
    false = Checkpoint(key.name, 9, bytes(32))
    good = Checkpoint(key.name, 2, Publisher(store.tree, files).reader.root(2))
    for shown in (b"", b"no note", bytes(false.signed(stranger)), bytes(good.signed(key))):
        with pytest.raises(errors.WitnessesMissing, match="w: It has seen another history"):
            Publisher(store.tree, files, ask=refusing(shown)).publish()
    assert store.tree.published() is None
    assert verified(Publisher(store.tree, files).publish(), files).size == 2


def test_too_few_witnesses_are_asked_again(store: Store, files: KeyFile) -> None:
    wanted = SigningKey.generate("w", 4)
    answers = [Heard(enough=False, troubles={"w": "It did not answer."})]

    def ask(note: Note, _prove: Callable[[int], Sequence[bytes]]) -> Heard:
        return answers.pop() if answers else Heard((wanted.sign(note.text, 1_700_000_000),))

    fill(store, 2)
    publisher = Publisher(store.tree, files, ask=ask)
    with pytest.raises(errors.WitnessesMissing, match="w: It did not answer"):
        publisher.publish()
    assert store.tree.published() is None
    published = publisher.publish()
    assert published is not None
    key = files.read()
    assert key is not None
    _, cosigned = open_checkpoint(published.note, key.verifier, [wanted.verifier])
    assert cosigned == {wanted.verifier: 1_700_000_000}


def test_one_process_publishes_at_a_time(store: Store, files: KeyFile) -> None:
    fill(store, 2)
    with files.turn() as mine:
        assert mine
        assert Publisher(store.tree, files).publish() is None
    assert verified(Publisher(store.tree, files).publish(), files).size == 2


def test_who_asks_for_all_to_be_published_waits_for_the_turn(store: Store, files: KeyFile) -> None:
    fill(store, 2)
    keeper = Keeper(store, Publisher(store.tree, files))
    with ThreadPoolExecutor(1) as pool:
        with files.turn():
            asked = pool.submit(keeper.catch_up)
            with pytest.raises(TimeoutError):
                asked.result(0.2)
        assert verified(asked.result(), files).size == 2


# ------------------------------------------------------------ the files


def test_a_key_is_for_its_owner_alone_and_never_overwritten(files: KeyFile) -> None:
    assert stat.S_IMODE(files.path.stat().st_mode) == 0o600
    before = files.path.read_bytes()
    with pytest.raises(errors.LogKeyExists):
        files.make(ORIGIN)
    assert files.path.read_bytes() == before


@pytest.mark.parametrize("text", [b"", b"\xff", b"PRIVATE+KEY+x", b"PRIVATE+KEY+a+00000000+AAAA\n"])
def test_a_file_without_a_key_is_refused_in_a_sentence(files: KeyFile, text: bytes) -> None:
    files.path.write_bytes(text)
    with pytest.raises(errors.LogKeyUnusable, match=r"log\.key holds no key of a log") as refused:
        files.read()
    assert "PRIVATE" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_what_is_no_name_gets_no_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.LogKeyUnusable, match="cannot be named"):
        KeyFile(tmp_path / "log.key").make(name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_read_or_written_is_said_so(store: Store, files: KeyFile) -> None:
    fill(store, 1)
    folder = files.path.with_name("log.key.published.new")
    folder.mkdir()
    with pytest.raises(errors.LogKeyUnusable, match=r"published cannot be written"):
        Publisher(store.tree, files).publish()
    assert store.tree.published() is None
    folder.rmdir()
    assert Publisher(store.tree, files).publish() is not None
    with pytest.raises(errors.LogKeyUnusable, match=r"cannot be (read|written)"):
        KeyFile(files.path / "below" / "log.key").read()


def test_a_memory_that_cannot_be_read_stops_the_log(store: Store, files: KeyFile) -> None:
    fill(store, 1)
    files.path.with_name("log.key.published").write_bytes(b"torn")
    with pytest.raises(errors.LogKeyUnusable, match="holds no checkpoint"):
        Publisher(store.tree, files).publish()
    assert store.tree.published() is None


# ------------------------------------------------------------ the keeper


def test_what_is_appended_is_soon_covered(store: Store, files: KeyFile) -> None:
    keeper = Keeper(store, Publisher(store.tree, files), cycle_s=0.01)
    keeper.start(yielding=0.0)
    try:
        for n in range(5):
            position = store.append(one(f"r{n}")).result(60).position
            covering = asyncio.run(keeper.covered(position, 60))
            assert verified(covering, files).size >= position
    finally:
        keeper.stop()
    assert asyncio.run(keeper.covered(99, 0)) is None


def test_a_keeper_takes_in_a_long_log_beside_requests(store: Store, files: KeyFile) -> None:
    store.append(Append(tuple(event("s", n + 1) for n in range(1_300)))).result(60)
    keeper = Keeper(store, Publisher(store.tree, files), cycle_s=0.01)
    keeper.start(yielding=0.1)
    try:
        assert verified(asyncio.run(keeper.covered(1_300, 60)), files).size == 1_300
    finally:
        keeper.stop()


@pytest.mark.parametrize("working", [True, False])
def test_a_keeper_sees_that_the_database_is_older_and_that_it_is_no_more(
    place: Place,
    store: Store,
    files: KeyFile,
    tmp_path: Path,
    *,
    working: bool,
) -> None:
    fill(store, 10)
    Publisher(store.tree, files).publish()
    with another(place, tmp_path, 4) as older:
        keeper = Keeper(older, Publisher(older.tree, files), cycle_s=0.01)
        keeper.may_append()
        keeper.check()
        with pytest.raises(errors.LogRolledBack):
            keeper.may_append()
        assert keeper.standing.code == "log-rolled-back"
        keeper.start(working=working)
        try:
            files.begin_anew()
            while keeper.standing.rolled_back is not None:
                os.sched_yield()
        finally:
            keeper.stop()
        keeper.may_append()


def test_the_log_is_brought_up_to_date_in_one_call(store: Store, files: KeyFile) -> None:
    store.append(Append(tuple(event("s", n + 1) for n in range(700)))).result(60)
    keeper = Keeper(store, Publisher(store.tree, files))
    assert verified(keeper.catch_up(), files).size == 700
    assert verified(keeper.catch_up(), files).size == 700
