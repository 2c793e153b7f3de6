"""A reader that follows the log while everything else is killed, and writes down what it saw.

    python drills/crash_tail.py FILE

A process of its own, as a mirror would be: it asks the store for what lies behind the last position
that it has read, and never looks back.  One line of JSON for each row, as read.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import Unavailable
from ledger.settings import Settings
from ledger.store import LogRow, adapters

LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of the log as somebody saw it."""

    position: int
    recorded_at: str
    record: str
    version: int
    digest: str

    @classmethod
    def of(cls, row: LogRow) -> Seen:
        """Return what there is to see of a row; the digest is that of the stored bytes."""
        return cls(
            row.position,
            row.recorded_at.isoformat(),
            row.originator_id,
            row.originator_version,
            hashlib.sha256(row.state).hexdigest(),
        )


def written(file: Path) -> list[Seen]:
    """Return what a reader has written so far, in its order; a line being written is left out."""
    if not file.exists():
        return []
    whole, _, _rest = file.read_text(encoding="utf-8").rpartition("\n")
    return [Seen(*json.loads(line)) for line in whole.splitlines()]


def follow(file: Path) -> None:
    """Follow the log for ever."""
    given = Settings()
    woken, last = threading.Event(), 0
    store = adapters.open_store(
        given.database_url,
        queue_max=given.queue_max,
        idempotency_days=given.idempotency_days,
        timeout_s=given.timeout_s,
    )
    with store, file.open("a", encoding="utf-8") as out:
        store.subscribe_commits(lambda _position: woken.set())
        while True:
            try:
                for row in store.rows(after=last):
                    one = Seen.of(row)
                    cells = (one.position, one.recorded_at, one.record, one.version, one.digest)
                    out.write(json.dumps(cells) + "\n")
                    last = row.position
            except Unavailable:
                pass
            out.flush()
            woken.wait(LOOK_S)
            woken.clear()


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
