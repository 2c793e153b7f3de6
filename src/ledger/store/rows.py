"""Which columns make a row of ours?  The same in every database, and in this order.

Pure: from what a driver gives to what the port promises.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.store import FactRow, LogRow, StoredDocument
from ledger.store.sealing import moment

FACT: Final = "position, recorded_at, originator_id, originator_version, topic, state"
LOG: Final = f"{FACT}, salt, payload_commitment"
DOCUMENT: Final = "id, version, position, recorded_at, body"


def fact_row(row: tuple[Any, ...]) -> FactRow:
    """Return what the columns ``FACT`` hold."""
    return FactRow(row[0], moment(row[1]), *row[2:])


def log_row(row: tuple[Any, ...]) -> LogRow:
    """Return what the columns ``LOG`` hold."""
    return LogRow(row[0], moment(row[1]), *row[2:])


def document_row(row: tuple[Any, ...]) -> StoredDocument:
    """Return what the columns ``DOCUMENT`` hold."""
    return StoredDocument(row[0], row[1], row[2], moment(row[3]), row[4])
