"""How do rows leave the store fastest?  As tuples in the order of ``rows.LOG``, and no more.

For whoever turns rows into lines at once, by the thousand; everybody else takes ``LogRow``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

RawRow = tuple[int, int, str, int, str, bytes, bytes, bytes]
"""Position, recorded time (microseconds), stream, version, topic, state, salt, commitment."""

Ask = Callable[[Any, tuple[Any, ...], int], Awaitable[list[Any]]]
"""Takes a statement, its values and how many rows it gives at most; returns the rows."""


class Raw:
    """Raw reads of one ledger.  Its methods refuse StoreUnavailable while the database is away."""

    def __init__(self, ask: Ask, stream: Any, log: Any) -> None:
        """Ask by statements that take stream, version and limit, and position, last and limit."""
        self._ask = ask
        self._stream = stream
        self._log = log

    async def stream(self, originator_id: str, after: int, limit: int) -> list[RawRow]:
        """Return up to ``limit`` rows of a stream with a version above ``after``, in order.

        The stream has to have a name that can be in a database: no NUL, no half of a character.
        """
        return await self._ask(self._stream, (originator_id, after, limit), limit)

    async def log(self, after: int, upto: int, limit: int) -> list[RawRow]:
        """Return up to ``limit`` rows of the log behind ``after``, none behind ``upto``."""
        return await self._ask(self._log, (after, upto, limit), limit)
