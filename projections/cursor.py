"""Where does a page of results go on?  Opaque cursors over keysets of whole numbers.

A cursor is base64url of a small JSON array: readers pass it back, and never take it apart.
It holds no secret and no authority: a forged one asks for a page that anyone may ask for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
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


def parse(text: str | None, size: int) -> Cursor | None:
    """Return the cursor that ``text`` stands for, over a keyset of ``size`` numbers; None for None.

    Raises ValueError for anything that :meth:`Cursor.text` did not make for such a keyset.
    """
    if text is None:
        return None
    refused = ValueError("This is not a cursor that the ledger gave out.")
    if len(text) > CURSOR_LENGTH_MAX or not text.isascii():
        raise refused
    try:
        padded = text + "=" * (-len(text) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as trouble:
        raise refused from trouble
    if not isinstance(parts, list) or len(parts) != size + 1 or parts[0] not in (0, 1):
        raise refused
    if not all(type(part) is int and abs(part) <= KEY_MAX for part in parts):
        raise refused
    return Cursor(tuple(parts[1:]), bool(parts[0]))


def turned(
    keys: Sequence[tuple[int, ...]], limit: int, cursor: Cursor | None
) -> tuple[int, str | None, str | None]:
    """Return how many of the found rows the page shows, and the cursors to the next and previous.

    ``keys`` are those of up to ``limit`` + 1 rows, in the order in which they were looked for; the
    row too many only tells that it goes on there.
    """
    shown = keys[:limit]
    if not shown:
        return 0, None, None
    on = Cursor(shown[-1], back=cursor is not None and cursor.back).text()
    goes_on = on if len(keys) > limit else None
    if cursor is None:
        return len(shown), goes_on, None
    came_from = Cursor(shown[0], back=not cursor.back).text()
    return (len(shown), came_from, goes_on) if cursor.back else (len(shown), goes_on, came_from)


def clamp(limit: int) -> int:
    """Return how many rows a page may have: 1 to 100."""
    return max(1, min(limit, LIMIT_MAX))
