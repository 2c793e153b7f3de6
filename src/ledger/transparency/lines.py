"""How does a row leave the ledger as one line?  The same line in feed, history and archive.

The stored bytes of the body stand at its end and are never encoded again: whoever has a line has
the exact bytes that the commitment binds, ``line.split(b',"event":', 1)[1][:-1]``.
"""

from __future__ import annotations

import json
from typing import Final

from ledger.store import LogRow
from ledger.store.sealing import microseconds
from ledger.transparency.entries import entry
from ledger.transparency.merkle import leaf_hash
from ledger.vocabulary import moment_text

EVENT_MARK: Final = b',"event":'
"""What stands before the stored bytes, which end one byte before the line does."""


def event_line(row: LogRow) -> bytes:
    """Return a row as one line of JSON, without a line break; ``salt`` is empty once erased.

    Raises BadBundle, of ``entries``, for a row whose entry is longer than a bundle can say.
    """
    name, _, schema = row.topic.rpartition(":")
    leaf = leaf_of(row)
    head = (
        f'{{"position":{row.position},"recorded_at":"{moment_text(row.recorded_at)}",'
        f'"stream":{_quoted(row.originator_id)},"version":{row.originator_version},'
        f'"type":{_quoted(name)},"schema_version":{schema},'
        f'"commitment":"{row.payload_commitment.hex()}","salt":"{row.salt.hex()}",'
        f'"leaf_hash":"{leaf.hex()}","event":'
    )
    return b"%b%b}" % (head.encode(), row.state)


def leaf_of(row: LogRow) -> bytes:
    """Return the hash of the leaf that a row is in the tree, 32 bytes."""
    return leaf_hash(
        entry(
            row.position,
            microseconds(row.recorded_at),
            row.originator_id,
            row.originator_version,
            row.topic,
            commitment=row.payload_commitment,
        )
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
