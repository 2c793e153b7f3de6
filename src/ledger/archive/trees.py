"""What follows from the rows of a log, read in order?  Its tree, and which bodies were erased.

Both need little memory, however long the log is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Final

from ledger.archive.form import TILES
from ledger.events import PayloadErased
from ledger.store import LogRow
from ledger.store.sealing import microseconds
from ledger.transparency.entries import bundle, entry
from ledger.transparency.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    Frontier,
    leaf_hash,
    tile_path,
    tiles_of,
)

Emit = Callable[[str, bytes, int], None]
"""Takes the name of a file, its bytes, and the position of the first event that is below it."""

_ERASED: Final = f"{PayloadErased.TYPE}:"


class Leaves:
    """Grows the tree; gives each tile and each bundle of entries out as soon as it is known."""

    def __init__(self, emit: Emit) -> None:
        """Begin with an empty tree."""
        self._frontier = Frontier()
        self._emit = emit
        self._entries: list[bytes] = []

    def add(self, row: LogRow) -> None:
        """Append the leaf of the next row."""
        self._entries.append(
            entry(
                row.position,
                microseconds(row.recorded_at),
                row.originator_id,
                row.originator_version,
                row.topic,
                commitment=row.payload_commitment,
            )
        )
        if len(self._entries) == TILE_WIDTH:
            self._cut()

    def root(self) -> bytes:
        """Return the root over the rows so far."""
        here = Frontier(self._frontier.size, self._frontier.state)
        here.extend(map(leaf_hash, self._entries))
        return here.root()

    def end(self) -> bytes:
        """Give out what is not full, and return the root."""
        if self._entries:
            self._cut()
        for tile in tiles_of(self._frontier.size):
            if tile.width < TILE_WIDTH:
                data = self._frontier.tile(tile.level, tile.index, tile.width)
                self._tile(tile.level, tile.index, data)
        return self._frontier.root()

    def _cut(self) -> None:
        index, width = self._frontier.size // TILE_WIDTH, len(self._entries)
        full = self._frontier.extend(map(leaf_hash, self._entries))
        for level, number, data in full:
            self._tile(level, number, data)
        name = f"{TILES}/{tile_path(None, index, width)}"
        self._emit(name, bundle(self._entries), index * TILE_WIDTH + 1)
        self._entries = []

    def _tile(self, level: int, index: int, data: bytes) -> None:
        name = f"{TILES}/{tile_path(level, index, len(data) // HASH_BYTES)}"
        self._emit(name, data, index * TILE_WIDTH ** (level + 1) + 1)


class Erasures:
    """Holds every erased body against the event that says what stands there now."""

    def __init__(self) -> None:
        """Know of none."""
        self.bodies: dict[int, str] = {}
        """By position: the digest of the body that an erased row has."""
        self.events: dict[int, str] = {}
        """By position: the digest that the latest erasure of it names."""

    def take(self, row: LogRow) -> int | None:
        """Take in a row; return the position that it erases, if it erases one."""
        if not row.salt:
            self.bodies[row.position] = f"sha256:{hashlib.sha256(row.state).hexdigest()}"
        if not row.topic.startswith(_ERASED):
            return None
        told = json.loads(row.state)
        position: int = told["position"]
        self.events[position] = told["redacted_digest"]
        return position

    def forget(self, first: int, last: int) -> None:
        """Forget the bodies between two positions, because they are read again."""
        for position in [p for p in self.bodies if first <= p <= last]:
            del self.bodies[position]

    def contradictions(self) -> Iterator[int]:
        """Yield the positions at which body and event do not agree, in order."""
        for position in sorted(self.bodies.keys() | self.events.keys()):
            if self.bodies.get(position) != self.events.get(position):
                yield position
