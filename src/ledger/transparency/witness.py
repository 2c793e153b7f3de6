"""How does a witness decide?  It cosigns what continues what it cosigned before, and nothing else.

The server side of C2SP tlog-witness, without its HTTP.  What it has cosigned lies in a SQLite file
of its own, its memory, and is on the disk before anybody hears of it.  The memory is made with the
key and never again: a key whose memory is lost could be led to cosign a second history.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.transparency.merkle import EMPTY_ROOT, BadProof, verify_consistency
from ledger.transparency.notes import (
    BadNote,
    Checkpoint,
    Note,
    SigningKey,
    VerifierKey,
    decoded_hash,
    parse_note,
)
from ledger.vocabulary import now

REQUEST_BYTES_MAX: Final = 131_072
PROOF_HASHES_MAX: Final = 63
EVIDENCE_MAX: Final = 1_000
"""How many refused checkpoints are kept for each log: its own key must not fill our disk."""
APPLICATION_ID: Final = 0x4C574954
"""``LWIT``: how a file says that it is a witness's memory."""
BUSY_TIMEOUT_S: Final = 10

_log = logging.getLogger("ledger.witness")

_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE witness (vkey TEXT NOT NULL) STRICT;
CREATE TABLE cosigned (
    origin TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note BLOB NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE TABLE refused (
    digest BLOB NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    time INTEGER NOT NULL,
    why TEXT NOT NULL,
    request BLOB NOT NULL,
    held BLOB
) STRICT;
"""


class BadMemory(Exception):
    """The file is no memory of a witness, or cannot be opened; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness answers, in the terms of the protocol, which is HTTP."""

    status: HTTPStatus
    body: str
    media_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint that a log wants cosigned, from the size that it thinks we have."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read the body of add-checkpoint; raises BadNote."""
        head, between, note = data.partition(b"\n\n")
        first, *lines = head.decode("ascii", "replace").split("\n")
        old = re.fullmatch(r"old (0|[1-9][0-9]{0,18})", first)
        if not between or old is None or len(lines) > PROOF_HASHES_MAX:
            raise BadNote("the request has not the lines that add-checkpoint takes")
        proof = tuple(map(decoded_hash, lines))
        parsed = parse_note(note)
        return cls(int(old[1]), proof, parsed, Checkpoint.parse(parsed.text))


@dataclass(frozen=True, slots=True)
class _Cosigned:
    size: int
    root: bytes
    note: bytes


_NOTHING: Final = _Cosigned(0, EMPTY_ROOT, b"")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A request that a log's key had signed and that was refused, with what the witness held.

    ``time`` is in seconds since 1970; ``held`` is the note that was cosigned last, if any was.
    """

    origin: str
    time: int
    why: str
    request: bytes
    held: bytes | None


class Witness:
    """One witness with its key, its memory and the logs it watches; any thread may ask."""

    def __init__(
        self,
        key: SigningKey,
        memory: Path,
        logs: Iterable[VerifierKey],
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Open the memory of the key; raises BadMemory for any other file.

        A log is known by the name of its key; it may have several keys.
        """
        self._key = key
        self._logs: dict[str, list[VerifierKey]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(log)
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._memory = _opened(memory, str(key.verifier))
        except sqlite3.Error as trouble:
            raise BadMemory(f"The file {memory} cannot be opened: {trouble}.") from trouble

    def close(self) -> None:
        """Let go of the memory."""
        with self._lock:
            self._memory.close()

    def add_checkpoint(self, body: bytes) -> Reply:
        """Cosign a checkpoint, or say why not; a refused fork is kept as evidence."""
        try:
            request = Request.parse(body)
        except BadNote as bad:
            return Reply(HTTPStatus.BAD_REQUEST, f"{bad}\n")
        keys = self._logs.get(request.checkpoint.origin)
        if keys is None:
            return Reply(HTTPStatus.NOT_FOUND, "this witness does not watch that log\n")
        try:
            signed = request.note.signed_by(keys)
        except BadNote:
            signed = {}
        if not signed:
            return Reply(HTTPStatus.FORBIDDEN, "no key of the log has signed the checkpoint\n")
        if request.old > request.checkpoint.size:
            return Reply(HTTPStatus.BAD_REQUEST, "the old size is larger than the new one\n")
        try:
            with self._lock:
                return self._decide(request, body)
        except sqlite3.Error as trouble:
            _log.error("The memory failed, so nothing is cosigned: %s.", trouble)
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, "the memory of the witness failed\n")

    def checkpoint(self, origin_digest: str) -> bytes | None:
        """Return the last checkpoint that was cosigned for a log, with our cosignature, or None.

        The log is named by the SHA-256 of its origin, in hexadecimal.
        """
        with self._lock:
            rows = self._memory.execute("SELECT origin, note FROM cosigned").fetchall()
        for origin, note in rows:
            if hashlib.sha256(origin.encode()).hexdigest() == origin_digest:
                return bytes(note)
        return None

    def _decide(self, request: Request, body: bytes) -> Reply:
        """Compare and store in one transaction, which also keeps other processes out."""
        self._memory.execute("BEGIN IMMEDIATE")
        try:
            reply = self._compared(request, body)
            # After this the cosignature may be seen; a crash below loses only the answer.
            self._memory.execute("COMMIT")
        except BaseException:
            if self._memory.in_transaction:
                self._memory.execute("ROLLBACK")
            raise
        return reply

    def _compared(self, request: Request, body: bytes) -> Reply:
        checkpoint, time = request.checkpoint, int(self._clock().timestamp())
        held = self._held(checkpoint.origin)
        why = _objection(held, request)
        if why is not None:
            self._keep(request, held, why, body, time)
        if request.old != held.size:
            return Reply(HTTPStatus.CONFLICT, f"{held.size}\n", "text/x.tlog.size")
        if why is not None:
            return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, f"{why}\n")
        (latest,) = self._memory.execute("SELECT max(time) FROM cosigned").fetchone()
        if latest is not None and time < latest:
            # A time that is signed must not lie before one that was signed already.
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, "the clock of the witness ran back\n")
        # Anybody can send a good checkpoint with a bad proof; it was no evidence then.
        self._memory.execute("DELETE FROM refused WHERE digest = ?", (_digest(request),))
        line = self._key.sign(request.note.text, time)
        note = bytes(Note(request.note.text, (*request.note.signatures, line)))
        self._memory.execute(
            "INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?, ?, ?)",
            (checkpoint.origin, checkpoint.size, checkpoint.root, note, time),
        )
        return Reply(HTTPStatus.OK, f"{line}\n")

    def _held(self, origin: str) -> _Cosigned:
        query = "SELECT size, root, note FROM cosigned WHERE origin = ?"
        row = self._memory.execute(query, (origin,)).fetchone()
        return _NOTHING if row is None else _Cosigned(*row)

    def _keep(self, request: Request, held: _Cosigned, why: str, body: bytes, time: int) -> None:
        origin = request.checkpoint.origin
        _log.error("A checkpoint that %s has signed is refused: %s.", origin, why)
        query = "SELECT count(*) FROM refused WHERE origin = ?"
        (count,) = self._memory.execute(query, (origin,)).fetchone()
        if count < EVIDENCE_MAX:
            self._memory.execute(
                "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?, ?)",
                (_digest(request), origin, time, why, body, held.note or None),
            )


def _digest(request: Request) -> bytes:
    """Return by what a refused checkpoint is known, whatever signatures and proof it came with."""
    return hashlib.sha256(request.note.text.encode()).digest()


def _objection(held: _Cosigned, request: Request) -> str | None:
    """Return why a signed checkpoint does not continue what we hold, None if it may well do."""
    checkpoint = request.checkpoint
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return "a tree without entries has another root"
    if checkpoint.size == held.size and checkpoint.root != held.root:
        return "the tree of this size has another root"
    if request.old != held.size:
        # The proof begins elsewhere; nothing follows from it.
        return None
    if request.old == 0:
        return "a proof from nothing is empty" if request.proof else None
    try:
        verify_consistency(held.size, checkpoint.size, held.root, checkpoint.root, request.proof)
    except BadProof as bad:
        return f"it does not continue the tree of {held.size} entries: {bad}"
    return None


def evidence(memory: Path) -> list[Evidence]:
    """Return what a memory holds of refused checkpoints, in order of time; raises BadMemory."""
    query = "SELECT origin, time, why, request, held FROM refused ORDER BY time, origin, digest"
    try:
        with closing(_connected(memory)) as connection:
            return [Evidence(*row) for row in connection.execute(query)]
    except sqlite3.Error as trouble:
        raise BadMemory(f"The file {memory} cannot be read as a memory: {trouble}.") from trouble


def make_memory(memory: Path, key: VerifierKey) -> None:
    """Make the memory of a key that has never signed; raises FileExistsError, OSError."""
    # Opened exclusively first, because SQLite would take up a file that is there.
    with memory.open("xb"):
        pass
    with closing(_connected(memory)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO witness VALUES (?)", (str(key),))


def _connected(memory: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(memory))}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S,
        isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _opened(memory: Path, vkey: str) -> sqlite3.Connection:
    connection = _connected(memory)
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    known = connection.execute("SELECT vkey FROM witness") if mark == APPLICATION_ID else []
    if (vkey,) not in known:
        connection.close()
        raise BadMemory(f"The file {memory} is not the memory of the witness {vkey}.")
    return connection
