"""Who hears of the next commit?  Whoever on the event loop waits to read on in the log.

It only says that it is time to look: what there is to read, the log itself says.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ledger.store import Store

LOOK_S: Final = 1.0
"""How long one waits at most: commits of other processes are not heard of on every database."""


class Pulse:
    """The commits of one store, as the running loop hears of them."""

    def __init__(self) -> None:
        """Listen to nobody yet."""
        self.ended = False
        self._store: Store | None = None
        self._next: asyncio.Future[None] | None = None

    def next(self, store: Store) -> asyncio.Future[None]:
        """Return what is done after the next commit; ask before looking, so that none is missed."""
        if store is not self._store:
            loop = asyncio.get_running_loop()

            def heard(_position: int) -> None:
                # The loop may have ended, with all who waited on it.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._beat)

            self._store, self._next = store, None
            store.subscribe_commits(heard)
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
            if self.ended:
                self._next.set_result(None)
        return self._next

    async def wait(self, following: asyncio.Future[None], limit_s: float) -> None:
        """Wait for what :meth:`next` returned, for ``limit_s`` or ``LOOK_S`` seconds at most."""
        await asyncio.wait([following], timeout=min(limit_s, LOOK_S))

    def end(self) -> None:
        """Let everybody go who waits, now and from now on; call it on the loop."""
        self.ended = True
        self._beat()

    def _beat(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
