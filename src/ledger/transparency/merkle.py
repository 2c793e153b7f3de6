"""How does one hash stand for a whole log?  The Merkle tree of RFC 9162 2.1, cut into tiles.

Tiles are those of C2SP tlog-tiles: hash ``i`` of tile ``n`` at level ``l`` is the root of the
leaves from ``(n * 256 + i) * 256**l`` up to ``(n * 256 + i + 1) * 256**l``.  Pure arithmetic:
whoever asks for a proof brings a function that reads tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Final

HASH_BYTES: Final = 32
TILE_WIDTH: Final = 256
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
HEIGHT: Final = 8
"""How many levels of the tree one level of tiles spans: 2**8 = 256."""
LEVEL_MAX: Final = 63
SIZE_MAX: Final = 2**63 - 1
EMPTY_ROOT: Final = sha256().digest()

TileReader = Callable[[int, int, int], bytes]
"""Takes level, index and width; returns the first ``width`` hashes of that tile, 32 bytes each."""


class BadProof(ValueError):
    """A proof does not prove what it is said to prove."""


class BadTile(ValueError):
    """A tile, its path or the state of a frontier has not the form that it must have."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over subtrees of equal height, in order; there may be none."""
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        # A last one without a neighbour moves up as it is: the split of RFC 9162 2.1.1.
        odd = row[len(row) & ~1 :]
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=False)
        ]
        row += odd
    return row[0]


# ---------------------------------------------------------------- tiles


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile by its place, with how many hashes it holds: 1 to 256."""

    level: int
    index: int
    width: int


def tile_width(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile has in a tree of ``size`` leaves: 0 to 256."""
    return max(0, min(TILE_WIDTH, (size >> HEIGHT * level) - index * TILE_WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile of a tree of ``size`` leaves, level by level."""
    level = 0
    while hashes := size >> HEIGHT * level:
        for index in range(-(-hashes // TILE_WIDTH)):
            yield Tile(level, index, tile_width(size, level, index))
        level += 1


def split(data: bytes) -> list[bytes]:
    """Return the hashes of a tile; raises BadTile unless they are whole."""
    if len(data) % HASH_BYTES:
        raise BadTile(f"{len(data)} bytes are no row of hashes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


_PATH: Final = re.compile(
    r"(0|[1-9][0-9]?|entries)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """Return where a tile lies below ``tile/``, as ``0/x001/x234/067.p/8``; no level: entries."""
    groups = f"{index:,}".split(",")
    groups = [group.zfill(3) for group in groups]
    place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"{'entries' if level is None else level}/{place}{partial}"


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """Return level (None for entries), index and width of a path; raises BadTile.

    There is one path for each tile: leading groups of zeros and a width of 256 are refused.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadTile("this is no path of a tile")
    level = None if found[1] == "entries" else int(found[1])
    index = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3] or TILE_WIDTH)
    if (
        (level or 0) > LEVEL_MAX
        or index > SIZE_MAX
        or width > TILE_WIDTH
        or tile_path(level, index, width) != path
    ):
        raise BadTile("this is no path of a tile")
    return level, index, width


# ---------------------------------------------------------------- growth


class Frontier:
    """The right edge of a tree, from which it grows: at each level, the tile that is not full.

    That is also the compact range of the tree, with the hashes below each of its nodes kept; so
    every partial tile of the tree is at hand, and every earlier one as a prefix.
    """

    def __init__(self, size: int = 0, state: bytes = b"") -> None:
        """Take up a tree where ``state`` left it; raises BadTile if they do not fit together."""
        widths = list(size.to_bytes(8, "little"))  # the digits of the size to the base of 256
        hashes = split(state)
        if len(hashes) != sum(widths):
            raise BadTile(f"{len(hashes)} hashes are no frontier of {size} leaves")
        taken = iter(hashes)
        self.size = size
        self._rows = [[next(taken) for _ in range(width)] for width in widths]

    @property
    def state(self) -> bytes:
        """The frontier as bytes: the hashes of level 0, then those of level 1, and so on."""
        return b"".join(chain.from_iterable(self._rows))

    def extend(self, leaves: Iterable[bytes]) -> list[tuple[int, int, bytes]]:
        """Append leaf hashes; return each tile that is now full: level, index, its 8,192 bytes."""
        row = self._rows[0]
        before = len(row)
        row.extend(leaves)
        self.size += len(row) - before
        full: list[tuple[int, int, bytes]] = []
        self._carry(0, full)
        return full

    def _carry(self, level: int, full: list[tuple[int, int, bytes]]) -> None:
        """Cut full tiles off a level and put their roots on the next."""
        row = self._rows[level]
        whole = len(row) & ~(TILE_WIDTH - 1)
        if not whole:
            return
        index = ((self.size >> HEIGHT * level) - len(row)) // TILE_WIDTH
        for at in range(0, whole, TILE_WIDTH):
            hashes = row[at : at + TILE_WIDTH]
            full.append((level, index + at // TILE_WIDTH, b"".join(hashes)))
            self._rows[level + 1].append(root_of(hashes))
        del row[:whole]
        self._carry(level + 1, full)

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        right: bytes | None = None
        for row in self._rows:
            # A level's partial tile stands left of everything that is below it.
            for subtree in reversed(list(_subtrees(row))):
                right = subtree if right is None else node_hash(subtree, right)
        return EMPTY_ROOT if right is None else right

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Return the beginning of a partial tile; raises BadTile for one that is not here."""
        row = self._rows[level] if level < len(self._rows) else []
        if index != self.size >> HEIGHT * (level + 1) or not 0 < width <= len(row):
            raise BadTile(f"the frontier holds no {width} hashes of tile {index} at level {level}")
        return b"".join(row[:width])


def _subtrees(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the roots of the largest perfect trees over a row of hashes, from the left."""
    at = 0
    while at < len(hashes):
        width = 1 << ((len(hashes) - at).bit_length() - 1)
        yield root_of(hashes[at : at + width])
        at += width


# ---------------------------------------------------------------- proofs


class _Tree:
    """Hashes of ranges of leaves in a tree of some size, from its tiles, each read once."""

    def __init__(self, size: int, read: TileReader) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def _tile(self, level: int, index: int) -> list[bytes]:
        place = (level, index)
        if place not in self._tiles:
            width = tile_width(self._size, level, index)
            hashes = split(self._read(level, index, width))
            if len(hashes) != width:
                raise BadTile(f"tile {index} at level {level} should have {width} hashes")
            self._tiles[place] = hashes
        return self._tiles[place]

    def _perfect(self, height: int, first: int) -> bytes:
        """Return the root over ``2**height`` leaves from ``first`` on, a multiple of that."""
        level, rest = divmod(height, HEIGHT)
        index, at = divmod(first >> HEIGHT * level, TILE_WIDTH)
        return root_of(self._tile(level, index)[at : at + (1 << rest)])

    def range(self, first: int, end: int) -> bytes:
        """Return the root over the leaves ``first`` to ``end - 1`` of one subtree of the tree."""
        parts: list[bytes] = []
        while first < end:
            height = (end - first).bit_length() - 1
            parts.append(self._perfect(height, first))
            first += 1 << height
        root = parts.pop()
        while parts:
            root = node_hash(parts.pop(), root)
        return root


def inclusion_proof(index: int, size: int, read: TileReader) -> list[bytes]:
    """Return the path of leaf ``index`` in a tree of ``size`` leaves, the sibling leaf first.

    RFC 9162 2.1.3.1.  Raises ValueError for a leaf that is not in the tree, BadTile for bad tiles.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    tree = _Tree(size, read)
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(tree.range(middle, end))
            end = middle
        else:
            path.append(tree.range(first, middle))
            first = middle
    return path[::-1]


def consistency_proof(old: int, size: int, read: TileReader) -> list[bytes]:
    """Return the proof that the first ``old`` leaves of ``size`` are the tree they were.

    RFC 9162 2.1.4.1; empty when the sizes are equal or the old one is 0.  Raises ValueError and
    BadTile as above.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves was never one of {old}")
    if old in {0, size}:
        return []
    tree = _Tree(size, read)
    proof: list[bytes] = []
    first, end, known = 0, size, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            proof.append(tree.range(middle, end))
            end = middle
        else:
            proof.append(tree.range(first, middle))
            first, known = middle, False
    if not known:
        proof.append(tree.range(first, end))
    return proof[::-1]


def _split(count: int) -> int:
    """Return the largest power of two below ``count``, which is 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)


def _hashes(*values: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in values):
        raise BadProof("a hash has 32 bytes")


def _climb(at: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each hash of a proof with whether it stands left, from node ``at`` of a row up.

    ``last`` is the last node of that row.  Raises BadProof unless the way ends at the root.
    """
    for sibling in proof:
        if last == 0:
            raise BadProof("the proof is too long")
        left = bool(at & 1) or at == last
        yield sibling, left
        while left and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    if last != 0:
        raise BadProof("the proof is too short")


def verify_inclusion(
    leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise BadProof unless ``leaf`` is leaf ``index`` of the tree; RFC 9162 2.1.3.2."""
    _hashes(leaf, root, *proof)
    if not 0 <= index < size <= SIZE_MAX:
        raise BadProof("there is no such leaf in the tree")
    here = leaf
    for sibling, left in _climb(index, size - 1, proof):
        here = node_hash(sibling, here) if left else node_hash(here, sibling)
    if here != root:
        raise BadProof("the proof leads to another root")


def verify_consistency(
    old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise BadProof unless the tree of ``size`` leaves continues that of ``old``; 2.1.4.2.

    Nothing is proved about a tree without leaves, so ``old`` is 1 or more.
    """
    _hashes(old_root, root, *proof)
    if not 0 < old <= size <= SIZE_MAX:
        raise BadProof("the sizes are not in order")
    if old == size:
        if proof or old_root != root:
            raise BadProof("trees of equal size have equal roots and an empty proof")
        return
    if not proof:
        raise BadProof("the proof is empty")
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling, left in _climb(at, last, path[1:]):
        if left:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        else:
            after = node_hash(after, sibling)
    if before != old_root:
        raise BadProof("the proof leads to another old root")
    if after != root:
        raise BadProof("the proof leads to another root")
