"""Where does a page of results go on?  Opaque cursors over keysets of whole numbers.

A cursor is base64url of a small JSON array: readers pass it back, and never take it apart.
It holds no secret and no authority: a forged one asks for a page that anyone may ask for.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Final

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 100
CURSOR_LENGTH_MAX: Final = 200
KEY_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """The keyset of the row that a page starts behind, and in which direction it goes on."""

    key: tuple[int, ...]
    back: bool = False

    def text(self) -> str:
        """Return the wire form."""
        body = json.dumps([int(self.back), *self.key], separators=(",", ":"))
        return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def parse(text: str, size: int) -> Cursor:
    """Return the cursor that ``text`` stands for, over a keyset of ``size`` numbers.

    Raises ValueError for anything that :meth:`Cursor.text` did not make for such a keyset.
    """
    try:
        if len(text) > CURSOR_LENGTH_MAX or not text.isascii():
            raise ValueError
        padded = text + "=" * (-len(text) % 4)
        back, *key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if back not in (0, 1) or len(key) != size:
            raise ValueError
        if not all(type(part) is int and -KEY_MAX <= part <= KEY_MAX for part in (back, *key)):
            raise ValueError
    except (ValueError, TypeError, RecursionError) as trouble:
        raise ValueError("This is not a cursor that the ledger gave out.") from trouble
    return Cursor(tuple(key), bool(back))


def clamp(limit: int) -> int:
    """Return how many rows a page may have: 1 to 100."""
    return max(1, min(limit, LIMIT_MAX))
