"""The tree beside the log: grown by one, kept for ever, the same on both databases."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import given_postgres
import given_stores
from given_patience import PATIENCE_S
from given_postgres import Database
from given_stores import Place, event, one
from ledger.store import Append, Store
from ledger.store import postgres as postgres_store
from ledger.store import sqlite as sqlite_store
from ledger.store.sealing import microseconds
from ledger.store.tree import Leaf, OtherRoot, Published, Tile, TreeHead
from ledger.vocabulary import now

place, store = given_stores.place, given_stores.store

ROOT = hashlib.sha256(b"root").digest()
TILE = bytes(range(256)) * 32


def head(size: int) -> TreeHead:
    return TreeHead(size, bytes(32) * size.bit_count())


def filled(store: Store, count: int) -> Store:
    store.append(Append(tuple(event("s", n + 1) for n in range(count)))).result(60)
    return store


def published(size: int, root: bytes = ROOT) -> Published:
    return Published(size, root, b"a note", now())


def test_an_empty_tree_holds_nothing(store: Store) -> None:
    assert store.tree.head() == TreeHead(0, b"")
    assert list(store.tree.leaves(0)) == []
    assert store.tree.tiles([(0, 0)]) == {}
    assert store.tree.tiles([]) == {}
    assert store.tree.published() is None


def test_leaves_are_what_the_rows_say(store: Store) -> None:
    filled(store, 7)
    wanted = [
        Leaf(
            row.position,
            microseconds(row.recorded_at),
            row.originator_id,
            row.originator_version,
            row.topic,
            row.payload_commitment,
        )
        for row in store.rows()
    ]
    assert list(store.tree.leaves(0, page=3)) == wanted
    assert list(store.tree.leaves(2, upto=5, page=2)) == wanted[2:5]


def test_the_tree_grows_from_the_size_it_has(store: Store) -> None:
    tree = filled(store, 9).tree
    assert tree.step(0, head(3), [Tile(0, 0, TILE), Tile(1, 4, TILE[::-1])])
    assert not tree.step(0, head(5), [Tile(0, 1, TILE)])
    assert not tree.step(4, head(5), [])
    assert tree.head() == head(3)
    assert tree.tiles([(0, 0), (0, 1), (1, 4), (63, 2**40)]) == {
        (0, 0): TILE,
        (1, 4): TILE[::-1],
    }
    assert tree.step(3, head(9), [Tile(0, 1, TILE)])
    assert tree.head() == head(9)


def test_many_tiles_are_read_at_once(store: Store) -> None:
    tree = filled(store, 1).tree
    places = [(level, index) for level in range(2) for index in range(700)]
    assert tree.step(0, head(1), [Tile(*each, TILE) for each in places])
    assert tree.tiles(places) == dict.fromkeys(places, TILE)


def test_head_and_tiles_are_read_as_of_one_moment(store: Store) -> None:
    tree = filled(store, 9).tree
    assert tree.head_and_tiles([]) == (TreeHead(0, b""), {})
    assert tree.head_and_tiles([(0, 0)]) == (TreeHead(0, b""), {})
    assert tree.step(0, head(3), [Tile(0, 0, TILE), Tile(1, 4, TILE[::-1]), Tile(1, 5, TILE)])
    assert tree.head_and_tiles([(0, 0), (1, 4), (2, 0)]) == (
        head(3),
        {(0, 0): TILE, (1, 4): TILE[::-1]},
    )
    assert tree.head_and_tiles([]) == (head(3), {})


def test_sqlite_finds_some_tiles_without_reading_all_of_them(tmp_path: Path) -> None:
    asked: list[str] = []
    sqlite_store.create(tmp_path / "ledger.db")
    with sqlite_store.open_store(tmp_path / "ledger.db") as opened:
        with opened.tree._readers.reading() as reader:
            reader.set_trace_callback(asked.append)
        opened.tree.tiles([(0, 0), (1, 7)])
        opened.tree.head_and_tiles([(0, 0), (1, 7)])
        with opened.tree._readers.reading() as reader:
            reader.set_trace_callback(None)
            for query in asked:
                plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {query}")]
                assert [step for step in plan if step.startswith("SEARCH log_tiles USING INDEX")]
                assert "SCAN log_tiles" not in plan
    assert len(asked) == 2


def test_of_many_who_step_at_once_one_wins(place: Place) -> None:
    with place.open() as first, place.open() as second:
        filled(first, 1)
        with ThreadPoolExecutor(8) as pool:
            steps = [
                pool.submit(opened.tree.step, 0, head(1), [Tile(0, 0, TILE)])
                for opened in (first, second) * 8
            ]
        assert [step.result() for step in steps].count(True) == 1
        assert first.tree.head() == second.tree.head() == head(1)


def test_the_tree_never_holds_more_than_the_log(store: Store) -> None:
    tree = filled(store, 2).tree
    with pytest.raises(Exception, match="cannot hold more events than the log"):
        tree.step(0, head(3), [])
    assert tree.head() == TreeHead(0, b"")


def test_a_step_that_cannot_be_written_whole_is_not_written(store: Store) -> None:
    tree = filled(store, 4).tree
    assert tree.step(0, head(1), [Tile(0, 0, TILE)])
    with pytest.raises(Exception, match=r"never replaced|duplicate key"):
        tree.step(1, head(4), [Tile(0, 1, TILE), Tile(0, 0, TILE)])
    assert tree.head() == head(1)
    assert tree.tiles([(0, 1)]) == {}
    assert store.append(one("t")).result(60).position == 5


def test_for_one_size_there_is_one_root(store: Store) -> None:
    tree = filled(store, 5).tree
    assert tree.step(0, head(5), [])
    first = published(3)
    tree.publish(first)
    tree.publish(published(5))
    tree.publish(replace(first, note=b"the same, signed again"))
    with pytest.raises(OtherRoot):
        tree.publish(published(3, bytes(32)))
    assert tree.published(3) == tree.published(4) == first
    assert tree.published(2) is None
    latest = tree.published()
    assert latest is not None
    assert latest.size == 5


def test_cosignatures_are_added_to_a_checkpoint_and_nothing_else_is(store: Store) -> None:
    tree = filled(store, 3).tree
    assert tree.step(0, head(3), [])
    first = published(3)
    tree.publish(first)
    line = "— w abcd\n".encode()
    assert tree.cosign(3, first.note, first.note + line)
    assert tree.published() == replace(first, note=first.note + line)
    # Somebody else was first, or there is no such checkpoint.
    assert not tree.cosign(3, first.note, first.note + line * 2)
    assert not tree.cosign(2, first.note, first.note + line)
    now_there = first.note + line
    assert tree.cosign(3, now_there, now_there + line)
    whole = now_there + line
    for other in (b"x" + whole, whole[:-1], whole, whole + b"x\n", whole + line + b"\n" + line):
        with pytest.raises(Exception, match="cosignatures alone are added"):
            tree.cosign(3, whole, other)
    assert tree.published() == replace(first, note=whole)


def test_no_checkpoint_is_larger_than_the_tree(store: Store) -> None:
    tree = filled(store, 5).tree
    assert tree.step(0, head(4), [])
    with pytest.raises(Exception, match="the tree is not that large"):
        tree.publish(published(5))
    assert tree.published() is None


def test_growing_and_publishing_wake_nobody(store: Store) -> None:
    filled(store, 2)
    heard: list[int] = []
    store.subscribe_commits(heard.append)
    assert store.tree.step(0, head(1), [])
    store.tree.publish(published(1))
    store.append(one("last")).result(60)
    while 3 not in heard:
        pass
    assert set(heard) <= {2, 3}
    assert heard.count(2) <= 1


# ------------------------------------------------------------ what the databases refuse


CHANGES = [
    "UPDATE {}log_tiles SET data = data",
    "DELETE FROM {}log_tiles",
    "UPDATE {}log_checkpoints SET root = root",
    "DELETE FROM {}log_checkpoints",
    "UPDATE {}log_head SET size = 0",
    "UPDATE {}log_head SET size = size",
    "DELETE FROM {}log_head",
]


@pytest.fixture(scope="module")
def database() -> Database:
    made = given_postgres.fresh_database()
    with postgres_store.open_store(made.app_url, timeout_s=PATIENCE_S) as opened:
        tree = filled(opened, 2).tree
        assert tree.step(0, head(2), [Tile(0, 0, TILE)])
        tree.publish(published(2))
    return made


@pytest.mark.parametrize(
    "change",
    [*CHANGES, "TRUNCATE {}log_tiles", "TRUNCATE {}log_checkpoints", "TRUNCATE {}log_head"],
)
def test_not_even_the_owner_changes_the_tree_in_postgres(database: Database, change: str) -> None:
    statement = change.format("ledger.").encode()
    for url, why in (
        (database.owner_url, psycopg.errors.RestrictViolation),
        (database.app_url, psycopg.errors.InsufficientPrivilege),
    ):
        with psycopg.connect(url, autocommit=True) as connection, pytest.raises(why):
            connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.log_tiles VALUES (0, 7, '')",
        "INSERT INTO ledger.log_checkpoints VALUES (1, '', '', 0)",
        "UPDATE ledger.log_head SET size = 9",
    ],
)
def test_the_role_that_serves_grows_the_tree_by_steps_alone(
    database: Database, statement: str
) -> None:
    with (
        psycopg.connect(database.app_url, autocommit=True) as app,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        app.execute(statement.encode())


@pytest.mark.parametrize(
    "change",
    [
        *CHANGES,
        "INSERT OR REPLACE INTO log_tiles SELECT * FROM log_tiles",
        "INSERT OR REPLACE INTO log_checkpoints SELECT * FROM log_checkpoints",
        "INSERT OR REPLACE INTO log_head SELECT * FROM log_head",
        "INSERT INTO log_checkpoints VALUES (3, zeroblob(32), x'', 0)",
        "UPDATE log_head SET size = 3",
    ],
)
def test_sqlite_refuses_what_would_change_the_tree(
    tmp_path_factory: pytest.TempPathFactory, change: str
) -> None:
    path = tmp_path_factory.mktemp("tree") / "ledger.db"
    sqlite_store.create(path)
    with sqlite_store.open_store(path) as opened:
        tree = filled(opened, 2).tree
        assert tree.step(0, head(2), [Tile(0, 0, TILE)])
        tree.publish(published(2))
        with pytest.raises(Exception, match=r"never|there is one tree|not that large|cannot hold"):
            opened._session.connection.execute(change.format(""))
        assert tree.head() == head(2)
