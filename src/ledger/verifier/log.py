"""Does the log follow from itself, and does it make the signed tree?  One pass over all rows.

Two trees grow beside each other: one from the rows, one from the hashes that the target has stored.
Whichever makes the signed root is the true one, and what differs from it is to blame.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple, Protocol

from ledger.verifier.notebook import Notebook, Versions
from ledger.verifier.report import KEPT_MAX, Report
from ledger.verifier.tree import HASH_BYTES, TILE, Tree, hashes_in, leaf_hash, tile_width

COMMITMENT_PREFIX: Final = b"ledger.payload.v1\n"
SALT_BYTES: Final = 32
ERASURE: Final = "payload.erased:1"
GAP_MAX: Final = 1_000_000
"""Over so many missing rows nothing is counted on: what comes behind is not read."""
EVERY: Final = "*"
EVENTS: Final = "events"
TILES: Final = "log_tiles"
NOTHING: Final = bytes(HASH_BYTES)


class Row(NamedTuple):
    """An event as it is stored; ``at`` in microseconds since 1970 in UTC."""

    position: int
    at: int
    stream: str
    version: int
    topic: str
    state: bytes
    salt: bytes
    commitment: bytes


TYPES: Final = (int, int, str, int, str, bytes, bytes, bytes)


class Stored(Protocol):
    """Where the target's own hashes are asked for."""

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return the hashes of a tile, None where there are none."""

    def entries(self, index: int, width: int) -> list[bytes] | None:
        """Return a bundle of entries, None where there are none."""


class Mark(NamedTuple):
    """A size at which the root is known: by whom, and which."""

    size: int
    whose: str
    root: bytes


ERASED: Final = """
SELECT e.position, e.stream, e.version, e.topic, e.digest,
    by.position, by.stream, by.version, by.topic, by.digest
FROM erased AS e LEFT JOIN erasure AS by ON by.position = (
    SELECT max(position) FROM erasure WHERE target = e.position)
ORDER BY e.position
"""
"""Rows without a salt, each with the last erasure that names it."""
NOT_ERASED: Final = """
SELECT target, max(position) FROM erasure
WHERE target NOT IN (SELECT position FROM erased) GROUP BY target ORDER BY target
"""

Handler = Callable[[Row, dict[str, Any]], None]
AtMark = Callable[[Mark, bytes | None, bytes | None], None]


@lru_cache(maxsize=1_000)
def _quoted(text: str) -> str:
    return encode_basestring(text)


def entry(row: Row) -> bytes:
    """Return the entry of the log that a row makes."""
    return (
        f'{{"commit":"{row.commitment.hex()}","n":{row.position},"stream":'
        f'{encode_basestring(row.stream)},"time":{row.at},"type":{_quoted(row.topic)},"v":1,'
        f'"ver":{row.version}}}'
    ).encode()


def commitment(salt: bytes, state: bytes) -> bytes:
    """Return what binds a row to its body."""
    return hashlib.sha256(COMMITMENT_PREFIX + salt + state).digest()


class Pass:
    """One pass over the log."""

    def __init__(
        self,
        report: Report,
        notebook: Notebook,
        stored: Stored,
        size: int,
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        """Hold rows against the hashes that the target has stored of the first ``size`` of them.

        ``handlers`` are given the rows of their topic with the body read, that of ``EVERY``
        is given all, with no body.
        """
        self._report = report
        self._notebook = notebook
        self._stored = stored
        self._size = size
        self._handlers = {ERASURE: self._erasure, **(handlers or {})}
        self._every = self._handlers.get(EVERY)
        self._mine = Tree()
        self._other: Tree | None = None
        """The tree of the stored hashes; None as long as both are the same."""
        self.count = 0
        self._leaves: list[bytes] = []
        self._entries: list[bytes] = []
        self._theirs: list[bytes] = []
        """The stored hashes of the block that is being read; as many as there are."""
        self._apart: list[tuple[int, bytes, bytes]] = []
        self._last_at = 0
        self._versions = Versions(notebook)

    def run(self, rows: Iterable[Row], marks: Iterable[Mark], at_mark: AtMark) -> None:
        """Read all rows and tell what does not follow.

        ``marks`` come in order of size; ``at_mark`` is told at each which root the rows make there
        and which the stored hashes do, None where there are not so many rows.
        """
        due = iter(marks)
        mark = next(due, None)
        for row in rows:
            while mark is not None and mark.size <= self.count:
                at_mark(mark, *self._roots())
                mark = next(due, None)
            if not self._in_place(row):
                continue
            self._follows(row)
            told = entry(row)
            self._take(leaf_hash(told), told)
        while mark is not None:
            at_mark(mark, *(self._roots() if mark.size <= self.count else (None, None)))
            mark = next(due, None)
        if self._leaves:
            self._compare()
        self._erasures()
        self._report.rows = self.count
        self._report.streams = self._versions.streams

    # ------------------------------------------------------------ one row

    def _in_place(self, row: Row) -> bool:
        """Whether a row stands at the next position; fills a gap so that what follows does."""
        if tuple(map(type, row)) != TYPES:
            key = f"behind position {self.count}"
            found = ", ".join(type(value).__name__ for value in row)
            self._report.differs(
                EVENTS, key, "types", "int, int, str, int, str, and 3 of bytes", found
            )
            return False
        missing = row.position - self.count - 1
        if missing == 0:
            return True
        if missing < 0:
            key = f"position {row.position}"
            self._report.differs(EVENTS, key, "position", self.count + 1, row.position)
            return False
        span = f"position {self.count + 1}"
        if missing > 1:
            span = f"positions {self.count + 1} to {row.position - 1}"
        self._report.differs(EVENTS, span, "", "a row at each position", "none")
        if missing > GAP_MAX:
            return False
        for _each in range(missing):
            self._take(NOTHING, b"")
        return True

    def _follows(self, row: Row) -> None:
        """Tell what of a row does not follow from those before it, or from itself."""
        expect = self._report.differs
        if row.at <= self._last_at:
            later = f"later than {self._last_at}"
            expect(EVENTS, f"position {row.position}", "recorded_at", later, row.at)
        self._last_at = max(self._last_at, row.at)
        last = self._versions.last(row.stream)
        if row.version != last + 1:
            key = f"position {row.position}"
            expect(EVENTS, key, "originator_version", last + 1, row.version)
        self._versions.set(row.stream, row.version, new=last == 0)
        if not row.salt:
            digest = "sha256:" + hashlib.sha256(row.state).hexdigest()
            self._notebook.write("erased", row.position, row.stream, row.version, row.topic, digest)
        elif len(row.salt) != SALT_BYTES:
            expect(EVENTS, f"position {row.position}", "salt", "32 bytes", f"{len(row.salt)} bytes")
        elif commitment(row.salt, row.state) != row.commitment:
            found = commitment(row.salt, row.state).hex()
            told = f"{row.commitment.hex()} (of salt and state)"
            expect(EVENTS, f"position {row.position}", "state", told, found)
        if self._every is not None:
            self._every(row, {})
        handler = self._handlers.get(row.topic)
        if handler is not None:
            self._handle(handler, row)

    def _handle(self, handler: Handler, row: Row) -> None:
        try:
            body = json.loads(row.state)
            handler(row, body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as trouble:
            key = f"position {row.position}"
            found = f"{type(trouble).__name__} while reading it"
            self._report.differs(EVENTS, key, "state", f"a body of {row.topic}", found)

    # ------------------------------------------------------------ 256 leaves

    def _take(self, leaf: bytes, told: bytes) -> None:
        if not self._leaves:
            self._fetch()
        self._leaves.append(leaf)
        self._entries.append(told)
        self.count += 1
        if len(self._leaves) == TILE:
            self._block()
        if self.count == self._size:
            self._edges()

    def _fetch(self) -> None:
        """Ask for the stored hashes of the next 256 leaves."""
        index = self._mine.blocks
        width = tile_width(self._size, 0, index)
        self._theirs = hashes_in(self._tile(0, index, width) or b"") if width else []

    def _tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a stored tile if it is there as it should be; tell it otherwise."""
        data = self._stored.tile(level, index, width)
        self._report.count("tiles")
        if data is not None and len(data) == width * HASH_BYTES:
            return data
        found = "none" if data is None else f"{len(data)} bytes"
        key = f"level {level}, idx {index}"
        self._report.differs(TILES, key, "data", f"{width} hashes", found)
        return None

    def _compare(self) -> None:
        """Compare the leaves of a block, and its entries, with the stored ones."""
        first = self._mine.blocks * TILE + 1
        if self._theirs != self._leaves:
            for n, (mine, other) in enumerate(zip(self._leaves, self._theirs, strict=False)):
                if mine != other and len(self._apart) < KEPT_MAX:
                    self._apart.append((first + n, mine, other))
        index = self._mine.blocks
        width = tile_width(self._size, 0, index)
        bundle = self._stored.entries(index, width) if width else None
        if bundle is None:
            return
        self._report.count("entries", len(bundle))
        self._report.expect("entries", f"bundle {index}", "entries", width, len(bundle))
        for n, (told, found) in enumerate(zip(self._entries, bundle, strict=False)):
            if told != found:
                self._report.differs("entries", f"position {first + n}", "", told, found)

    def _both(self) -> list[bytes]:
        """Return the leaves of the block with the stored ones in their place, where there are."""
        theirs = self._theirs[: len(self._leaves)]
        return theirs + self._leaves[len(theirs) :]

    def _block(self) -> None:
        self._compare()
        both = self._both()
        if self._other is None and both != self._leaves:
            self._other = self._mine.copy()
        mine = self._mine.add(self._leaves)
        other = self._other.add(both) if self._other else mine
        for (level, index, data), (_level, _index, also) in zip(mine, other, strict=True):
            if tile_width(self._size, level, index) == TILE:
                self._upper(level, index, data, also)
        self._leaves.clear()
        self._entries.clear()

    def _upper(self, level: int, index: int, mine: bytes, other: bytes) -> None:
        data = self._tile(level, index, len(mine) // HASH_BYTES)
        if data not in (None, mine, other):
            key = f"level {level}, idx {index}"
            for n, pair in enumerate(zip(hashes_in(mine), hashes_in(data or b""), strict=True)):
                if pair[0] != pair[1]:
                    self._report.differs(TILES, key, f"hash {n}", pair[0].hex(), pair[1].hex())

    def _edges(self) -> None:
        """Compare the partial tiles above the leaves, where the stored tree ends."""
        mine = self._mine.edge(self._leaves)
        other = (self._other or self._mine).edge(self._both())
        for level, (data, also) in enumerate(zip(mine, other, strict=True)):
            if level and data:
                self._upper(level, self._size >> 8 * (level + 1), data, also)

    def _roots(self) -> tuple[bytes, bytes]:
        """Return the roots of the rows so far and of the stored hashes so far."""
        mine = self._mine.root(self._leaves)
        both = self._both()
        if self._other is None and both == self._leaves:
            return mine, mine
        return mine, (self._other or self._mine).root(both)

    # ------------------------------------------------------------ afterwards

    def blame(self, *, rows: bool, stored: bool) -> None:
        """Tell which leaves differ from the stored hashes, now that it is known which are true."""
        for position, mine, other in self._apart:
            if rows and not stored:
                index, n = divmod(position - 1, TILE)
                key = f"level 0, idx {index}"
                self._report.differs(TILES, key, f"hash {n}", mine.hex(), other.hex())
            else:
                key = f"position {position}"
                self._report.differs(EVENTS, key, "leaf hash", other.hex(), mine.hex())

    def _erasure(self, row: Row, body: dict[str, Any]) -> None:
        """Write down what an erasure says."""
        told = [body["position"], row.stream, body["version"], body["type"]]
        if type(told[0]) is not int or not 0 < told[0] < row.position:
            raise ValueError(told[0])
        self._notebook.write("erasure", row.position, *told, body["redacted_digest"])

    def _erasures(self) -> None:
        """Hold the rows without a salt against the erasures that name them, both ways."""
        for row in self._notebook.read(ERASED):
            position, stream, version, topic, digest, by, *told = row
            key = f"position {position}"
            self._report.count("erased events")
            if by is None:
                said = "32 bytes, for no erasure names it"
                self._report.differs(EVENTS, key, "salt", said, "empty")
                continue
            names = ("originator_id", "originator_version", "topic", "state")
            found = (stream, version, topic, digest)
            for name, expected, held in zip(names, told, found, strict=True):
                self._report.expect(EVENTS, key, f"{name} (erased at {by})", expected, held)
        for position, by in self._notebook.read(NOT_ERASED):
            key = f"position {position}"
            self._report.differs(EVENTS, key, "salt", f"empty, erased at {by}", "not empty")
