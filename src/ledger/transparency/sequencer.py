"""Who puts committed events into the tree, and in which order?  In order of position, step by step.

Any number of processes may try: all hashing is done outside any lock, then one short transaction
grows the tree if it still has the size from which the step began.  Whoever comes second has changed
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.store.tree import Leaf, Tile, Tree, TreeHead
from ledger.transparency.entries import entry
from ledger.transparency.merkle import Frontier, leaf_hash

STEP_MAX: Final = 5_000
"""Events that one step takes at most."""


class Overtaken(Exception):
    """Another sequencer has grown the tree meanwhile; this one changed nothing."""


class Gap(Exception):
    """The log does not continue where the tree ends; no ledger writes such a log."""


def leaf_of(row: Leaf) -> bytes:
    """Return the hash of the leaf that a row is; raises BadBundle for an entry that is too long."""
    return leaf_hash(entry_of(row))


def entry_of(row: Leaf) -> bytes:
    """Return the entry of a row; raises BadBundle for one that is too long."""
    return entry(
        row.position,
        row.recorded_at,
        row.stream,
        row.version,
        row.topic,
        commitment=row.commitment,
    )


def step(tree: Tree, limit: int = STEP_MAX) -> int:
    """Put up to ``limit`` further events into the tree; returns how many, 0 when it holds all.

    Raises Overtaken, Gap, and BadBundle for an event that no bundle can hold.
    """
    head = tree.head()
    rows = list(tree.leaves(head.size, head.size + limit, page=limit + 1))
    if not rows:
        return 0
    frontier = Frontier(head.size, head.frontier)
    full = frontier.extend(leaf_of(row) for row in _following(rows, head.size))
    after = TreeHead(frontier.size, frontier.state)
    if not tree.step(head.size, after, [Tile(*each) for each in full]):
        raise Overtaken
    return len(rows)


def _following(rows: Iterable[Leaf], size: int) -> Iterable[Leaf]:
    """Yield rows whose positions follow on a size without a gap; raises Gap."""
    for position, row in enumerate(rows, size + 1):
        if row.position != position:
            raise Gap(f"position {position} is missing: the next event stands at {row.position}")
        yield row
