"""How is the Merkle tree over the log kept?  The part of the store port that grows and reads it.

It is kept lean: one row says how far the tree reaches and holds the hashes from which it grows on;
full tiles are kept, and whatever is not full yet is made from the rows of the log.  Nothing here
computes a hash.  Every method may be called from any thread and refuses StoreUnavailable while the
database is away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol


class Leaf(NamedTuple):
    """What the tree takes of one row of the log; ``recorded_at`` in microseconds since 1970."""

    position: int
    recorded_at: int
    stream: str
    version: int
    topic: str
    commitment: bytes


@dataclass(frozen=True, slots=True)
class TreeHead:
    """How many events the tree holds, and the hashes of 32 bytes each from which it grows on."""

    size: int
    frontier: bytes


class Tile(NamedTuple):
    """A full tile: 256 hashes of one level, 8,192 bytes."""

    level: int
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was published: the signed note and what it says."""

    size: int
    root: bytes
    note: bytes
    published_at: datetime


HEAD: Final = -1
"""In a row of a query for head and tiles: the level that says that it is the head."""


def parted(rows: Iterable[tuple[int, int, bytes]]) -> tuple[TreeHead, dict[tuple[int, int], bytes]]:
    """Return head and tiles from rows of level, index and data; of the head: ``HEAD``, its size."""
    found = {(level, index): data for level, index, data in rows}
    ((_, size),) = (place for place in found if place[0] == HEAD)
    return TreeHead(size, found.pop((HEAD, size))), found


class OtherRoot(Exception):
    """There is a checkpoint of that size with another root."""


class Tree(Protocol):
    """The tree of one ledger."""

    def head(self) -> TreeHead:
        """Return how far the tree reaches."""

    def leaves(self, after: int, upto: int | None = None, page: int = 1_000) -> Iterator[Leaf]:
        """Yield what the tree takes of the rows from position ``after`` + 1, in order."""

    def step(self, before: int, after: TreeHead, tiles: Iterable[Tile]) -> bool:
        """Grow the tree from size ``before``; False if it has another size by now."""

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Return full tiles by level and index; those that are not there are left out."""

    def head_and_tiles(
        self, wanted: Sequence[tuple[int, int]]
    ) -> tuple[TreeHead, dict[tuple[int, int], bytes]]:
        """Return how far the tree reaches, and those of its full tiles, as of one moment."""

    def publish(self, checkpoint: Published) -> None:
        """Keep a checkpoint for ever; one of the same size and root stays as it was.

        Raises OtherRoot if there is one of that size with another root.
        """

    def cosign(self, size: int, before: bytes, note: bytes) -> bool:
        """Put a note with more cosignatures in the place of the checkpoint's that was read.

        False if it is another note by now.  The database refuses what does more than add lines.
        """

    def checkpoints(self, page: int = 1_000) -> Iterator[Published]:
        """Yield every checkpoint in order of size."""

    def published(self, upto: int | None = None) -> Published | None:
        """Return the largest checkpoint, of at most size ``upto``; None if there is none."""
