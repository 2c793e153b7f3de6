"""Is the database what was published?  Every row, every tile and every checkpoint, computed anew.

Rows are compared with tiles, tiles with the root, and the root with the checkpoint that is kept
outside the database.  What is found first is named: a row by its position, a tile by its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger import errors
from ledger.events import PayloadErased
from ledger.store.raw import RawRow
from ledger.store.sealing import COMMITMENT_PREFIX
from ledger.store.tree import Published, Tree, TreeHead
from ledger.transparency.entries import entry
from ledger.transparency.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    BadTile,
    Frontier,
    leaf_hash,
    root_of,
)
from ledger.transparency.notes import BadNote, Checkpoint, VerifierKey, parse_note

_ERASED: Final = f"{PayloadErased.TYPE}:"


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found to be as it was published."""

    rows: int
    size: int
    root: bytes
    checkpoints: int
    erased: int


class Audit:
    """One audit of one ledger; rows are fed to it in order, page by page."""

    def __init__(
        self, tree: Tree, *, key: VerifierKey | None = None, outside: Checkpoint | None = None
    ) -> None:
        """Audit what the tree holds now.

        ``key`` is the log's, to check the signature of every checkpoint; ``outside`` is the last
        checkpoint that is kept outside the database.
        """
        self._tree = tree
        self._key = key
        self._outside = outside
        self._head: TreeHead = tree.head()
        self._frontier = Frontier()
        try:
            self._held = Frontier(self._head.size, self._head.frontier)
        except BadTile as bad:
            message = "The head of the tree does not fit its size."
            raise errors.LogAltered(message) from bad
        self._rows = 0
        self._checkpoints = 0
        self._erased: dict[int, bytes] = {}
        self._erasures: dict[int, bytes] = {}
        self._waiting: Iterator[Published] = tree.checkpoints()
        self._next = next(self._waiting, None)

    def run(
        self,
        pages: Iterable[list[RawRow]],
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Audited:
        """Go through the whole log; refuses LogAltered naming what is wrong first."""
        if self._outside is not None and self._outside.size > self._head.size:
            raise errors.LogAltered(
                f"The tree holds {self._head.size} events, and a checkpoint of "
                f"{self._outside.size} was published."
            )
        for page in pages:
            self._take([*self._leaves(page)])
            progress(self._rows, max(self._rows, self._head.size))
        if self._rows < self._head.size:
            raise errors.LogAltered(
                f"The log ends at position {self._rows}, and its tree holds {self._head.size}."
            )
        self._right_edge()
        self._all_erased()
        return Audited(
            self._rows,
            self._head.size,
            self._frontier.root(),
            self._checkpoints,
            len(self._erased),
        )

    # ------------------------------------------------------------ rows

    def _leaves(self, page: Iterable[RawRow]) -> Iterator[bytes]:
        """Yield the leaf of each row that is as it was sealed; refuses LogAltered."""
        for position, at, stream, version, topic, state, salt, commitment in page:
            self._rows += 1
            if position != self._rows:
                raise errors.LogAltered(
                    f"The row at position {self._rows} is missing: the next is {position}."
                )
            if not salt:
                self._erased[position] = sha256(state).digest()
            elif sha256(COMMITMENT_PREFIX + salt + state).digest() != commitment:
                raise errors.LogAltered(
                    f"The row at position {position} is not as it was written: its body or salt "
                    "does not fit its commitment."
                )
            if topic.startswith(_ERASED):
                self._note_erasure(state)
            yield leaf_hash(entry(position, at, stream, version, topic, commitment=commitment))

    def _note_erasure(self, state: bytes) -> None:
        told = json.loads(state)
        digest = str(told["redacted_digest"]).removeprefix("sha256:")
        self._erasures[int(told["position"])] = bytes.fromhex(digest)

    def _all_erased(self) -> None:
        for position, digest in self._erased.items():
            if self._erasures.get(position) != digest:
                raise errors.LogAltered(
                    f"The row at position {position} has no salt, and no event says that what "
                    "stands there is what an erasure left."
                )

    # ------------------------------------------------------------ tree

    def _take(self, leaves: list[bytes]) -> None:
        """Grow the tree by leaves, and stop at each checkpoint on the way to compare roots."""
        # Rows that came after the audit began are sealed, and in no tree yet.
        leaves = leaves[: max(0, self._head.size - self._frontier.size)]
        while leaves:
            upto = self._next.size if self._next else self._head.size
            if self._outside is not None and self._outside.size > self._frontier.size:
                upto = min(upto, self._outside.size)
            some = leaves[: upto - self._frontier.size]
            leaves = leaves[len(some) :]
            self._grow(some)
            self._compare_roots()

    def _grow(self, leaves: list[bytes]) -> None:
        full = self._frontier.extend(leaves)
        if not full:
            return
        stored = self._tree.tiles([(level, index) for level, index, _ in full])
        for level, index, data in full:
            found = stored.get((level, index))
            if found != data:
                self._differs(level, index, data, found)

    def _differs(self, level: int, index: int, data: bytes, stored: bytes | None) -> None:
        tile = f"tile {index} of level {level}"
        if stored is None:
            raise errors.LogAltered(f"There is no {tile}, which the tree has to have.")
        if level or self._parent(index) != root_of(_hashes(stored)):
            raise errors.LogAltered(f"The {tile} is not that of the rows under it.")
        self._row_differs(index * TILE_WIDTH, data, stored)

    def _parent(self, index: int) -> bytes:
        """Return the hash over a tile of level 0, as the level above it has it."""
        above, at = divmod(index, TILE_WIDTH)
        kept = self._tree.tiles([(1, above)]).get((1, above))
        if kept is None:
            kept = self._held.tile(1, above, at + 1)
        return kept[at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def _row_differs(self, first: int, data: bytes, stored: bytes) -> None:
        pairs = zip(_hashes(data), _hashes(stored), strict=False)
        position = next(n for n, (a, b) in enumerate(pairs, first + 1) if a != b)
        raise errors.LogAltered(
            f"The row at position {position} is not the one that the tree holds: its place, time, "
            "stream, version, type or commitment was altered."
        )

    def _right_edge(self) -> None:
        """Compare what is not in full tiles yet."""
        if self._frontier.state != self._head.frontier:
            self._name_row()
            raise errors.LogAltered("The right edge of the tree is not that of the rows under it.")

    def _name_row(self) -> None:
        """Refuse LogAltered if a row behind the last full tile differs from what the tree holds."""
        index, width = divmod(self._frontier.size, TILE_WIDTH)
        if not width:
            return
        stored = self._tree.tiles([(0, index)]).get((0, index))
        if stored is None:
            stored = self._held.tile(0, index, width)
        data = self._frontier.tile(0, index, width)
        if data != stored[: len(data)]:
            self._row_differs(index * TILE_WIDTH, data, stored)

    # ------------------------------------------------------------ checkpoints

    def _compare_roots(self) -> None:
        size = self._frontier.size
        if self._outside is not None and size == self._outside.size:
            if self._frontier.root() != self._outside.root:
                self._name_row()
                raise errors.LogAltered(
                    f"The first {size} events have another root than the one that was published "
                    "and is kept outside the database."
                )
            self._outside = None
        if self._next is not None and size == self._next.size:
            self._compare(self._next)
            self._checkpoints += 1
            self._next = next(self._waiting, None)
            if self._next is not None and self._next.size > self._head.size:
                self._next = None

    def _compare(self, kept: Published) -> None:
        try:
            note = parse_note(kept.note)
            said = Checkpoint.parse(note.text)
            if self._key is not None and said.origin == self._key.name:
                # A key that was replaced under the same name has signed the older ones.
                note.signed_by([self._key])
        except BadNote as bad:
            raise errors.LogAltered(
                f"The checkpoint of size {kept.size} in the database is damaged: {bad}."
            ) from bad
        if (said.size, said.root) != (kept.size, kept.root) or kept.root != self._frontier.root():
            self._name_row()
            raise errors.LogAltered(
                f"The checkpoint of size {kept.size} in the database does not fit the rows."
            )


def _hashes(data: bytes) -> list[bytes]:
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
