"""What does one line say?  An event as feed and archive give it, read strictly and to the byte."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ledger.verifier.log import Row
from ledger.verifier.notebook import INTEGER_MAX

MARK: Final = b',"event":'
MEMBERS: Final = (
    "position", "recorded_at", "stream", "version", "type", "schema_version", "commitment",
    "salt", "leaf_hash",
)  # fmt: skip
KINDS: Final = (int, str, str, int, str, int, str, str, str)
LINE_BYTES_MAX: Final = 64 * 1024 * 1024
HEAD_BYTES_MAX: Final = 65_536

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class BadLine(ValueError):
    """A line that is none of the format; says why."""


def microseconds(moment: str) -> int:
    """Return an RFC 3339 moment with six decimals and Z in microseconds since 1970."""
    if not _MOMENT.fullmatch(moment):
        raise BadLine("recorded_at is not a moment with six decimals and Z")
    try:
        return (datetime.fromisoformat(moment) - _EPOCH) // _MICROSECOND
    except ValueError as trouble:
        raise BadLine("recorded_at is no moment") from trouble


def _written(members: tuple[tuple[str, Any], ...]) -> bytes:
    """Return the members as a line has them; raises BadLine for a text that is no Unicode."""
    try:
        told = json.dumps(dict(members), ensure_ascii=False, separators=(",", ":"))
        return told[:-1].encode()
    except UnicodeEncodeError as trouble:
        raise BadLine("an escape in it stands for no character") from trouble


def parsed(line: bytes) -> tuple[Row, bytes]:
    """Return the row of a line without its line break, and the leaf hash that the line names.

    Raises BadLine.
    """
    head, mark, rest = line.partition(MARK)
    if not mark or not rest.endswith(b"}") or len(head) > HEAD_BYTES_MAX:
        raise BadLine("it does not end in the event")
    try:
        said: Any = json.loads(head + b"}", object_pairs_hook=tuple)
    except (ValueError, RecursionError) as trouble:
        raise BadLine("it is not JSON") from trouble
    if not isinstance(said, tuple) or tuple(pair[0] for pair in said) != MEMBERS:
        raise BadLine(f"its members are not {', '.join(MEMBERS)} and event")
    if _written(said) != head:
        raise BadLine("it is not written as a line has to be")
    values = [pair[1] for pair in said]
    if tuple(map(type, values)) != KINDS:
        raise BadLine("a member is of another kind than it has to be")
    if any(type(value) is int and not 0 < value <= INTEGER_MAX for value in values):
        raise BadLine("a number in it is out of bounds")
    position, at, stream, version, kind, schema, commitment, salt, leaf = values
    if not (_HASH.fullmatch(commitment) and _HASH.fullmatch(leaf)):
        raise BadLine("commitment and leaf_hash are 64 hexadecimal digits each")
    if salt and not _HASH.fullmatch(salt):
        raise BadLine("salt is 64 hexadecimal digits, or empty")
    row = Row(
        position, microseconds(at), stream, version, f"{kind}:{schema}", rest[:-1],
        bytes.fromhex(salt), bytes.fromhex(commitment),
    )  # fmt: skip
    return row, bytes.fromhex(leaf)
