"""How does the tree lie in SQLite?  Reads by any thread, writes in the turn of the writer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from ledger.store.sealing import microseconds, moment
from ledger.store.sqlite_files import Readers
from ledger.store.sqlite_session import SQLiteSession
from ledger.store.tree import HEAD, Leaf, OtherRoot, Published, Tile, TreeHead, parted
from ledger.store.writer import Writer

_LAST: Final = 2**63 - 1
_AT_ONCE: Final = 500
"""Tiles that one query asks for."""


class SQLiteTree:
    """The tree of a ledger in one file; ``ledger.store.tree.Tree`` says what methods promise."""

    def __init__(self, readers: Readers, session: SQLiteSession, writer: Writer) -> None:
        """Read with ``readers``; write over ``session`` in the thread of ``writer``."""
        self._readers = readers
        self._session = session
        self._writer = writer

    def head(self) -> TreeHead:
        """Return how far the tree reaches."""
        return TreeHead(*self._read("SELECT size, frontier FROM log_head")[0])

    def leaves(self, after: int, upto: int | None = None, page: int = 1_000) -> Iterator[Leaf]:
        """Yield what the tree takes of the rows from position ``after`` + 1, in order."""
        while True:
            found = self._read(
                "SELECT position, recorded_at, originator_id, originator_version, topic, "
                "payload_commitment FROM events WHERE position > ? AND position <= ? "
                "ORDER BY position LIMIT ?",
                (after, _LAST if upto is None else upto, page),
            )
            yield from map(Leaf._make, found)
            if len(found) < page:
                return
            after = found[-1][0]

    def step(self, before: int, after: TreeHead, tiles: Iterable[Tile]) -> bool:
        """Grow the tree from size ``before``; False if it has another size by now."""
        rows = [(tile.level, tile.number, tile.data) for tile in tiles]
        stepped: bool = self._writer.submit(partial(self._step, before, after, rows)).result()
        return stepped

    def _step(self, before: int, after: TreeHead, tiles: list[tuple[int, int, bytes]]) -> bool:
        connection = self._session.connection
        grown = connection.execute(
            "UPDATE log_head SET size = ?, frontier = ? WHERE size = ?",
            (after.size, after.frontier, before),
        )
        if not grown.rowcount:
            return False
        connection.executemany("INSERT INTO log_tiles (level, idx, data) VALUES (?, ?, ?)", tiles)
        return True

    def tiles(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Return full tiles by level and index; those that are not there are left out."""
        found = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            rows = self._read(_tiles(some), _numbers(some))
            found.update({(level, index): data for level, index, data in rows})
        return found

    def head_and_tiles(
        self, wanted: Sequence[tuple[int, int]]
    ) -> tuple[TreeHead, dict[tuple[int, int], bytes]]:
        """Return how far the tree reaches, and those of its full tiles, as of one moment."""
        # Nothing wanted is no VALUES of SQLite's.
        tiles = f" UNION ALL {_tiles(wanted)}" if wanted else ""
        return parted(
            self._read(
                f"SELECT {HEAD}, size, frontier FROM log_head{tiles}",  # noqa: S608 - question marks alone
                _numbers(wanted),
            )
        )

    def publish(self, checkpoint: Published) -> None:
        """Keep a checkpoint for ever; one of the same size and root stays as it was."""
        self._writer.submit(partial(self._publish, checkpoint)).result()

    def _publish(self, checkpoint: Published) -> None:
        connection = self._session.connection
        there = connection.execute(
            "SELECT root FROM log_checkpoints WHERE size = ?", (checkpoint.size,)
        ).fetchone()
        if there is None:
            at = microseconds(checkpoint.published_at)
            connection.execute(
                "INSERT INTO log_checkpoints (size, root, note, published_at) VALUES (?, ?, ?, ?)",
                (checkpoint.size, checkpoint.root, checkpoint.note, at),
            )
        elif there[0] != checkpoint.root:
            raise OtherRoot(checkpoint.size)

    def cosign(self, size: int, before: bytes, note: bytes) -> bool:
        """Put a note with more cosignatures in the place of the checkpoint's that was read."""
        done: bool = self._writer.submit(partial(self._cosign, size, before, note)).result()
        return done

    def _cosign(self, size: int, before: bytes, note: bytes) -> bool:
        changed = self._session.connection.execute(
            "UPDATE log_checkpoints SET note = ? WHERE size = ? AND note = ?", (note, size, before)
        )
        return changed.rowcount == 1

    def checkpoints(self, page: int = 1_000) -> Iterator[Published]:
        """Yield every checkpoint in order of size."""
        after = 0
        while True:
            found = self._read(
                "SELECT size, root, note, published_at FROM log_checkpoints "
                "WHERE size > ? ORDER BY size LIMIT ?",
                (after, page),
            )
            for after, root, note, at in found:
                yield Published(after, root, note, moment(at))
            if len(found) < page:
                return

    def published(self, upto: int | None = None) -> Published | None:
        """Return the largest checkpoint, of at most size ``upto``; None if there is none."""
        rows = self._read(
            "SELECT size, root, note, published_at FROM log_checkpoints WHERE size <= ? "
            "ORDER BY size DESC LIMIT 1",
            (_LAST if upto is None else upto,),
        )
        if not rows:
            return None
        size, root, note, at = rows[0]
        return Published(size, root, note, moment(at))

    def _read(self, statement: str, given: tuple[Any, ...] = ()) -> list[Any]:
        with self._readers.reading() as connection:
            return connection.execute(statement, given).fetchall()


def _tiles(wanted: Sequence[tuple[int, int]]) -> str:
    """Return the query for some tiles, with a question mark for each of their numbers.

    What is wanted stands first and is joined from the left: asked ``WHERE (level, idx) IN``, SQLite
    reads the whole table.
    """
    values = ", ".join(["(?, ?)"] * len(wanted))
    return (
        f"SELECT level, idx, data FROM (VALUES {values}) CROSS JOIN log_tiles "  # noqa: S608 - question marks alone
        "ON level = column1 AND idx = column2"
    )


def _numbers(wanted: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(number for place in wanted for number in place)
