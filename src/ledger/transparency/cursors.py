"""Does the log still hold what a reader has seen?  A cursor names a size and the root at that size.

A server that was restored from an older copy, or that shows another history, cannot give the same
root.  The tree follows the log a little behind, so its last leaves are taken from the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger import errors
from ledger.store import Store
from ledger.transparency.merkle import Frontier
from ledger.transparency.reading import TreeReader
from ledger.transparency.sequencer import leaf_of

BEHIND_MAX: Final = 10_000
"""Up to so many leaves that the tree does not hold yet are hashed for one answer."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a reader is: the last position that it has, and the log up to there in one hash.

    ``root`` is that of the tree of ``position`` leaves, 32 bytes; None where it is far behind.
    """

    position: int
    root: bytes | None


class Cursors:
    """Makes and checks cursors over one log.  Every method may be called in any thread."""

    def __init__(self, store: Store, reader: TreeReader) -> None:
        """Read the tree with ``reader``, and what it lacks from the rows."""
        self._store = store
        self._reader = reader

    def at(self, position: int) -> Cursor:
        """Return the cursor of a reader that has the log up to a position."""
        return Cursor(position, self._root(position))

    def check(self, size: int, root: bytes) -> None:
        """Refuse HistoryDiverged unless the log begins with the events that a reader has seen.

        Refuses ProjectionBehind where the tree is too far behind to tell.
        """
        head = self._store.head()
        if size > head:
            raise diverged(size, head)
        ours = self._root(size)
        if ours is None:
            raise errors.ProjectionBehind(position=size)
        if ours != root:
            message = f"The first {size} events of this log are not those that you have seen."
            raise errors.HistoryDiverged(message, size=size, root=ours.hex())

    def _root(self, size: int) -> bytes | None:
        head = self._store.tree.head()
        if size <= head.size:
            return self._reader.root(size)
        if size - head.size > BEHIND_MAX:
            return None
        frontier = Frontier(head.size, head.frontier)
        frontier.extend(map(leaf_of, self._store.tree.leaves(head.size, size)))
        return frontier.root()


def diverged(seen: int, head: int) -> errors.HistoryDiverged:
    """Return the refusal of a reader that has seen more events than there are."""
    message = f"You have seen event {seen}, and this log ends at {head}."
    return errors.HistoryDiverged(message, head=head)
