"""Which tree do these leaves make?  RFC 6962 hashing over leaves that come by one after another.

The tree keeps the hashes of its right edge alone, as tiles of 256 do: at most 255 for each level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_BYTES: Final = 32
TILE: Final = 256
LEVELS: Final = 8
"""Tiles of so many levels hold more leaves than there are positions."""
EMPTY: Final = hashlib.sha256(b"").digest()
PROOF_MAX: Final = 128
"""No honest proof is longer: it has at most two hashes for each of 63 levels."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _perfect(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 1, 2, 4 … 256 hashes."""
    level = list(hashes)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return level[0]


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the perfect trees over up to 255 hashes, the largest first."""
    peaks, at = list[bytes](), 0
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        if len(hashes) & bit:
            peaks.append(_perfect(hashes[at : at + bit]))
            at += bit
    return peaks


def hashes_in(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


class Tree:
    """A tree that grows by blocks of 256 leaves."""

    def __init__(self) -> None:
        """Begin with no leaf."""
        self.blocks = 0
        self._edge: list[list[bytes]] = []
        """For each level from 1 on, the hashes of its last tile, which is not full."""

    def copy(self) -> Tree:
        """Return a tree that grows on its own."""
        other = Tree()
        other.blocks = self.blocks
        other._edge = [list(level) for level in self._edge]
        return other

    def add(self, block: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Take in 256 leaves; return the tiles above them that are full now: level, index, data."""
        full = list[tuple[int, int, bytes]]()
        above, index, level = _perfect(block), self.blocks, 0
        self.blocks += 1
        while True:
            if len(self._edge) == level:
                self._edge.append([])
            hashes = self._edge[level]
            hashes.append(above)
            if len(hashes) < TILE:
                return full
            level += 1
            index //= TILE
            full.append((level, index, b"".join(hashes)))
            above = _perfect(hashes)
            hashes.clear()

    def root(self, rest: Sequence[bytes] = ()) -> bytes:
        """Return the root over the blocks and up to 255 further leaves."""
        peaks = [peak for level in reversed(self._edge) for peak in _peaks(level)]
        peaks += _peaks(rest)
        if not peaks:
            return EMPTY
        root = peaks.pop()
        while peaks:
            root = node_hash(peaks.pop(), root)
        return root

    def edge(self, rest: Sequence[bytes] = ()) -> list[bytes]:
        """Return the partial tile of each level, that of the leaves first."""
        tiles = [b"".join(rest), *(b"".join(level) for level in self._edge)]
        while tiles and not tiles[-1]:
            tiles.pop()
        return tiles


def tile_width(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile of a tree has: 256, fewer, or none."""
    return max(0, min(TILE, (size >> 8 * level) - index * TILE))


def contains(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that one tree begins with another (RFC 9162, section 2.1.4.2)."""
    sound = len(proof) <= PROOF_MAX and all(len(h) == HASH_BYTES for h in proof)
    if not sound or not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    first, last = old - 1, new - 1
    while first & 1:
        first >>= 1
        last >>= 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            after = node_hash(after, step)
        first >>= 1
        last >>= 1
    return last == 0 and before == old_root and after == new_root
