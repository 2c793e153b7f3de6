"""P1: the ledger's runner and the library's each keep the same least view, in a process alone.

    python benchmarks/one_row.py ledger|library DATABASE_URL POSITION

The ledger's is the projector of ``ledger project`` with another roll-call: it reads the log,
decodes and checks every event, and moves rows and checkpoint together.  Prints the seconds that a
runner took from nothing.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import ClassVar

import baseline

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


def ledger(url: str, upto: int) -> None:
    """Let the projector take the log in up to a position."""
    with (
        open_store(url, queue_max=1, idempotency_days=1, timeout_s=5.0) as store,
        PostgresViews(url, [Shown]) as views,
    ):
        projector = Projector(store, views, {Shown.NAME: Shown})
        projector.start(yielding=0.0)
        try:
            if not projector.wait(Shown.NAME, upto, WAIT_S_MAX):
                raise SystemExit(f"The view did not come to {upto}: {projector.status()}")
        finally:
            projector.stop()


def main() -> None:
    """Follow with the collector set as ``ledger project`` sets it, for both."""
    _program, whose, url, upto = sys.argv
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    began = time.perf_counter()
    {"ledger": ledger, "library": baseline.project}[whose](url, int(upto))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
