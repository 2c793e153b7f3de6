"""What somebody may do to the tables of a ledger, one change at a time, and how it is found."""

# ruff: noqa: S608 - whoever tampers puts statements together as they please

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from given_tampering import Hand, flipped, resigned, unreadable

MIDDLE: Final = 40
"""An event that is neither among the first nor among the last."""
COLUMNS: Final = (
    "recorded_at, originator_id, originator_version, topic, state, salt, payload_commitment"
)
SHIFT: Final = 1_000_000


@dataclass(frozen=True)
class Change:
    """A change to a table; ``found`` begins a difference that names it, in each of the databases.

    An empty ``found`` says that nothing in the log tells of it, and ``why``.
    """

    table: str
    name: str
    do: Callable[[Hand], None]
    found: str
    why: str = ""
    only: str = ""

    def __str__(self) -> str:
        return f"{self.table}: {self.name}"


CHANGES: Final[list[Change]] = []


def change(
    table: str, name: str, found: str, *, why: str = "", only: str = ""
) -> Callable[[Callable[[Hand], None]], Callable[[Hand], None]]:
    """Put a function into the list of changes."""

    def put(do: Callable[[Hand], None]) -> Callable[[Hand], None]:
        CHANGES.append(Change(table, name, do, found, why, only))
        return do

    return put


def statement(table: str, name: str, found: str, *sql: str, why: str = "", only: str = "") -> None:
    """Put statements into the list of changes."""

    def do(hand: Hand) -> None:
        for each in sql:
            hand.run(each)

    CHANGES.append(Change(table, name, do, found, why, only))


def sealed(salt: bytes, state: bytes) -> bytes:
    return hashlib.sha256(b"ledger.payload.v1\n" + salt + state).digest()


def one(hand: Hand, sql: str, *given: Any) -> Any:
    (found,) = hand.run(sql, *given)[0]
    return bytes(found) if isinstance(found, memoryview) else found


# ---------------------------------------------------------------- events


@change("events", "one byte of a body", f"events, position {MIDDLE}, state")
def _body(hand: Hand) -> None:
    state = one(hand, "SELECT state FROM {s}events WHERE position = ?", MIDDLE)
    hand.run("UPDATE {s}events SET state = ? WHERE position = ?", flipped(state), MIDDLE)


@change("events", "a body with a commitment made for it", f"events, position {MIDDLE}, leaf hash")
def _committed(hand: Hand) -> None:
    ((state, salt),) = hand.run("SELECT state, salt FROM {s}events WHERE position = ?", MIDDLE)
    state = flipped(bytes(state))
    hand.run(
        "UPDATE {s}events SET state = ?, payload_commitment = ? WHERE position = ?",
        state, sealed(bytes(salt), state), MIDDLE,
    )  # fmt: skip


@change("events", "one byte of a salt", f"events, position {MIDDLE}, state")
def _salt(hand: Hand) -> None:
    salt = one(hand, "SELECT salt FROM {s}events WHERE position = ?", MIDDLE)
    hand.run("UPDATE {s}events SET salt = ? WHERE position = ?", flipped(salt), MIDDLE)


@change("events", "one byte of a commitment", f"events, position {MIDDLE}, state")
def _commitment(hand: Hand) -> None:
    held = one(hand, "SELECT payload_commitment FROM {s}events WHERE position = ?", MIDDLE)
    hand.run(
        "UPDATE {s}events SET payload_commitment = ? WHERE position = ?", flipped(held), MIDDLE
    )


LEAF: Final = f"events, position {MIDDLE}, leaf hash"
statement(
    "events", "a recorded time", LEAF,
    f"UPDATE {{s}}events SET recorded_at = recorded_at + 1 WHERE position = {MIDDLE}",
)  # fmt: skip
statement(
    "events", "a topic", LEAF,
    f"UPDATE {{s}}events SET topic = 'record.resubmitted:1' WHERE position = {MIDDLE}",
)  # fmt: skip
statement(
    "events", "a version", LEAF,
    f"UPDATE {{s}}events SET originator_version = 77 WHERE position = {MIDDLE}",
)  # fmt: skip
statement(
    "events", "a stream", LEAF,
    f"UPDATE {{s}}events SET originator_id = 'stranger' WHERE position = {MIDDLE}",
)  # fmt: skip
statement(
    "events", "delete a row", f"events, position {MIDDLE}: ",
    f"DELETE FROM {{s}}events WHERE position = {MIDDLE}",
)  # fmt: skip
statement(
    "events", "delete the last row", "events, positions ",
    "DELETE FROM {s}events WHERE position = (SELECT max(position) FROM {s}events)",
)  # fmt: skip


def _insert(hand: Hand, position: int) -> None:
    state = b'{"actor":"operator"}'
    hand.run(
        f"INSERT INTO {{s}}events (position, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        position, 2**50, "stranger", 1, "record.submitted:1", state, bytes(32),
        sealed(bytes(32), state),
    )  # fmt: skip


@change("events", "insert a row in the middle", f"events, position {MIDDLE}, leaf hash")
def _inserted(hand: Hand) -> None:
    for by in (SHIFT, 1 - SHIFT):
        hand.run(f"UPDATE {{s}}events SET position = position + ? WHERE position >= {MIDDLE}", by)
    _insert(hand, MIDDLE)


@change("events", "insert a row at the end", "events, position ")
def _appended(hand: Hand) -> None:
    _insert(hand, one(hand, "SELECT max(position) + 1 FROM {s}events"))


def _swap(hand: Hand, table: str, key: str, columns: str, *keys: Any) -> None:
    """Let each row take the columns of the next, the last one those of the first."""
    names = columns.split(", ")
    held = [hand.run(f"SELECT {columns} FROM {table} WHERE {key} = ?", each)[0] for each in keys]
    sets = ", ".join(f"{name} = ?" for name in names)
    for each, row in zip(keys, held[1:] + held[:1], strict=True):
        hand.run(f"UPDATE {table} SET {sets} WHERE {key} = ?", *row, each)


@change("events", "swap the bodies of two rows", LEAF)
def _swapped(hand: Hand) -> None:
    _swap(hand, "{s}events", "position", "state, salt, payload_commitment", MIDDLE, MIDDLE + 1)


@change("events", "swap two rows", LEAF)
def _swapped_rows(hand: Hand) -> None:
    for old, new in ((MIDDLE, SHIFT), (MIDDLE + 1, MIDDLE), (SHIFT, MIDDLE + 1)):
        hand.run("UPDATE {s}events SET position = ? WHERE position = ?", new, old)


@change("events", "reorder three rows", LEAF)
def _reordered(hand: Hand) -> None:
    places = ((MIDDLE, SHIFT), (MIDDLE + 1, MIDDLE), (MIDDLE + 2, MIDDLE + 1), (SHIFT, MIDDLE + 2))
    for old, new in places:
        hand.run("UPDATE {s}events SET position = ? WHERE position = ?", new, old)


statement(
    "events", "erase a row that no erasure names", f"events, position {MIDDLE}, salt",
    f"UPDATE {{s}}events SET salt = '' WHERE position = {MIDDLE}", only="postgres",
)  # fmt: skip
statement(
    "events", "erase a row that no erasure names", f"events, position {MIDDLE}, salt",
    f"UPDATE {{s}}events SET salt = x'' WHERE position = {MIDDLE}", only="sqlite",
)  # fmt: skip


@change("events", "change an erased body once more", "events, position ")
def _erased(hand: Hand) -> None:
    ((position, state),) = hand.run("SELECT position, state FROM {s}events WHERE length(salt) = 0")
    state = bytes(state).replace(b"[erased]", b"[Erased]")
    hand.run("UPDATE {s}events SET state = ? WHERE position = ?", state, position)


# ---------------------------------------------------------------- the tree


@change("log_tiles", "one byte of a tile", "log_tiles, level 0, idx 0, hash ")
def _tile(hand: Hand) -> None:
    hand.run(
        "UPDATE {s}log_tiles SET data = ?",
        flipped(one(hand, "SELECT data FROM {s}log_tiles WHERE idx = 0")),
    )


@change("log_tiles", "swap two hashes", "log_tiles, level 0, idx 0, hash 0")
def _hashes(hand: Hand) -> None:
    data = one(hand, "SELECT data FROM {s}log_tiles WHERE idx = 0")
    hand.run("UPDATE {s}log_tiles SET data = ?", data[32:64] + data[:32] + data[64:])


statement(
    "log_tiles", "delete a tile", "log_tiles, level 0, idx 0, data", "DELETE FROM {s}log_tiles"
)
for level, index in ((0, 1), (1, 0), (9, 3)):
    statement(
        "log_tiles", f"insert a tile at level {level}", f"log_tiles, level {level}, idx {index}: ",
        f"INSERT INTO {{s}}log_tiles SELECT {level}, {index}, data FROM {{s}}log_tiles",
    )  # fmt: skip
statement(
    "log_tiles", "move a tile", "log_tiles, level 0, idx 0, data",
    "UPDATE {s}log_tiles SET idx = 1",
)  # fmt: skip


@change("log_head", "one byte of the frontier", "log_tiles, level 0, idx 1, hash ")
def _frontier(hand: Hand) -> None:
    frontier = one(hand, "SELECT frontier FROM {s}log_head")
    hand.run("UPDATE {s}log_head SET frontier = ?", flipped(frontier, 40))


statement("log_head", "a smaller size", "log_head, one, ", "UPDATE {s}log_head SET size = size - 1")
statement("log_head", "a larger size", "log_head, one, ", "UPDATE {s}log_head SET size = size + 1")
statement("log_head", "delete the row", "log_head, rows", "DELETE FROM {s}log_head")


@change("log_checkpoints", "one byte of a root", "log_checkpoints, size ")
def _root(hand: Hand) -> None:
    size = one(hand, "SELECT min(size) FROM {s}log_checkpoints")
    root = one(hand, "SELECT root FROM {s}log_checkpoints WHERE size = ?", size)
    hand.run("UPDATE {s}log_checkpoints SET root = ? WHERE size = ?", flipped(root), size)


def _note(which: str, how: Callable[[bytes], bytes]) -> Callable[[Hand], None]:
    """Change the note of the first checkpoint (``min``) or of the last (``max``)."""

    def do(hand: Hand) -> None:
        size = one(hand, f"SELECT {which}(size) FROM {{s}}log_checkpoints")
        note = one(hand, "SELECT note FROM {s}log_checkpoints WHERE size = ?", size)
        hand.run("UPDATE {s}log_checkpoints SET note = ? WHERE size = ?", how(note), size)

    return do


for _says, _found, _which, _how in (
    ("one byte of a signature", "log_checkpoints, size ", "min", resigned),
    ("a signature that cannot be read", "log_checkpoints, size ", "min", unreadable),
    ("one byte of the last note", "checkpoint, ", "max", resigned),
    ("a last signature that cannot be read", "checkpoint: ", "max", unreadable),
):
    change("log_checkpoints", _says, _found)(_note(_which, _how))


@change("log_checkpoints", "swap two notes", "log_checkpoints, size ")
def _notes(hand: Hand) -> None:
    sizes = [size for (size,) in hand.run("SELECT size FROM {s}log_checkpoints ORDER BY size")]
    _swap(hand, "{s}log_checkpoints", "size", "root, note", *sizes[:2])


statement(
    "log_checkpoints", "insert a forged one", "log_checkpoints, size 7, ",
    "INSERT INTO {s}log_checkpoints SELECT 7, root, note, published_at FROM {s}log_checkpoints "
    "WHERE size = (SELECT max(size) FROM {s}log_checkpoints)",
)  # fmt: skip
statement(
    "log_checkpoints", "a published time before the one earlier", "log_checkpoints, size ",
    "UPDATE {s}log_checkpoints SET published_at = 1 "
    "WHERE size = (SELECT max(size) FROM {s}log_checkpoints)",
)  # fmt: skip
statement(
    "log_checkpoints", "delete the last", "checkpoint, ledger.example.org/log, size (rollback)",
    "DELETE FROM {s}log_checkpoints WHERE size = (SELECT max(size) FROM {s}log_checkpoints)",
)  # fmt: skip
statement(
    "log_checkpoints", "delete all", "checkpoint, ledger.example.org/log, size (rollback)",
    "DELETE FROM {s}log_checkpoints",
)  # fmt: skip
statement(
    "log_checkpoints", "delete an earlier one", "",
    "DELETE FROM {s}log_checkpoints WHERE size = (SELECT min(size) FROM {s}log_checkpoints)",
    why="later checkpoints hold all that it said; who kept it can still prove it",
)  # fmt: skip

# ---------------------------------------------------------------- beside the log


def _document(hand: Hand) -> str:
    return str(one(hand, "SELECT max(id) FROM {s}documents WHERE view = 'public_view'"))


@change("documents", "one byte of a body", "documents (public_view), ")
def _shown(hand: Hand) -> None:
    record = _document(hand)
    body = one(hand, "SELECT body FROM {s}documents WHERE id = ?", record)
    body = body.replace(b"UNVERIFIED", b"VERIFIED")
    hand.run("UPDATE {s}documents SET body = ? WHERE id = ?", body, record)


PUBLIC: Final = "(SELECT max(id) FROM {s}documents WHERE view = 'public_view')"
KEY: Final = "(SELECT min(id) FROM {s}documents WHERE view = 'api_keys')"
for column in ("version", "position", "recorded_at"):
    statement(
        "documents", f"a {column}", "documents (public_view), ",
        f"UPDATE {{s}}documents SET {column} = {column} - 1 WHERE id = {PUBLIC}",
    )  # fmt: skip
statement(
    "documents", "delete a document", "documents (public_view), ",
    f"DELETE FROM {{s}}documents WHERE id = {PUBLIC}",
)  # fmt: skip
statement(
    "documents", "insert a document", "documents (public_view), stranger: ",
    "INSERT INTO {s}documents SELECT view, 'stranger', version, position, recorded_at, body "
    f"FROM {{s}}documents WHERE id = {PUBLIC}",
)  # fmt: skip
statement(
    "documents", "insert a view", "documents, view stranger, rows",
    "INSERT INTO {s}documents SELECT 'stranger', id, version, position, recorded_at, body "
    f"FROM {{s}}documents WHERE id = {PUBLIC}",
)  # fmt: skip


@change("documents", "swap two documents", "documents (public_view), ")
def _swapped_documents(hand: Hand) -> None:
    sql = "SELECT id FROM {s}documents WHERE view = 'public_view' ORDER BY id LIMIT 2"
    ids = [found for (found,) in hand.run(sql)]
    _swap(hand, "{s}documents", "id", "version, position, recorded_at, body", *ids)


@change("documents", "a revoked key that is valid again", "documents (api_keys), ")
def _revived(hand: Hand) -> None:
    sql = "SELECT id, body FROM {s}documents WHERE view = 'api_keys'"
    for key, body in hand.run(sql):
        state = json.loads(bytes(body)) | {"revoked": False}
        hand.run("UPDATE {s}documents SET body = ? WHERE id = ?", json.dumps(state).encode(), key)


statement(
    "documents", "delete a key's state", "documents (api_keys), ",
    f"DELETE FROM {{s}}documents WHERE id = {KEY}",
)  # fmt: skip

DOI: Final = "reservations, doi 10.5281/zenodo.31122311"
statement(
    "reservations", "an owner", f"{DOI}, owner",
    "UPDATE {s}reservations SET owner = 'stranger' WHERE kind = 'doi'",
)  # fmt: skip
statement(
    "reservations", "one byte of a name", f"{DOI}: ",
    "UPDATE {s}reservations SET value = '10.5281/zenodo.31122312' "
    "WHERE value = '10.5281/zenodo.31122311'",
)  # fmt: skip
statement(
    "reservations", "delete a row", f"{DOI}: ", "DELETE FROM {s}reservations WHERE kind = 'doi'"
)
statement(
    "reservations", "insert a row", "reservations, doi 10.1/x: ",
    "INSERT INTO {s}reservations VALUES ('doi', '10.1/x', 'stranger')",
)  # fmt: skip


@change("reservations", "swap two owners", "reservations, handle ")
def _owners(hand: Hand) -> None:
    sql = "SELECT value FROM {s}reservations WHERE kind = 'handle' ORDER BY value LIMIT 2"
    _swap(hand, "{s}reservations", "value", "owner", *(found for (found,) in hand.run(sql)))


ARTIFACT: Final = "(SELECT min(digest) FROM {s}artifacts)"
statement(
    "artifacts", "a size", "artifacts, sha256:",
    f"UPDATE {{s}}artifacts SET size_bytes = 1 WHERE digest = {ARTIFACT}",
)  # fmt: skip
statement(
    "artifacts", "a position", "artifacts, sha256:",
    f"UPDATE {{s}}artifacts SET position = 3 WHERE digest = {ARTIFACT}",
)  # fmt: skip
statement(
    "artifacts", "delete a row", "artifacts, sha256:",
    f"DELETE FROM {{s}}artifacts WHERE digest = {ARTIFACT}",
)  # fmt: skip
statement(
    "artifacts", "insert a row", "artifacts, sha256:00: ",
    "INSERT INTO {s}artifacts VALUES ('sha256:00', 1, 1)",
)  # fmt: skip


@change("artifacts", "swap two rows", "artifacts, sha256:")
def _swapped_artifacts(hand: Hand) -> None:
    found = [d for (d,) in hand.run("SELECT digest FROM {s}artifacts ORDER BY digest LIMIT 2")]
    _swap(hand, "{s}artifacts", "digest", "size_bytes, position", *found)


ANSWER: Final = "(SELECT max(position) FROM {s}idempotency)"
for column in ("version", "position", "recorded_at"):
    statement(
        "idempotency", f"a {column}", "idempotency, pipeline ",
        f"UPDATE {{s}}idempotency SET {column} = {column} - 1 WHERE position = {ANSWER}",
    )  # fmt: skip
statement(
    "idempotency", "a stream", "idempotency, pipeline ",
    f"UPDATE {{s}}idempotency SET originator_id = 'stranger' WHERE position = {ANSWER}",
)  # fmt: skip
statement(
    "idempotency", "an actor", "idempotency, stranger ",
    f"UPDATE {{s}}idempotency SET actor = 'stranger' WHERE position = {ANSWER}",
)  # fmt: skip
statement(
    "idempotency", "a fingerprint that is none", "idempotency, pipeline ",
    f"UPDATE {{s}}idempotency SET fingerprint = 'none' WHERE position = {ANSWER}",
)  # fmt: skip
statement(
    "idempotency", "insert a second key for an append", "idempotency, pipeline ",
    "INSERT INTO {s}idempotency SELECT actor, 'again', fingerprint, originator_id, version, "
    f"position, recorded_at FROM {{s}}idempotency WHERE position = {ANSWER}",
)  # fmt: skip
statement(
    "idempotency", "another fingerprint", "",
    f"UPDATE {{s}}idempotency SET fingerprint = '{'0' * 64}' WHERE position = {ANSWER}",
    why="requests are not in the log: the key answers 422 where it would have answered again",
)  # fmt: skip
statement(
    "idempotency", "delete a row", "",
    f"DELETE FROM {{s}}idempotency WHERE position = {ANSWER}",
    why="keys are forgotten by age, and not every append has one",
)  # fmt: skip


@change(
    "idempotency", "swap two answers of one actor", "",
    why="which key asked is not in the log: a retry would be told of the other append",
)  # fmt: skip
def _answers(hand: Hand) -> None:
    sql = "SELECT key FROM {s}idempotency ORDER BY position DESC LIMIT 2"
    keys = [found for (found,) in hand.run(sql)]
    _swap(hand, "{s}idempotency", "key", "originator_id, version, position, recorded_at", *keys)


for column in ("position", "recorded_at"):
    statement(
        "head", f"a {column}", f"head, one, {column}",
        f"UPDATE {{s}}head SET {column} = {column} + 1", only="postgres",
    )  # fmt: skip
statement("head", "delete the row", "head, rows", "DELETE FROM {s}head", only="postgres")

# ---------------------------------------------------------------- the views

FIRST: Final = {
    "correction": ("position", "body"),
    "finding": ("position", "body"),
    "catalogue": ("place", "title"),
    "catalogue_text": ("rowid", "words"),
    "evidence": ("position", "body"),
}
for table, (key, column) in FIRST.items():
    where = f"WHERE {key} = (SELECT min({key}) FROM {{v}}{table})"
    statement(
        table, "one value", f"views {table}, ",
        f"UPDATE {{v}}{table} SET {column} = 'Another' {where}",
    )  # fmt: skip
    statement(table, "delete a row", f"views {table}, ", f"DELETE FROM {{v}}{table} {where}")
statement(
    "correction", "insert a row", "views correction",
    "INSERT INTO {v}correction SELECT 1, 'stranger', nature, type, body FROM {v}correction LIMIT 1",
)  # fmt: skip
statement(
    "finding", "insert a row", "views finding",
    "INSERT INTO {v}finding SELECT 1, 1, 'stranger', rule, body FROM {v}finding LIMIT 1",
)  # fmt: skip
statement(
    "catalogue_text", "insert a row", "views catalogue",
    "INSERT INTO {v}catalogue_text (rowid, words) VALUES (1, 'words')",
)  # fmt: skip


@change("catalogue", "swap two titles", "views catalogue, ")
def _titles(hand: Hand) -> None:
    places = [found for (found,) in hand.run("SELECT place FROM {v}catalogue ORDER BY place")]
    _swap(hand, "{v}catalogue", "place", "title", *places[:2])


statement(
    "standing", "delete a row", "views standing (catalogue)",
    "DELETE FROM {v}standing WHERE name = 'catalogue'",
)  # fmt: skip
statement(
    "standing", "a view that says that it is less far", "views ",
    "UPDATE {v}standing SET position = 100 WHERE name = 'catalogue'",
)  # fmt: skip
statement(
    "standing", "a view that says that other facts were in force", "views ",
    "UPDATE {v}standing SET in_force = 99 WHERE name = 'catalogue'",
)  # fmt: skip
statement(
    "standing", "a view that says that it is further", "views ",
    "UPDATE {v}standing SET position = 1000000 WHERE name = 'catalogue'",
)  # fmt: skip

# ---------------------------------------------------------------- with the key at hand


def rewritten(hand: Hand) -> None:
    """Put another body into the history, with its commitment, and leave the tree to grow anew."""
    _committed_title(hand)
    hand.run("DELETE FROM {s}log_checkpoints")
    hand.run("DELETE FROM {s}log_tiles")
    empty = "x''" if hand.kind == "sqlite" else "''"
    hand.run(f"UPDATE {{s}}log_head SET size = 0, frontier = {empty}")


def _committed_title(hand: Hand) -> None:
    sql = "SELECT position, state, salt FROM {s}events ORDER BY position"
    for position, state, salt in hand.run(sql):
        if b"Study 7" in bytes(state):
            body = bytes(state).replace(b"Study 7", b"Stady 7")
            hand.run(
                "UPDATE {s}events SET state = ?, payload_commitment = ? WHERE position = ?",
                body, sealed(bytes(salt), body), position,
            )  # fmt: skip
