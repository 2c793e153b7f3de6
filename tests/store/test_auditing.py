"""An audit finds whatever was changed in the database, and names it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import given_stores
from given_postgres import APP
from given_stores import Place, event
from ledger import errors
from ledger.store import Append, Store
from ledger.store.raw import RawRow
from ledger.transparency.auditing import Audit, Audited
from ledger.transparency.key_file import KeyFile
from ledger.transparency.publisher import Publisher
from ledger.transparency.sequencer import step

place, store = given_stores.place, given_stores.store
COUNT = 600
FIRST = 300
"""The size of the first checkpoint."""


@pytest.fixture
def files(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "log.key")
    made.make("ledger.example/log")
    return made


@pytest.fixture
def full(place: Place, files: KeyFile) -> Place:
    """A ledger of 600 events with two checkpoints."""
    with place.open() as opened:
        publisher = Publisher(opened.tree, files)
        for start in (0, FIRST):
            some = (event("s", n + 1, b'{"n":%d}' % n) for n in range(start, start + FIRST))
            opened.append(Append(tuple(some))).result(60)
            while step(opened.tree, 250):
                pass
            publisher.publish()
    return place


def tampered(place: Place, *statements: str) -> None:
    """Do to a database what only its superuser can: with every trigger asleep."""
    if place.adapter == "sqlite":
        with closing(sqlite3.connect(place.place)) as outsider:
            triggers = outsider.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in triggers.fetchall():
                outsider.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                outsider.execute(statement.replace("ledger.", ""))
            outsider.commit()
        return
    with psycopg.connect(place.place.replace(APP, "postgres", 1), autocommit=True) as outsider:
        outsider.execute("SET session_replication_role = replica")
        outsider.execute("SET search_path = ledger")
        for statement in statements:
            outsider.execute(statement.replace("x'", "'\\x").encode())


def pages(store: Store) -> Iterator[list[RawRow]]:
    after = 0
    with asyncio.Runner() as runner:
        while page := runner.run(store.raw.log(after, 10**9, 97)):
            yield page
            after = page[-1][0]


def audited(place: Place, files: KeyFile, **changes: Any) -> Audited:
    key, last = files.read(), files.remembered()
    assert key is not None
    assert last is not None
    with place.open() as opened:
        given: dict[str, Any] = {"key": key.verifier, "outside": last[0]}
        return Audit(opened.tree, **given | changes).run(pages(opened))


def test_what_was_not_touched_is_as_it_was_published(full: Place, files: KeyFile) -> None:
    last = files.remembered()
    assert last is not None
    assert audited(full, files) == Audited(COUNT, COUNT, last[0].root, 2, 0)
    with full.open() as opened:
        opened.append(Append((event("t", 1),))).result(60)
    # What is not in the tree yet is looked at as well.
    assert audited(full, files).rows == COUNT + 1


def test_an_empty_ledger_is_audited(store: Store) -> None:
    assert Audit(store.tree).run(pages(store)).rows == 0


CHANGES = {
    "a body": (["UPDATE events SET state = x'7b7d' WHERE position = 7"], "position 7 is not as"),
    "a salt": (["UPDATE events SET salt = x'00' WHERE position = 7"], "position 7 is not as"),
    "a commitment": (
        ["UPDATE events SET payload_commitment = salt WHERE position = 7"],
        "position 7 is not as",
    ),
    "an erasure without its event": (
        ["UPDATE events SET salt = x'' WHERE position = 7"],
        "position 7 has no salt",
    ),
    "a time": (
        ["UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 7"],
        "position 7 is not the one that the tree holds",
    ),
    "a time behind the last full tile": (
        ["UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 599"],
        "position 599 is not the one that the tree holds",
    ),
    "a stream": (
        ["UPDATE events SET originator_id = 'other' WHERE position = 256"],
        "position 256 is not the one that the tree holds",
    ),
    "a version": (
        ["UPDATE events SET originator_version = 999 WHERE position = 257"],
        "position 257 is not the one that the tree holds",
    ),
    "a type": (
        ["UPDATE events SET topic = 'test.other:1' WHERE position = 600"],
        "position 600 is not the one that the tree holds",
    ),
    "a row less": (["DELETE FROM events WHERE position = 7"], "position 7 is missing"),
    "the last row less": (["DELETE FROM events WHERE position = 600"], "ends at position 599"),
    "two rows swapped": (
        [
            "UPDATE events SET position = -1 WHERE position = 7",
            "UPDATE events SET position = 7 WHERE position = 8",
            "UPDATE events SET position = 8 WHERE position = -1",
        ],
        "position 7 is not the one that the tree holds",
    ),
    "a row between": (
        [
            "UPDATE events SET position = -position - 1 WHERE position > 6",
            "UPDATE events SET position = -position WHERE position < 0",
            (
                "INSERT INTO events SELECT 7, recorded_at + 1, 'in', 1, topic, state, salt, "
                "payload_commitment FROM events WHERE position = 6"
            ),
        ],
        "position 7 is not the one that the tree holds",
    ),
    "a tile": (
        [
            (
                "UPDATE log_tiles SET data = (SELECT data FROM log_tiles WHERE idx = 1) "
                "WHERE level = 0 AND idx = 0"
            )
        ],
        "tile 0 of level 0 is not that of the rows",
    ),
    "a tile less": (["DELETE FROM log_tiles WHERE idx = 1"], "no tile 1 of level 0"),
    "a checkpoint's root": (
        [
            (
                "UPDATE log_checkpoints SET root = (SELECT root FROM log_checkpoints "
                "WHERE size = 600) WHERE size = 300"
            )
        ],
        "checkpoint of size 300 in the database does not fit",
    ),
    "a checkpoint's note": (
        ["UPDATE log_checkpoints SET note = x'00' WHERE size = 300"],
        "checkpoint of size 300 in the database is damaged",
    ),
    "the head": (
        ["UPDATE log_head SET size = 599"],
        "head of the tree does not fit its size",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_named(full: Place, files: KeyFile, name: str) -> None:
    statements, found = CHANGES[name]
    tampered(full, *statements)
    with pytest.raises(errors.LogAltered, match=found):
        audited(full, files)


def test_a_history_that_was_rewritten_whole_differs_from_what_is_kept_outside(
    full: Place, files: KeyFile
) -> None:
    """Who has the database alone can make rows, tiles and checkpoints agree again."""
    tampered(
        full,
        "UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 7",
        "DELETE FROM log_tiles",
        "DELETE FROM log_checkpoints",
        "UPDATE log_head SET size = 0, frontier = x''",
    )
    with full.open() as opened:
        while step(opened.tree):
            pass
    assert audited(full, files, outside=None).size == COUNT
    with pytest.raises(errors.LogAltered, match="another root than the one that was published"):
        audited(full, files)


def test_an_older_copy_is_shorter_than_what_is_kept_outside(
    place: Place, full: Place, files: KeyFile, tmp_path: Path
) -> None:
    assert full is place
    (tmp_path / "other").mkdir()
    other = Place(place.adapter, given_stores.ADAPTERS[place.adapter].create(tmp_path / "other"))
    with pytest.raises(errors.LogAltered, match="holds 0 events, and a checkpoint of 600"):
        audited(other, files)
