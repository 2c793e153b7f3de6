"""How does a log come back as it was?  Its rows are written verbatim, into a ledger that has none.

Whatever is wrong with the rows undoes all of it: a restored log keeps the same promises as one that
grew.  Names and artifacts are given with the rows that take them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.store import Artifact, LogRow, Reservation

BATCH: Final = 1_000
"""Rows that go to the database together."""

OUT_OF_LINE: Final = """
SELECT position, originator_id, originator_version FROM (
    SELECT position, originator_id, originator_version,
        row_number() OVER stream AS number, lag(position, 1, 0) OVER stream AS before
    FROM {events} WINDOW stream AS (PARTITION BY originator_id ORDER BY originator_version)
) AS numbered
WHERE originator_version <> number OR position <= before ORDER BY position LIMIT 1
"""
"""The first row whose version is not the next one of its stream."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A row as it was stored, with the names that it took and the bytes that it made public."""

    row: LogRow
    reservations: tuple[Reservation, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


class NotALog(Exception):
    """The rows are not those of a log; says where and why."""

    def __init__(self, position: int, why: str) -> None:
        """Name the first row that cannot stand where it stands."""
        super().__init__(f"position {position}: {why}")
        self.position = position
        self.why = why


def in_line(rows: Iterable[Restored]) -> Iterator[Restored]:
    """Yield rows while positions are 1, 2, 3 and so on and recorded times increase; else NotALog.

    Versions are for the database to check: it knows the streams.
    """
    recorded_at = None
    for position, one in enumerate(rows, 1):
        if one.row.position != position:
            raise NotALog(one.row.position, f"the next row is that of position {position}")
        if recorded_at is not None and one.row.recorded_at <= recorded_at:
            raise NotALog(position, "it was recorded no later than the row before it")
        recorded_at = one.row.recorded_at
        yield one


def out_of_line(position: int, stream: str, version: int) -> NotALog:
    """Return what to raise for a row that ``OUT_OF_LINE`` finds."""
    return NotALog(position, f"version {version} of {stream} is not the next one of its stream")
