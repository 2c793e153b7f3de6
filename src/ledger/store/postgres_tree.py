"""How does the tree lie in PostgreSQL?  Reads and two functions, over the shared connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ledger.store.postgres_connections import Connections
from ledger.store.sealing import microseconds, moment
from ledger.store.tree import HEAD, Leaf, OtherRoot, Published, Tile, TreeHead, parted

_LAST: Final = 2**63 - 1
_TILES: Final = (
    b"SELECT level, idx, data FROM ledger.log_tiles JOIN "
    b"unnest(%b::integer[], %b::bigint[]) AS wanted (level, idx) USING (level, idx)"
)


class PostgresTree:
    """The tree of a ledger in a database; ``ledger.store.tree.Tree`` says what methods promise."""

    def __init__(self, connections: Connections) -> None:
        """Use ``connections``, each for one statement at a time."""
        self._connections = connections

    def head(self) -> TreeHead:
        """Return how far the tree reaches."""
        return TreeHead(*self._ask(b"SELECT size, frontier FROM ledger.log_head")[0])

    def leaves(self, after: int, upto: int | None = None, page: int = 1_000) -> Iterator[Leaf]:
        """Yield what the tree takes of the rows from position ``after`` + 1, in order."""
        while True:
            found = self._ask(
                b"SELECT position, recorded_at, originator_id, originator_version, topic, "
                b"payload_commitment FROM ledger.events WHERE position > %b::bigint "
                b"AND position <= %b::bigint ORDER BY position LIMIT %b::bigint",
                (after, _LAST if upto is None else upto, page),
            )
            yield from map(Leaf._make, found)
            if len(found) < page:
                return
            after = found[-1][0]

    def step(self, before: int, after: TreeHead, tiles: Iterable[Tile]) -> bool:
        """Grow the tree from size ``before``; False if it has another size by now."""
        rows = list(tiles)
        stepped: bool = self._ask(
            b"SELECT ledger.step_tree(%b::bigint, %b::bigint, %b::bytea, %b::integer[], "
            b"%b::bigint[], %b::bytea[])",
            (
                before,
                after.size,
                after.frontier,
                [tile.level for tile in rows],
                [tile.number for tile in rows],
                [tile.data for tile in rows],
            ),
        )[0][0]
        return stepped

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Return full tiles by level and index; those that are not there are left out."""
        rows = self._ask(_TILES, _numbers(wanted))
        return {(level, index): data for level, index, data in rows}

    def head_and_tiles(
        self, wanted: Sequence[tuple[int, int]]
    ) -> tuple[TreeHead, dict[tuple[int, int], bytes]]:
        """Return how far the tree reaches, and those of its full tiles, as of one moment."""
        head = b"SELECT %b::integer, size, frontier FROM ledger.log_head UNION ALL "
        return parted(self._ask(head + _TILES, (HEAD, *_numbers(wanted))))

    def publish(self, checkpoint: Published) -> None:
        """Keep a checkpoint for ever; one of the same size and root stays as it was."""
        at = microseconds(checkpoint.published_at)
        stored = self._ask(
            b"SELECT ledger.put_checkpoint(%b::bigint, %b::bytea, %b::bytea, %b::bigint)",
            (checkpoint.size, checkpoint.root, checkpoint.note, at),
        )[0][0]
        if not stored:
            there = self.published(checkpoint.size)
            if there is None or (there.size, there.root) != (checkpoint.size, checkpoint.root):
                raise OtherRoot(checkpoint.size)

    def cosign(self, size: int, before: bytes, note: bytes) -> bool:
        """Put a note with more cosignatures in the place of the checkpoint's that was read."""
        done: bool = self._ask(
            b"SELECT ledger.cosign_checkpoint(%b::bigint, %b::bytea, %b::bytea)",
            (size, before, note),
        )[0][0]
        return done

    def checkpoints(self, page: int = 1_000) -> Iterator[Published]:
        """Yield every checkpoint in order of size."""
        after = 0
        while True:
            found = self._ask(
                b"SELECT size, root, note, published_at FROM ledger.log_checkpoints "
                b"WHERE size > %b::bigint ORDER BY size LIMIT %b::bigint",
                (after, page),
            )
            for after, root, note, at in found:
                yield Published(after, root, note, moment(at))
            if len(found) < page:
                return

    def published(self, upto: int | None = None) -> Published | None:
        """Return the largest checkpoint, of at most size ``upto``; None if there is none."""
        rows = self._ask(
            b"SELECT size, root, note, published_at FROM ledger.log_checkpoints "
            b"WHERE size <= %b::bigint ORDER BY size DESC LIMIT 1",
            (_LAST if upto is None else upto,),
        )
        if not rows:
            return None
        size, root, note, at = rows[0]
        return Published(size, root, note, moment(at))

    def _ask(self, query: bytes, given: tuple[Any, ...] = ()) -> list[Any]:
        with self._connections.using() as connection:
            return connection.execute(query, given, binary=True).fetchall()


def _numbers(wanted: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [level for level, _ in wanted], [index for _, index in wanted]
