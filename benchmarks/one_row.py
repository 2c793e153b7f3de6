"""P1's own side: the ledger's runner keeps the same least view as the library's runner does.

    python benchmarks/one_row.py DATABASE_URL POSITION

The projector of ``ledger project`` with another roll-call: it reads the log, decodes and checks
every event, and moves rows and checkpoint together.  Prints the seconds that it took from nothing.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import ClassVar

from ledger.cli.projecting import GC_THRESHOLDS
from ledger.codec import encode
from ledger.store.adapters import open_store
from ledger.worker import Projector
from projections.folded import Folded
from projections.postgres import PostgresViews
from projections.table import Rows, Table

WAIT_S_MAX = 600


class Shown:
    """The least that a view can be: one row for each record, the body of its last event."""

    NAME: ClassVar[str] = "shown"
    TABLES: ClassVar[tuple[Table, ...]] = (
        Table(
            name="shown",
            ddl="CREATE TABLE {table} "
            "(record_id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)",
            fields=("record_id", "version", "body"),
            key="record_id",
            by="record_id",
        ),
    )

    @staticmethod
    def rows(record: Folded) -> Rows:
        """Return the record's row."""
        last = record.last.event
        return {"shown": [(record.record_id, last.originator_version, encode(last).decode())]}


def project(url: str, upto: int) -> float:
    """Let the projector take the log in up to a position; returns the seconds that it took."""
    began = time.perf_counter()
    with (
        open_store(url, queue_max=1, idempotency_days=1, timeout_s=5.0) as store,
        PostgresViews(url, [Shown]) as views,
    ):
        projector = Projector(store, views, {Shown.NAME: Shown})
        projector.start(yielding=0.0)
        try:
            if not projector.wait(Shown.NAME, upto, WAIT_S_MAX):
                raise SystemExit(f"The view did not come to {upto}: {projector.status()}")
            return time.perf_counter() - began
        finally:
            projector.stop()


def main() -> None:
    """Follow, as a process of its own does."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    print(project(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
