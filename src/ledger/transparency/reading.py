"""What can be read of the tree?  Tiles, bundles of entries, roots and proofs, as of any size.

Full tiles are kept by the store and never change, so some are held here; what was not full yet is
part of the frontier, and entries are made from the rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from ledger.store.tree import Tree, TreeHead
from ledger.transparency import merkle
from ledger.transparency.entries import bundle
from ledger.transparency.merkle import HASH_BYTES, HEIGHT, TILE_WIDTH, BadTile, Frontier
from ledger.transparency.sequencer import entry_of

HELD_TILES: Final = 512
"""Full tiles that are held, of 8 KiB each."""


class TreeReader:
    """Reads one tree; any thread may ask.  Sizes are at most what the tree holds by now."""

    def __init__(self, tree: Tree) -> None:
        """Hold no tile yet."""
        self._tree = tree
        self._held: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Return the first hashes of a tile, as many as ``width``; raises BadTile."""
        return self._around([(level, index)])(level, index, width)

    def bundle(self, index: int, width: int) -> bytes:
        """Return the first ``width`` entries of a bundle; raises BadTile for fewer."""
        first = index * TILE_WIDTH
        entries = [entry_of(row) for row in self._tree.leaves(first, first + width, width + 1)]
        if len(entries) != width:
            raise BadTile(f"bundle {index} has no {width} entries")
        return bundle(entries)

    def root(self, size: int) -> bytes:
        """Return the root over the first ``size`` leaves; raises BadTile if there are fewer."""
        frontier = Frontier(size, self._frontier(size))
        return frontier.root()

    def _frontier(self, size: int) -> bytes:
        """Return what the frontier was when the tree had a size."""
        edges = [
            (level, size >> HEIGHT * (level + 1), (size >> HEIGHT * level) % TILE_WIDTH)
            for level in range(_levels(size))
        ]
        read = self._around([(level, index) for level, index, _ in edges])
        return b"".join(read(*edge) for edge in edges if edge[2])

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf ``index`` is in the tree of a size; raises ValueError."""
        return merkle.inclusion_proof(index, size, self._around(_ways([index, size], size)))

    def consistency(self, old: int, size: int, head: TreeHead | None = None) -> list[bytes]:
        """Return the proof that the tree of a size continues that of ``old``; raises ValueError.

        Whoever knows the head of the tree already saves a look at it.
        """
        ways = _ways([max(0, old - 1), old, size], size)
        return merkle.consistency_proof(old, size, self._around(ways, head))

    def _around(
        self, places: Iterable[tuple[int, int]], head: TreeHead | None = None
    ) -> Callable[[int, int, int], bytes]:
        """Return a reader of tiles that has looked the given ones up at once."""
        places = list(dict.fromkeys(places))
        found = self._looked_up(places)
        missing = [place for place in places if place not in found]
        if not missing:
            return lambda level, index, width: found[level, index][: width * HASH_BYTES]
        if head is None:
            head, kept = self._tree.head_and_tiles(missing)
        else:
            full = [(lvl, idx) for lvl, idx in missing if idx < head.size >> HEIGHT * (lvl + 1)]
            kept = self._tree.tiles(full) if full else {}
        frontier = Frontier(head.size, head.frontier)
        self._hold(kept)
        found |= kept

        def read(level: int, index: int, width: int) -> bytes:
            data = found.get((level, index))
            if data is None:
                return frontier.tile(level, index, width)
            return data[: width * HASH_BYTES]

        return read

    def _looked_up(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        with self._lock:
            found = {place: self._held[place] for place in places if place in self._held}
            for place in found:
                self._held.move_to_end(place)
            return found

    def _hold(self, tiles: dict[tuple[int, int], bytes]) -> None:
        with self._lock:
            self._held |= tiles
            while len(self._held) > HELD_TILES:
                self._held.popitem(last=False)


def _levels(size: int) -> int:
    """Return how many levels of tiles a tree has."""
    return -(-size.bit_length() // HEIGHT)


def _ways(leaves: Iterable[int], size: int) -> list[tuple[int, int]]:
    """Return the tiles on the ways from some leaves to the top of a tree."""
    return [
        (level, leaf >> HEIGHT * (level + 1)) for leaf in leaves for level in range(_levels(size))
    ]
