"""The tree grows as the log does, whoever grows it, and every proof from it holds."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

import given_stores
from given_stores import Place, event, one
from ledger.store import Append, Store
from ledger.store import sqlite as sqlite_store
from ledger.store.tree import TreeHead
from ledger.transparency import merkle
from ledger.transparency.entries import unbundle
from ledger.transparency.lines import leaf_of
from ledger.transparency.merkle import BadTile, Frontier, leaf_hash, root_of
from ledger.transparency.reading import TreeReader
from ledger.transparency.sequencer import Gap, Overtaken, step

place, store = given_stores.place, given_stores.store


def fill(store: Store, count: int, stream: str = "s") -> None:
    done = len(store.rows_of(stream))
    events = (event(stream, done + n + 1, b'{"n":%d}' % n) for n in range(count))
    store.append(Append(tuple(events))).result(60)


def leaves(store: Store) -> list[bytes]:
    return [leaf_of(row) for row in store.rows()]


def sequence(store: Store, limit: int = 5_000) -> int:
    taken = 0
    while count := step(store.tree, limit):
        taken += count
    return taken


def test_an_empty_log_has_nothing_to_take(store: Store) -> None:
    assert step(store.tree) == 0
    assert TreeReader(store.tree).root(0) == merkle.EMPTY_ROOT


@pytest.mark.parametrize("limit", [1, 7, 256, 5_000])
def test_the_tree_is_that_of_all_rows_in_order(store: Store, limit: int) -> None:
    fill(store, 600 if limit > 1 else 30)
    assert sequence(store, limit) == store.head()
    head = store.tree.head()
    assert head.size == store.head()
    assert Frontier(head.size, head.frontier).root() == root_of(leaves(store))
    assert step(store.tree) == 0


def test_every_earlier_tree_can_be_read_and_proved(store: Store) -> None:
    fill(store, 600)
    sequence(store)
    found, reader = leaves(store), TreeReader(store.tree)
    sizes = [1, 2, 3, 255, 256, 257, 511, 512, 513, 599, 600]
    roots = {size: root_of(found[:size]) for size in sizes}
    for size in sizes:
        assert reader.root(size) == roots[size]
        for index in {0, size // 2, size - 1}:
            proof = reader.inclusion(index, size)
            merkle.verify_inclusion(found[index], index, size, roots[size], proof)
        for old in sizes[: sizes.index(size) + 1]:
            proof = reader.consistency(old, size)
            merkle.verify_consistency(old, size, roots[old], roots[size], proof)


def test_tiles_and_bundles_are_of_any_width_that_was_reached(store: Store) -> None:
    fill(store, 300)
    sequence(store)
    found, reader = leaves(store), TreeReader(store.tree)
    assert reader.tile(0, 0, 256) == b"".join(found[:256])
    assert reader.tile(0, 0, 3) == b"".join(found[:3])
    assert reader.tile(0, 1, 44) == b"".join(found[256:])
    assert reader.tile(1, 0, 1) == root_of(found[:256])
    for index, width in ((0, 256), (0, 9), (1, 44)):
        entries = unbundle(reader.bundle(index, width))
        assert [*map(leaf_hash, entries)] == found[256 * index : 256 * index + width]
    for level, index, width in ((0, 1, 45), (0, 2, 1), (1, 0, 2), (1, 1, 1), (2, 0, 1), (63, 0, 1)):
        with pytest.raises(BadTile):
            reader.tile(level, index, width)
    with pytest.raises(BadTile):
        reader.bundle(1, 45)


def test_an_old_reader_keeps_up_with_a_tree_that_grows(store: Store) -> None:
    reader, done = TreeReader(store.tree), 0
    for count in (1, 200, 55, 1, 300):
        fill(store, count)
        sequence(store)
        done += count
        found = leaves(store)
        assert len(found) == done
        assert reader.root(done) == root_of(found)
        proof = reader.inclusion(0, done)
        merkle.verify_inclusion(found[0], 0, done, root_of(found), proof)


def test_many_sequencers_among_many_writers_make_one_tree(place: Place) -> None:
    def run(opened: Store, limit: int) -> int:
        taken = 0
        while opened.tree.head().size < 400:
            with suppress(Overtaken):
                taken += step(opened.tree, limit)
        return taken

    with place.open() as first, place.open() as second, ThreadPoolExecutor(6) as pool:
        taken = [
            pool.submit(run, opened, limit)
            for opened, limit in ((first, 3), (second, 5), (first, 400), (second, 1))
        ]
        for n in range(200):
            first.append(one(f"a{n}")).result(60)
            second.append(one(f"b{n}")).result(60)
        assert sum(each.result(60) for each in taken) == 400
        assert first.tree.head() == second.tree.head()
        assert TreeReader(second.tree).root(400) == root_of(leaves(first))


def test_a_step_that_was_overtaken_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as first, place.open() as second:
        fill(first, 10)
        before = first.tree.head()
        step(second.tree, 4)
        monkeypatch.setattr(first.tree, "head", lambda: before)
        with pytest.raises(Overtaken):
            step(first.tree)
        assert second.tree.head().size == 4


def test_a_log_with_a_hole_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    sqlite_store.create(path)
    with sqlite_store.open_store(path) as opened:
        fill(opened, 10)
    with closing(sqlite3.connect(path)) as outsider:
        outsider.execute("DROP TRIGGER events_are_never_deleted")
        outsider.execute("DELETE FROM events WHERE position = 7")
        outsider.commit()
    with sqlite_store.open_store(path) as opened:
        with pytest.raises(Gap, match="position 7 is missing"):
            step(opened.tree)
        assert opened.tree.head() == TreeHead(0, b"")
