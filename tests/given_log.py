"""A log for a test, without a ledger: entries, tiles kept as a store keeps them, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ledger.transparency import merkle
from ledger.transparency.entries import bundle
from ledger.transparency.merkle import Frontier, leaf_hash, tile_path, tiles_of
from ledger.transparency.notes import COSIGNATURE, ED25519, Checkpoint, Note, SigningKey
from ledger.transparency.witnessing import request_body

LOG = SigningKey("ledger.example.org/log", ED25519, b"\x01" * 32)
WITNESS = SigningKey("witness.example.org/w1", COSIGNATURE, b"\x02" * 32)
STRANGER = SigningKey("stranger.example.org", ED25519, b"\x03" * 32)


class Log:
    """A signed log of some entries, at every size that it ever had."""

    def __init__(self, entries: list[bytes], key: SigningKey = LOG) -> None:
        self.key = key
        self.entries = entries
        self._frontier = Frontier()
        full = self._frontier.extend(map(leaf_hash, entries))
        self._full = {(level, index): data for level, index, data in full}

    @property
    def size(self) -> int:
        return len(self.entries)

    def tile(self, level: int, index: int, width: int) -> bytes:
        if (level, index) in self._full:
            return self._full[level, index][: 32 * width]
        return self._frontier.tile(level, index, width)

    def root(self, size: int) -> bytes:
        return merkle.root_of([leaf_hash(entry) for entry in self.entries[:size]])

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.key.name, size, self.root(size))

    def note(self, size: int) -> Note:
        return self.checkpoint(size).signed(self.key)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(index, size, self.tile)

    def proving(self, size: int) -> Callable[[int], list[bytes]]:
        return lambda old: merkle.consistency_proof(old, size, self.tile)

    def request(self, old: int, size: int, note: Note | None = None) -> bytes:
        """Return what asks a witness to cosign ``size``, from ``old`` on."""
        return request_body(note or self.note(size), old, self.proving(size)(old))

    def write(self, folder: Path) -> None:
        """Write the whole log as any web server may serve it: checkpoint, tiles and bundles."""
        for tile in tiles_of(self.size):
            data = self.tile(tile.level, tile.index, tile.width)
            _put(folder / "tile" / tile_path(tile.level, tile.index, tile.width), data)
            if tile.level == 0:
                first = tile.index * merkle.TILE_WIDTH
                entries = bundle(self.entries[first : first + tile.width])
                _put(folder / "tile" / tile_path(None, tile.index, tile.width), entries)
        _put(folder / "checkpoint", bytes(self.note(self.size)))


def log_of(size: int, key: SigningKey = LOG, *, word: str = "entry") -> Log:
    """Return a log of ``size`` different entries."""
    return Log([f"{word} {n}".encode() for n in range(size)], key)


def _put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
