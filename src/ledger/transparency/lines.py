"""How does a row leave the ledger as one line?  The same line in feed, history and archive.

The stored bytes of the body stand at its end and are never encoded again: whoever has a line has
the exact bytes that the commitment binds, ``line.split(b',"event":', 1)[1][:-1]``.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from ledger.codec import REGISTRY
from ledger.store import LogRow
from ledger.store.raw import RawRow
from ledger.store.sealing import microseconds
from ledger.transparency.entries import entry, entry_of
from ledger.transparency.merkle import leaf_hash

EVENT_MARK: Final = b',"event":'
"""What stands before the stored bytes, which end one byte before the line does."""

_QUOTE: Final = b'"'
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC; an offset would cost time per line


def event_line(row: LogRow) -> bytes:
    """Return a row as one line of JSON, without a line break; ``salt`` is empty once erased.

    Raises BadBundle, of ``entries``, for a row whose entry is longer than a bundle can say.
    """
    return raw_line(_raw(row))


def raw_line(row: RawRow, more: str = "") -> bytes:
    """Return a raw row as a line; ``more`` is text of further members to stand before the event."""
    position, at, stream, version, topic, state, salt, commitment = row
    leaf = leaf_hash(entry(position, at, stream, version, topic, commitment=commitment))
    head = (
        f'{{"position":{position},"recorded_at":"{_moment(at)}","stream":{_quoted(stream)},'
        f'"version":{version},{_type(topic)},"commitment":"{commitment.hex()}",'
        f'"salt":"{salt.hex()}","leaf_hash":"{leaf.hex()}",{more}"event":'
    )
    return b"%b%b}" % (head.encode(), state)


def dated_line(row: RawRow) -> bytes:
    """Return a raw row as a line with ``effective``: the time that its event itself names.

    That is a day or a moment as it is stored, and null where the event names none.
    """
    mark = _effective(row[4])
    found = row[5].find(mark) if mark else -1
    if found < 0:
        return raw_line(row, '"effective":null,')
    begin = found + len(mark)
    end = row[5].index(_QUOTE, begin)
    return raw_line(row, f'"effective":"{row[5][begin:end].decode()}",')


@lru_cache
def _effective(topic: str) -> bytes:
    """Return what stands before the effective time in bodies of a topic, nothing if it has none.

    No other member of such a body, at any depth, has that name, and a text cannot hold these
    bytes: its quotes stand behind backslashes.
    """
    kind = REGISTRY.get(topic.rpartition(":")[0])
    return f'"{kind.EFFECTIVE}":"'.encode() if kind and kind.EFFECTIVE else b""


def leaf_of(row: LogRow) -> bytes:
    """Return the hash of the leaf that a row is in the tree, 32 bytes."""
    return leaf_hash(entry_of(row))


def _moment(at: int) -> str:
    return f"{_second(at // 1_000_000)}.{at % 1_000_000:06}Z"


@lru_cache
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(0, seconds)).isoformat()


@lru_cache
def _quoted(stream: str) -> str:
    return json.dumps(stream, ensure_ascii=False)


@lru_cache
def _type(topic: str) -> str:
    name, _, schema = topic.rpartition(":")
    return f'"type":{json.dumps(name)},"schema_version":{schema}'


def _raw(row: LogRow) -> RawRow:
    return (
        row.position,
        microseconds(row.recorded_at),
        row.originator_id,
        row.originator_version,
        row.topic,
        row.state,
        row.salt,
        row.payload_commitment,
    )
