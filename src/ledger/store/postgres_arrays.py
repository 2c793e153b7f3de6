"""How do lists reach PostgreSQL soonest?  Packed into its own binary arrays, each of one type.

The driver looks at every item of every list to find out what it is, which took a batch of one
append longer than anything else that is done for it on this side.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg.adapt import Dumper
from psycopg.pq import Format

# As array_send writes an array: how many dimensions, whether an item is NULL, the items' type; and
# if there are items, how many and from which index on; then each with its length before it.
_NO_ITEMS: Final = struct.Struct("!iiI")
_ITEMS: Final = struct.Struct("!iiIii")
_LENGTH: Final = struct.Struct("!i")
_INTEGER: Final = struct.Struct("!ii")
_BIGINT: Final = struct.Struct("!iq")


def _bytes(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


_KINDS: Final[dict[str, tuple[int, Callable[[Any], bytes]]]] = {
    "bytea": (17, _bytes),
    "bigint": (20, lambda value: _BIGINT.pack(8, value)),
    "integer": (23, lambda value: _INTEGER.pack(4, value)),
    "text": (25, lambda value: _bytes(value.encode())),
}
"""By type: the number that every server knows it by, and how an item is written."""


class Array(bytes):
    """A list as the server takes it, whose statement says of what type it is."""


class ArrayDumper(Dumper):
    """Hands an array on as it is, to connections that it is registered with."""

    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        """Return the array."""
        return obj


def packed(kind: str, items: Sequence[Any]) -> Array:
    """Return items of one type, none of them None, as an array.

    Raises struct.error for a number out of range and UnicodeEncodeError for half a character.
    """
    number, written = _KINDS[kind]
    if not items:
        return Array(_NO_ITEMS.pack(0, 0, number))
    return Array(_ITEMS.pack(1, 0, number, len(items), 1) + b"".join(map(written, items)))
